"""KLUE-RE's scores, times 100 (Park et al. 2021, "KLUE", appendix on relation extraction).

Pure functions of numbers; the relations that count are passed in.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import auc, f1_score, precision_recall_curve, precision_recall_fscore_support

from schema import LabelMap

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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
    """What a file of predictions is worth."""

    micro_f1: float
    auprc: float
    accuracy: float
    rows: int
    relations: tuple[RelationScore, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def score(gold: Ints, probs: Floats, labels: LabelMap) -> Scores:
    """All scores of one file.

    Args:
        gold: (N,), relation numbers.
        probs: (N, C), probabilities (not logits: AUPRC ranks rows by them).
    """
    predicted = probs.argmax(axis=1)
    return Scores(
        micro_f1=micro_f1(gold, predicted, labels.positive),
        auprc=auprc(gold, probs, labels.names),
        accuracy=100 * float((gold == predicted).mean()),
        rows=len(gold),
        relations=per_relation(gold, predicted, labels.names),
    )


def micro_f1(gold: Ints, predicted: Ints, positive: list[int]) -> float:
    """Micro-averaged F1 over the `positive` relations, all rows counted.

    A no_relation row that is predicted as a relation is a false positive, so those rows stay in.
    0 where no row is, or is predicted as, a positive relation.
    """
    return 100 * float(f1_score(gold, predicted, labels=positive, average="micro", zero_division=0))


def auprc(gold: Ints, probs: Floats, names: tuple[str, ...]) -> float:
    """Unweighted mean over all relations of the area under the precision-recall curve.

    One-vs-rest, trapezoidal, no_relation included. A relation without a gold row has no recall:
    it is left out of the mean, and a warning names it.
    """
    areas = []
    without_gold = []
    for number, name in enumerate(names):
        is_gold = gold == number
        if not is_gold.any():
            without_gold.append(name)
            continue
        precision, recall, _ = precision_recall_curve(is_gold, probs[:, number])
        areas.append(auc(recall, precision))
    if without_gold:
        warnings.warn(
            f"AUPRC leaves out relations without a gold row: {', '.join(without_gold)}",
            stacklevel=2,
        )
    return 100 * float(np.mean(areas))


def per_relation(gold: Ints, predicted: Ints, names: tuple[str, ...]) -> tuple[RelationScore, ...]:
    """Precision, recall and F1 of every relation, in the order of `names`."""
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
