"""Several seeds of several models -> one table: mean ± sd, and what is more than chance.

p is that of a paired bootstrap over the rows, of the mean score of a model's seeds against that of
the first model's (see `scoring.bootstrap`).
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
from kore.scoring.bootstrap import difference, resampled_scores
from kore.scoring.label_shift import read_prior, row_weights
from kore.scoring.metrics import TITLES, score


class GoldRows(NamedTuple):
    """What is right, and which rows count.

    numbers: (N,) of the relations.
    weights: (N,) of the rows under the class shares that are expected.
    is_new: (N,) whether the pair of entities stands in no row of training.
    """

    labels: LabelMap
    numbers: Ints
    is_new: NDArray[np.bool_]
    weights: Floats | None = None

    @classmethod
    def read(cls, path: Path, train_file: Path, labels: LabelMap, prior: Path | None) -> GoldRows:
        """From labelled rows and those of training; `prior` is a file of class shares.

        Raises:
            UserError: a file is faulty.
        """
        examples = read_examples(path, need_labels=True, known_labels=labels.names)
        learned = read_examples(train_file)
        return cls.of(examples, learned, labels, prior)

    @classmethod
    def of(
        cls,
        examples: Sequence[Example],
        learned: Sequence[Example],
        labels: LabelMap,
        prior: Path | None,
    ) -> GoldRows:
        """From rows that were read, as `read` does.

        Raises:
            UserError: the file of class shares is faulty.
        """
        numbers = np.asarray(labels.index(str(row.label) for row in examples))
        seen = {entity_pair(row) for row in learned}
        is_new = np.asarray([entity_pair(row) not in seen for row in examples])
        if prior is None:
            return cls(labels, numbers, is_new)
        return cls(labels, numbers, is_new, row_weights(numbers, read_prior(prior, labels)))


def score_rows(
    gold: GoldRows, probs: Mapping[str, Sequence[Floats]], resamples: int
) -> list[dict[str, Any]]:
    """One dict a model, numbers as they are.

    Args:
        probs: for each model the probabilities (N, C) of its seeds.
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
    """The table as people read it; adjusted scores and minutes where there are some."""
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
    """Mean and standard deviation of the seeds' scores, also of new pairs and of weighed rows.

    A single seed has no deviation: None.
    """
    new = gold.is_new
    found = {"": [score(gold.numbers, part, gold.labels) for part in probs]}
    if new.any():
        found["_new_pairs"] = [score(gold.numbers[new], part[new], gold.labels) for part in probs]
    if gold.weights is not None:
        found["_adjusted"] = [
            score(gold.numbers, part, gold.labels, gold.weights) for part in probs
        ]
    result: dict[str, float | None] = {}
    for suffix, scores in found.items():
        for name in TITLES:
            values = [getattr(one, name) for one in scores]
            result[f"{name}{suffix}"] = statistics.mean(values)
            result[f"{name}{suffix}_sd"] = statistics.stdev(values) if len(values) > 1 else None
    return result
