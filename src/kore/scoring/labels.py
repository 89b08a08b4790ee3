"""Scores where every text has many labels, each true or false; x 100.

Micro-F1 counts all labels of all texts together, macro-F1 is the mean over labels, exact match the
share of texts of which every label is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kore.common.arrays import Floats
from kore.scoring.ner import Counts

Truths = NDArray[np.bool_]  # (N, C)

DEFAULT_THRESHOLD = 0.5


class LabelScores(NamedTuple):
    """by_label: in the order of the labels. exact_match: x 100."""

    micro_f1: float
    macro_f1: float
    exact_match: float
    by_label: dict[str, Counts]

    def as_dict(self) -> dict[str, float]:
        """The scores over all labels."""
        return {
            "micro_f1": self.micro_f1,
            "macro_f1": self.macro_f1,
            "exact_match": self.exact_match,
        }


def score_labels(gold: Truths, predicted: Truths, labels: Sequence[str]) -> LabelScores:
    """Scores of (N, C) decisions; a label that is neither gold nor predicted has an F1 of 0."""
    counts = [
        Counts(int(right), int(found), int(wanted))
        for right, found, wanted in zip(
            (gold & predicted).sum(axis=0), predicted.sum(axis=0), gold.sum(axis=0), strict=True
        )
    ]
    together = Counts(*(sum(column) for column in zip(*counts, strict=True)))
    return LabelScores(
        micro_f1=together.f1,
        macro_f1=float(np.mean([one.f1 for one in counts])),
        exact_match=100 * float((gold == predicted).all(axis=1).mean()),
        by_label=dict(zip(labels, counts, strict=True)),
    )


def best_thresholds(gold: Truths, probs: Floats) -> Floats:
    """(C,) the threshold of each label under which its F1 is highest.

    The half-way points between neighbouring probabilities are tried, and 0.5, which stays where no
    other is better, or where a label is never true.
    """
    return np.asarray(
        [_best_threshold(truths, own) for truths, own in zip(gold.T, probs.T, strict=True)]
    )


def _best_threshold(truths: NDArray[np.bool_], probs: Floats) -> float:
    order = np.argsort(-probs, kind="stable")
    ranked = probs[order]
    right = np.cumsum(truths[order])  # where the first n are called true
    f1 = 2 * right / (np.arange(1, len(ranked) + 1) + truths.sum())
    ends = np.flatnonzero(np.append(ranked[:-1] > ranked[1:], True))  # equal ones go together
    best = ends[f1[ends].argmax()]
    at_default = probs >= DEFAULT_THRESHOLD
    wanted = int(at_default.sum() + truths.sum())
    default_f1 = 2 * int((truths & at_default).sum()) / wanted if wanted else 0.0
    if not truths.any() or f1[best] <= default_f1:
        return DEFAULT_THRESHOLD
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)
