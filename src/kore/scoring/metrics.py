"""KLUE-RE's scores, times 100 (Park et al. 2021, "KLUE", appendix on relation extraction).

Pure functions of numbers; the relations that count are passed in. scikit-learn takes a second to
import, so that only those who score wait for it, not those who predict.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from kore.common.arrays import Floats, Ints
from kore.data.schema import LabelMap

TITLES = {"micro_f1": "micro-F1", "auprc": "AUPRC"}  # as people read them
ALL_TITLES = {**TITLES, "accuracy": "accuracy"}


@dataclass(frozen=True)
class RelationScore:
    """One relation against all others. `precision`, `recall` and `f1` are times 100."""

    relation: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


@dataclass(frozen=True)
class Scores:
    """Evaluation scores of predictions, times 100."""

    micro_f1: float
    auprc: float
    accuracy: float
    ece: float
    rows: int
    relations: tuple[RelationScore, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def score(gold: Ints, probs: Floats, labels: LabelMap, weights: Floats | None = None) -> Scores:
    """All scores of one file.

    Args:
        gold: (N,), relation numbers.
        probs: (N, C), probabilities (not logits: AUPRC ranks examples by them).
        weights: (N,), how much each example counts; None = all alike. The calibration error and the
            scores of single relations do not take them.
    """
    predicted = probs.argmax(axis=1)
    return Scores(
        micro_f1=micro_f1(gold, predicted, labels.positive, weights),
        auprc=auprc(gold, probs, labels.names, weights),
        accuracy=100 * float(np.average(gold == predicted, weights=weights)),
        ece=expected_calibration_error(gold, probs),
        rows=len(gold),
        relations=per_relation(gold, predicted, labels.names),
    )


def micro_f1(
    gold: Ints, predicted: Ints, positive: list[int], weights: Floats | None = None
) -> float:
    """Micro-averaged F1 over the `positive` relations, all examples counted.

    A no_relation example that is predicted as a relation is a false positive, so it stays in.
    0 where no example is, or is predicted as, a positive relation.
    """
    from sklearn.metrics import f1_score

    return 100 * float(
        f1_score(
            gold,
            predicted,
            labels=positive,
            average="micro",
            zero_division=0,
            sample_weight=weights,
        )
    )


def auprc(
    gold: Ints, probs: Floats, names: tuple[str, ...], weights: Floats | None = None
) -> float:
    """Unweighted mean over all relations of the area under the precision-recall curve.

    One-vs-rest, trapezoidal, no_relation included. A relation without a gold example has no recall:
    it is left out of the mean, and a warning names it.
    """
    from sklearn.metrics import auc, precision_recall_curve

    areas = []
    without_gold = []
    for number, name in enumerate(names):
        is_gold = gold == number
        if not is_gold.any():
            without_gold.append(name)
            continue
        precision, recall, _ = precision_recall_curve(
            is_gold, probs[:, number], sample_weight=weights
        )
        areas.append(auc(recall, precision))
    if without_gold:
        warnings.warn(
            f"AUPRC leaves out relations without a gold example: {', '.join(without_gold)}",
            stacklevel=2,
        )
    return 100 * float(np.mean(areas))


def per_relation(gold: Ints, predicted: Ints, names: tuple[str, ...]) -> tuple[RelationScore, ...]:
    """Precision, recall and F1 of every relation, in the order of `names`."""
    from sklearn.metrics import precision_recall_fscore_support

    numbers = list(range(len(names)))
    precision, recall, f1, support = precision_recall_fscore_support(
        gold, predicted, labels=numbers, average=None, zero_division=0
    )
    counts = np.bincount(predicted, minlength=len(names))
    return tuple(
        RelationScore(
            relation=names[i],
            precision=100 * float(precision[i]),
            recall=100 * float(recall[i]),
            f1=100 * float(f1[i]),
            support=int(support[i]),
            predicted=int(counts[i]),
        )
        for i in numbers
    )


class ReliabilityBin(NamedTuple):
    """Examples whose highest probability lies in one interval, in shares of 1."""

    rows: int
    confidence: float  # mean of the highest probabilities
    accuracy: float  # share of the examples that are right


def reliability(gold: Ints, probs: Floats, bins: int = 15) -> list[ReliabilityBin]:
    """The bins of equal width over [0, 1] that hold an example (Guo et al. 2017).

    Args:
        gold: (N,), relation numbers.
        probs: (N, C), probabilities.
    """
    confidence = probs.max(axis=1)
    is_right = probs.argmax(axis=1) == gold
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        ReliabilityBin(
            int(inside.sum()), float(confidence[inside].mean()), float(is_right[inside].mean())
        )
        for inside in (number == place for place in range(bins))
        if inside.any()
    ]


def expected_calibration_error(gold: Ints, probs: Floats, bins: int = 15) -> float:
    """How far confidence and accuracy lie apart, over the bins of `reliability`, times 100.

    The mean of the bins' distances, weighted by their examples (Naeini et al. 2015). 0 is best.
    """
    found = reliability(gold, probs, bins)
    return 100 * sum(one.rows * abs(one.confidence - one.accuracy) for one in found) / len(gold)
