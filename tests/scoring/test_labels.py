"""Scores of many labels: by hand, and equal to scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score

from kore.scoring.labels import best_thresholds, score_labels

LABELS = ("a", "b", "c")


def test_scores_by_hand() -> None:
    gold = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    found = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    scores = score_labels(gold, found, LABELS)
    # a: 1 right, 1 found, 2 gold; b: 2 right, 3 found, 2 gold; c: none
    assert scores.by_label["a"].f1 == pytest.approx(200 / 3)
    assert scores.by_label["b"].f1 == pytest.approx(80)
    assert scores.by_label["c"].f1 == 0
    assert scores.micro_f1 == pytest.approx(200 * 3 / (4 + 4))
    assert scores.macro_f1 == pytest.approx((200 / 3 + 80) / 3)
    assert scores.exact_match == 50


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gold, found = (rng.random((40, 3)) < share for share in (0.3, 0.4))
    scores = score_labels(gold, found, LABELS)
    assert scores.micro_f1 == pytest.approx(100 * f1_score(gold, found, average="micro"))
    assert scores.macro_f1 == pytest.approx(100 * f1_score(gold, found, average="macro"))
    precisions = 100 * precision_score(gold, found, average=None, zero_division=0)
    assert [one.precision for one in scores.by_label.values()] == pytest.approx(list(precisions))
    assert scores.exact_match == pytest.approx(100 * (gold == found).all(axis=1).mean())


def test_thresholds_by_hand() -> None:
    gold = np.array([[1, 0, 1], [1, 0, 1], [0, 0, 0], [0, 0, 0]], dtype=bool)
    probs = np.array([[0.4, 0.9, 0.9], [0.3, 0.1, 0.6], [0.1, 0.1, 0.4], [0.1, 0.1, 0.1]])
    # 0.3 and 0.1 part the first label; the second is never true; 0.5 parts the third already
    assert best_thresholds(gold, probs) == pytest.approx([0.2, 0.5, 0.5])


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better(seed: int) -> None:
    """Against every threshold there is, with many equal probabilities."""
    rng = np.random.default_rng(seed)
    gold = rng.random((30, 1)) < 0.4
    probs = rng.integers(0, 6, (30, 1)) / 5
    chosen = best_thresholds(gold, probs)

    def f1(threshold: float) -> float:
        return score_labels(gold, probs >= threshold, ("a",)).micro_f1

    assert f1(chosen[0]) == pytest.approx(max(f1(value) for value in np.linspace(0, 1.01, 203)))
