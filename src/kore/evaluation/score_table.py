"""Several models, each trained with several seeds -> one table: mean ± sd, and significance.

p compares the mean score of a model's seeds with that of the first model's, by the paired bootstrap
of `scoring.bootstrap`, which draws the same examples for all of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kore.common.arrays import Floats, Ints
from kore.data.rows import read_examples
from kore.data.schema import Example, LabelMap, entity_pair
from kore.evaluation.assessment import gold_numbers
from kore.scoring.bootstrap import difference, resampled_scores
from kore.scoring.label_shift import read_prior, row_weights
from kore.scoring.metrics import TITLES, score


class GoldRows(NamedTuple):
    """The gold labels that every model is scored against.

    numbers: (N,), of the gold relations.
    is_new: (N,), whether no training example has the same pair of entities.
    weights: (N,), of the examples under the expected class shares; None = not asked for.
    """

    labels: LabelMap
    numbers: Ints
    is_new: NDArray[np.bool_]
    weights: Floats | None = None

    @classmethod
    def read(cls, path: Path, train_file: Path, labels: LabelMap, prior: Path | None) -> GoldRows:
        """From files of labelled and of training examples; `prior` is a file of class shares.

        Raises:
            UserError: a file is faulty.
        """
        examples = read_examples(path, need_labels=True, known_labels=labels.names)
        train_examples = read_examples(train_file)
        return cls.of(examples, train_examples, labels, prior)

    @classmethod
    def of(
        cls,
        examples: Sequence[Example],
        train_examples: Sequence[Example],
        labels: LabelMap,
        prior: Path | None,
    ) -> GoldRows:
        """From examples, as `read` does.

        Raises:
            UserError: the file of class shares is faulty.
        """
        numbers = gold_numbers(examples, labels)
        seen = {entity_pair(example) for example in train_examples}
        is_new = np.asarray([entity_pair(example) not in seen for example in examples])
        if prior is None:
            return cls(labels, numbers, is_new)
        return cls(labels, numbers, is_new, row_weights(numbers, read_prior(prior, labels)))


def score_rows(
    gold: GoldRows, probs: Mapping[str, Sequence[Floats]], resamples: int
) -> list[dict[str, Any]]:
    """The rows of the table, one dict a model, numbers not rounded.

    Args:
        probs: for each model the probabilities (N, C) of each of its seeds.
        resamples: of the bootstrap behind p.
    """
    results: list[dict[str, Any]] = []
    first: dict[str, Floats] = {}
    for model, seeds in probs.items():
        drawn = resampled_scores(gold.numbers, list(seeds), gold.labels, resamples, seed=0)
        means = {name: values.mean(axis=0) for name, values in drawn.items()}
        first = first or means
        result = {"name": model, **_means(gold, seeds)}
        results.append(result)
        for name in TITLES:
            delta = difference(result[name] - results[0][name], means[name], first[name])
            result[f"{name}_delta"] = delta.value
            result[f"{name}_p"] = delta.p
    return results


def as_markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """The table in Markdown; columns that no model has a value for are left out."""
    adjusted = [name for name in TITLES if f"{name}_adjusted" in results[0]]
    with_minutes = "minutes" in results[0]
    titles = ["", *TITLES.values()]
    titles += [f"Δ {title} (p)" for title in TITLES.values()]
    titles += [f"{TITLES[name]}, expected shares" for name in adjusted]
    with_new = "micro_f1_new_pairs" in results[0]
    titles += ["micro-F1, new pairs"] * with_new
    lines = [[*titles, *["minutes"] * with_minutes]]
    lines.append(["---"] * len(lines[0]))
    for number, result in enumerate(results):
        cells = [result["name"], *(_spread(result, name) for name in TITLES)]
        cells += [
            f"{result[f'{name}_delta']:+.2f} ({result[f'{name}_p']:.3f})" if number else ""
            for name in TITLES
        ]
        cells += [_spread(result, f"{name}_adjusted") for name in adjusted]
        cells += [_spread(result, "micro_f1_new_pairs")] if with_new else []
        cells += [f"{result['minutes']:.1f}"] if with_minutes else []
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _spread(result: Mapping[str, Any], name: str) -> str:
    spread = result[f"{name}_sd"]
    return f"{result[name]:.2f}" + ("" if spread is None else f" ± {spread:.2f}")


def _means(gold: GoldRows, probs: Sequence[Floats]) -> dict[str, float | None]:
    """Mean and standard deviation of the seeds' scores; also of new pairs and weighted examples.

    The deviation of a single seed is None.
    """
    new = gold.is_new
    found = {"": [score(gold.numbers, seed, gold.labels) for seed in probs]}
    if new.any():
        found["_new_pairs"] = [score(gold.numbers[new], seed[new], gold.labels) for seed in probs]
    if gold.weights is not None:
        found["_adjusted"] = [
            score(gold.numbers, seed, gold.labels, gold.weights) for seed in probs
        ]
    result: dict[str, float | None] = {}
    for suffix, scores in found.items():
        for name in TITLES:
            values = [getattr(one, name) for one in scores]
            result[f"{name}{suffix}"] = statistics.mean(values)
            result[f"{name}{suffix}_sd"] = statistics.stdev(values) if len(values) > 1 else None
    return result


def aligned(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for the names of the columns and one for each row, all cells right-aligned."""
    header = list(rows[0]) if rows else []
    table = [header, *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(header))]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in table
    ]
