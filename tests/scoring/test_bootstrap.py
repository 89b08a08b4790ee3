"""The bootstrap against scores of rows that are written out, and tests against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kore.data.schema import LabelMap
from kore.scoring.bootstrap import (
    Interval,
    difference,
    interval,
    mcnemar,
    resampled_scores,
    weighted_auprc,
    weighted_micro_f1,
)
from kore.scoring.metrics import auprc, micro_f1

LABELS = LabelMap(("no_relation", "A", "B", "C"), "no_relation")


def random_case(rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of one digit, so that many are equal; the last relation has no gold row."""
    generator = np.random.default_rng(3)
    probs = generator.dirichlet(np.ones(4), rows).round(1)
    return generator.integers(0, 3, rows), probs


def test_weighted_scores_are_those_of_rows_written_out() -> None:
    gold, probs = random_case()
    weights = np.random.default_rng(4).multinomial(len(gold), np.full(len(gold), 1 / 60), size=5)
    f1s = weighted_micro_f1(gold, probs, LABELS, weights.astype(float))
    areas = weighted_auprc(gold, probs, weights.astype(float))
    assert len(set(areas.round(6))) == 5
    for counts, f1, area in zip(weights, f1s, areas, strict=True):
        rows = np.repeat(np.arange(len(gold)), counts)
        predicted = probs[rows].argmax(axis=1)
        assert f1 == pytest.approx(micro_f1(gold[rows], predicted, LABELS.positive))
        assert area == pytest.approx(auprc(gold[rows], probs[rows, :3], LABELS.names[:3]))


def test_a_relation_missing_from_a_resample_is_left_out_of_it() -> None:
    """Row 3 alone is of B; without it the mean is that of no_relation and A, both perfect."""
    gold = np.array([0, 1, 2])
    probs = np.array([[0.8, 0.2, 0.0, 0.0], [0.1, 0.9, 0.0, 0.0], [0.7, 0.2, 0.1, 0.0]])
    assert weighted_auprc(gold, probs, np.array([[1.0, 2.0, 0.0]])) == pytest.approx([100.0])


def test_all_files_are_scored_on_the_same_draws() -> None:
    gold, probs = random_case()
    once = resampled_scores(gold, [probs, probs], LABELS, resamples=70, seed=1)
    for name in ("micro_f1", "auprc"):
        assert once[name].shape == (2, 70)
        assert np.array_equal(once[name][0], once[name][1])
        assert len(np.unique(once[name][0])) > 30
    again = resampled_scores(gold, [probs], LABELS, resamples=70, seed=1)
    assert np.array_equal(again["auprc"][0], once["auprc"][0])
    other = resampled_scores(gold, [probs], LABELS, resamples=70, seed=2)
    assert not np.array_equal(other["auprc"][0], once["auprc"][0])


def test_the_spread_of_a_share_is_the_binomial_one() -> None:
    """200 gold rows of a relation, half of them found, nothing else claimed: F1 = 2h / (h + n)."""
    gold = np.repeat([1, 0], 200)
    probs = np.zeros((400, 4))
    probs[:100, 1] = probs[100:, 0] = 1.0
    found = resampled_scores(gold, [probs], LABELS, resamples=2_000, seed=0)["micro_f1"][0]
    # recall r has mean 0.5 and sd sqrt(0.25 / 200) = 0.0354; F1 = 2r / (r + 1), slope 2 / 1.5^2
    assert found.mean() == pytest.approx(100 * 2 / 3, abs=0.3)
    assert found.std() == pytest.approx(100 * 0.0354 * 2 / 2.25, rel=0.1)


def test_interval_leaves_two_and_a_half_per_cent_on_either_side() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx(Interval(25.0, 975.0))


def test_difference_counts_resamples_on_the_other_side_of_nought() -> None:
    """Of 99 resamples 4 favour the second file: p = 2 * (4 + 1) / 100."""
    first = np.full(99, 5.0)
    second = np.append(np.full(95, 3.0), np.full(4, 6.0))
    found = difference(1.5, first, second)
    assert found.value == 1.5
    assert found.p == pytest.approx(0.10)
    assert found.interval.high == 2.0
    assert difference(-1.5, second, first).p == pytest.approx(0.10)


def test_equal_files_differ_by_chance() -> None:
    assert difference(0.0, np.ones(9), np.ones(9)).p == 1.0


def test_mcnemar_by_hand() -> None:
    """First alone right in 5 rows, second alone in 1; two-sided: 2 * (1 + 6) / 2^6."""
    gold = np.zeros(8, dtype=int)
    first = np.array([0, 0, 0, 0, 0, 1, 1, 0])
    second = np.array([1, 1, 1, 1, 1, 0, 1, 0])
    found = mcnemar(gold, first, second)
    assert (found.only_first, found.only_second) == (5, 1)
    assert found.p == pytest.approx(14 / 64)
    assert mcnemar(gold, first, first).p == 1.0
