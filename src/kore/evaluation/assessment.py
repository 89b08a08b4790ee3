"""Everything that is computed about one file of predictions, beside others or alone.

The scores themselves are `scoring.metrics`; here they are joined with bootstrap intervals, kinds of
error, other class shares and a second file. `assessment_text` puts it in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from kore.common.arrays import Floats, Ints
from kore.data.schema import Example, LabelMap
from kore.evaluation.error_analysis import ErrorKinds, error_kinds, slices
from kore.scoring.bootstrap import (
    Difference,
    Interval,
    McNemar,
    difference,
    interval,
    mcnemar,
    resampled_scores,
)
from kore.scoring.label_shift import row_weights
from kore.scoring.metrics import TITLES, Scores, score

RESAMPLES, SEED = 1000, 42


@dataclass(frozen=True)
class Adjusted:
    """Scores with every example weighted so that the relations have the shares `prior` (C,)."""

    prior: Floats
    scores: Scores


@dataclass(frozen=True)
class Comparison:
    """The predictions beside other ones of the same examples: first minus second."""

    scores: Scores  # of the second
    differences: dict[str, Difference]  # of micro_f1 and auprc; empty without resamples
    mcnemar: McNemar


@dataclass(frozen=True)
class Assessment:
    """gold (N,) and probs (N, C), in the order of the examples; other (N, C), compared with."""

    examples: Sequence[Example]
    gold: Ints
    probs: Floats
    labels: LabelMap
    scores: Scores
    kinds: ErrorKinds
    slices: pd.DataFrame
    intervals: dict[str, Interval]  # of micro_f1 and auprc; empty without resamples
    adjusted: Adjusted | None
    other: Floats | None
    comparison: Comparison | None

    @cached_property
    def predicted(self) -> Ints:
        return self.probs.argmax(axis=1)

    def as_dict(self) -> dict[str, Any]:
        """What scores.json holds."""
        found: dict[str, Any] = self.scores.as_dict()
        found["errors"] = self.kinds._asdict()
        found["intervals"] = {name: list(bounds) for name, bounds in self.intervals.items()}
        if self.adjusted is not None:
            found["adjusted"] = {
                "micro_f1": self.adjusted.scores.micro_f1,
                "auprc": self.adjusted.scores.auprc,
                "accuracy": self.adjusted.scores.accuracy,
                "prior": dict(zip(self.labels.names, self.adjusted.prior.tolist(), strict=True)),
            }
        if self.comparison is not None:
            found["comparison"] = _comparison_dict(self.comparison)
        return found

    def relations(self) -> pd.DataFrame:
        """The scores of each relation that occurs, the one with most gold examples first.

        Columns: relation, precision, recall, f1, support, predicted.
        """
        table = pd.DataFrame([vars(row) for row in self.scores.relations])
        table = table[(table["support"] > 0) | (table["predicted"] > 0)]
        return table.sort_values("support", ascending=False, kind="stable")


def assess(
    examples: Sequence[Example],
    probs: Floats,
    labels: LabelMap,
    *,
    other: Floats | None = None,
    prior: Floats | None = None,
    train_examples: Sequence[Example] = (),
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Assessment:
    """Everything about one file of predictions.

    Args:
        examples: N of them, with gold labels.
        probs: (N, C), their probabilities in the order of `labels`.
        other: (N, C), predictions of the same examples to compare with.
        prior: (C,), class shares for which scores are wanted as well.
        train_examples: what the model was trained on, where that is known.
        resamples: of the bootstrap behind intervals and p; 0 = none of these.
        seed: of the bootstrap.
    """
    gold = gold_numbers(examples, labels)
    predicted = probs.argmax(axis=1)
    scores = score(gold, probs, labels)
    resampled: dict[str, Floats] = {}
    if resamples:
        compared = [probs] if other is None else [probs, other]
        resampled = resampled_scores(gold, compared, labels, resamples, seed)
    return Assessment(
        examples=examples,
        gold=gold,
        probs=probs,
        labels=labels,
        scores=scores,
        kinds=error_kinds(gold, predicted, labels),
        slices=slices(examples, gold, predicted, labels, train_examples),
        intervals={name: interval(values[0]) for name, values in resampled.items()},
        adjusted=None if prior is None else adjust(gold, probs, labels, prior),
        other=other,
        comparison=None if other is None else _compared(gold, probs, other, labels, resampled),
    )


def gold_numbers(examples: Sequence[Example], labels: LabelMap) -> Ints:
    """(N,), the numbers of the gold relations."""
    return np.asarray(labels.index(str(example.label) for example in examples))


def adjust(gold: Ints, probs: Floats, labels: LabelMap, prior: Floats) -> Adjusted:
    """Scores as if the relations had the class shares `prior` (C,)."""
    return Adjusted(prior, score(gold, probs, labels, row_weights(gold, prior)))


def _compared(
    gold: Ints, probs: Floats, other: Floats, labels: LabelMap, resampled: dict[str, Floats]
) -> Comparison:
    first, second = score(gold, probs, labels), score(gold, other, labels)
    differences = {
        name: difference(getattr(first, name) - getattr(second, name), *values)
        for name, values in resampled.items()
    }
    tested = mcnemar(gold, probs.argmax(axis=1), other.argmax(axis=1))
    return Comparison(second, differences, tested)


def _comparison_dict(comparison: Comparison) -> dict[str, Any]:
    found: dict[str, Any] = {"mcnemar": comparison.mcnemar._asdict()}
    for name in TITLES:
        tested = comparison.differences.get(name)
        found[name] = {
            "other": getattr(comparison.scores, name),
            **({} if tested is None else tested._asdict()),
        }
    return found
