"""Confidence intervals and significance of scores: bootstrap over the examples of the test file.

Percentile intervals and the p-values that belong to them after Efron and Tibshirani 1993, "An
Introduction to the Bootstrap", chapters 13 and 15; McNemar 1947 for changed predictions.

A resample is a weight for each example, how often it was drawn, so that all are scored together
without copying an example. All scores are times 100.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from kore.common.arrays import Floats, Ints
from kore.common.progress import progress_bar
from kore.data.schema import LabelMap

CONFIDENCE = 95  # per cent
_CHUNK = 50  # resamples scored at a time: bounds the memory


class Interval(NamedTuple):
    """Between which values 95 % of the resamples lie."""

    low: float
    high: float


class Difference(NamedTuple):
    """How much higher the first of two scores is than the second, on the same examples.

    p: twice the share of resamples in which the difference has the other sign or is 0: the level
        at which the percentile interval just reaches 0. Not the test of Berg-Kirkpatrick et al.
        2012, which counts the resamples that exceed twice the observed difference.
    """

    value: float
    interval: Interval
    p: float


class McNemar(NamedTuple):
    """Examples that only one of two models has right, and how likely that is by chance."""

    only_first: int
    only_second: int
    p: float


def resampled_scores(
    gold: Ints, probs_per_model: Sequence[Floats], labels: LabelMap, resamples: int, seed: int
) -> dict[str, Floats]:
    """Micro-F1 and AUPRC of M models in R resamples, the same examples drawn for all models.

    Args:
        gold: (N,), relation numbers.
        probs_per_model: M arrays (N, C) of probabilities.

    Returns:
        {"micro_f1": (M, R), "auprc": (M, R)}.
    """
    micro_f1s, auprcs = [], []
    weights = _drawn_weights(len(gold), resamples, seed)
    chunks = -(-resamples // _CHUNK)
    for drawn in progress_bar(weights, total=chunks, desc="resampling"):
        micro_f1s.append(
            [weighted_micro_f1(gold, probs, labels, drawn) for probs in probs_per_model]
        )
        auprcs.append([weighted_auprc(gold, probs, drawn) for probs in probs_per_model])
    return {
        "micro_f1": np.concatenate(micro_f1s, axis=1),
        "auprc": np.concatenate(auprcs, axis=1),
    }


def interval(values: Floats) -> Interval:
    """The percentile interval of a score's resamples (R,)."""
    outside = (100 - CONFIDENCE) / 2
    low, high = np.percentile(values, [outside, 100 - outside])
    return Interval(float(low), float(high))


def difference(value: float, first: Floats, second: Floats) -> Difference:
    """Of two models whose scores differ by `value`; resamples (R,) of both, in the same order."""
    differences = first - second
    # Counting one more keeps p above 0, which no finite number of resamples can show.
    beyond = min((differences <= 0).sum(), (differences >= 0).sum()) + 1
    p = min(1.0, 2 * float(beyond) / (len(differences) + 1))
    return Difference(value, interval(differences), p)


def mcnemar(gold: Ints, first: Ints, second: Ints) -> McNemar:
    """The exact test; arguments (N,), the last two are predictions."""
    is_first, is_second = first == gold, second == gold
    only_first = int((is_first & ~is_second).sum())
    only_second = int((is_second & ~is_first).sum())
    changed = only_first + only_second
    p = float(binomtest(only_first, changed).pvalue) if changed else 1.0
    return McNemar(only_first, only_second, p)


def weighted_micro_f1(gold: Ints, probs: Floats, labels: LabelMap, weights: Floats) -> Floats:
    """(R,) scores under weights (R, N), equal to `metrics.micro_f1` under each."""
    predicted = probs.argmax(axis=1)
    is_positive = np.zeros(len(labels), dtype=bool)
    is_positive[labels.positive] = True
    hits = weights @ ((gold == predicted) & is_positive[gold])
    claimed, wanted = weights @ is_positive[predicted], weights @ is_positive[gold]
    return 100 * 2 * hits / np.maximum(claimed + wanted, np.finfo(float).tiny)


def weighted_auprc(gold: Ints, probs: Floats, weights: Floats) -> Floats:
    """(R,) scores under weights (R, N), equal to `metrics.auprc` under each.

    A relation of which a resample holds no example is left out of that resample's mean.
    """
    areas = [
        _areas(gold == number, probs[:, number], weights)
        for number in range(probs.shape[1])
        if (gold == number).any()
    ]
    return 100 * np.nanmean(areas, axis=0)


def _areas(is_gold: Ints, scores: Floats, weights: Floats) -> Floats:
    """(R,) areas under the precision-recall curve of one relation; nan without a gold example."""
    order = np.argsort(-scores, kind="stable")
    is_last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    ordered = weights[:, order]
    claimed = ordered.cumsum(axis=1)[:, is_last_of_equals]
    hits = np.where(is_gold[order], ordered, 0).cumsum(axis=1)[:, is_last_of_equals]
    totals = hits[:, -1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(claimed > 0, hits / claimed, 1.0)
        recall = hits / totals
    # As in scikit-learn, the curve starts at recall 0 with precision 1.
    precision = np.insert(precision, 0, 1.0, axis=1)
    recall = np.insert(recall, 0, 0.0, axis=1)
    return np.trapezoid(precision, recall, axis=1)


def _drawn_weights(rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    """(≤ 50, N) at a time: how often each example was drawn in N draws with replacement."""
    generator = np.random.default_rng(seed)
    shares = np.full(rows, 1 / rows)
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        yield generator.multinomial(rows, shares, size=size).astype(np.float64)
