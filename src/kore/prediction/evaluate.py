"""Scores of predictions that are at hand, as `kore.evaluate` gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kore.common.arrays import Floats
from kore.common.errors import UserError
from kore.data.schema import Example, LabelMap
from kore.prediction.api import Prediction
from kore.scoring.metrics import Scores, score

SUM_TOLERANCE = 1e-3  # of probabilities that other programs have rounded


def evaluate(
    gold: Sequence[Example] | Sequence[str],
    predicted: Sequence[Prediction] | Floats,
    labels: Sequence[str] | None = None,
    *,
    no_relation: str | None = "no_relation",
) -> Scores:
    """KLUE-RE's scores, times 100: micro-F1 without no_relation, AUPRC, accuracy, and more.

    Args:
        gold: examples with labels, or the labels themselves.
        predicted: for each, in the same order: what a model predicted, or an array (N, C) of
            probabilities.
        labels: the relations in the order of the probabilities; needed for an array alone.
        no_relation: the relation that micro-F1 leaves out; None where there is none.

    Raises:
        UserError: gold and predictions do not match, a label is missing or unknown, or the numbers
            are no probabilities.
    """
    names, probs = _probs_of(predicted, labels)
    if len(set(names)) < len(names):
        raise UserError("`labels` names a relation twice")
    gold_names = [one.label if isinstance(one, Example) else one for one in gold]
    if len(gold_names) != len(probs) or not gold_names:
        raise UserError(f"{len(gold_names)} gold labels, but {len(probs)} predictions")
    unknown = [name for name in gold_names if name not in names]
    if unknown:
        raise UserError(
            f"{len(unknown)} gold labels are not among the {len(names)} relations, "
            f"{unknown[0]!r} for example"
        )
    if no_relation is not None and no_relation not in names:
        raise UserError(
            f"`no_relation` {no_relation!r} is not among the relations; name the one that means "
            "'none of them', or pass None"
        )
    label_map = LabelMap(tuple(names), no_relation)
    return score(np.asarray(label_map.index(map(str, gold_names))), probs, label_map)


def _probs_of(
    predicted: Sequence[Prediction] | Floats, labels: Sequence[str] | None
) -> tuple[Sequence[str], Floats]:
    """Relation names and probabilities (N, C) in their order."""
    given: Any = predicted
    if len(given) and isinstance(given[0], Prediction):
        labels = labels or tuple(given[0].probs)
        given = [[one.probs.get(name, np.nan) for name in labels] for one in given]
    if labels is None:
        raise UserError("`labels` is missing: the relations in the order of the probabilities")
    probs = np.asarray(given, dtype=np.float64)
    if probs.ndim != 2 or probs.shape[1] != len(labels):
        raise UserError(f"probabilities of shape {probs.shape}, expected (N, {len(labels)})")
    _check_probs(probs)
    return labels, probs


def _check_probs(probs: Floats) -> None:
    sums = probs.sum(axis=1)
    if not (np.abs(sums - 1) <= SUM_TOLERANCE).all() or not (probs >= 0).all():
        raise UserError(
            "expected probabilities, numbers in [0, 1] that sum to 1 in every row; if they are "
            "logits, apply a softmax first"
        )
