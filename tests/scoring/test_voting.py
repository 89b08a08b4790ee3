"""Votes counted by hand; weights that are known."""

from __future__ import annotations

import numpy as np
import pytest

from kore.scoring.voting import fit_weights, hard_vote, soft_vote

EQUAL = np.full(3, 1 / 3)
# Row 1: two files say 1, the third is surer of 0. Row 2: three files, three relations.
FILES = [
    np.array([[0.4, 0.6, 0.0], [0.8, 0.1, 0.1]]),
    np.array([[0.45, 0.55, 0.0], [0.1, 0.5, 0.4]]),
    np.array([[0.9, 0.0, 0.1], [0.0, 0.2, 0.8]]),
]


def test_soft_vote_is_the_mean() -> None:
    probs = soft_vote(FILES, EQUAL)
    assert probs[0] == pytest.approx([1.75 / 3, 1.15 / 3, 0.1 / 3])
    assert probs[0].argmax() == 0
    weighted = soft_vote(FILES, np.array([0.5, 0.5, 0.0]))
    assert weighted[0] == pytest.approx([0.425, 0.575, 0.0])


def test_hard_vote_counts_files_and_breaks_ties_by_the_mean() -> None:
    probs = hard_vote(FILES)
    assert probs[0] == pytest.approx([(1 + 1.75 / 3) / 4, (2 + 1.15 / 3) / 4, (0.1 / 3) / 4])
    # one vote each; the means are 0.3, 0.267 and 0.433
    assert probs[1].argmax() == 2
    assert probs.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_a_sure_minority_never_wins_a_hard_vote() -> None:
    files = [np.array([[0.51, 0.49]]), np.array([[0.51, 0.49]]), np.array([[0.0, 1.0]])]
    assert soft_vote(files, EQUAL).argmax() == 1
    assert hard_vote(files).argmax() == 0


def test_weights_by_hand() -> None:
    """Gold likelihoods 0.8 / 0.2 in three rows, 0.2 / 0.8 in one.

    The derivative of 3 log(0.2 + 0.6 w) + log(0.8 - 0.6 w) is 0 where
    3 * 0.6 * (0.8 - 0.6 w) = 0.6 * (0.2 + 0.6 w), at w = 2.2 / 2.4.
    """
    gold = np.array([0, 0, 0, 1])
    first, second = np.tile([0.8, 0.2], (4, 1)), np.tile([0.2, 0.8], (4, 1))
    weights = fit_weights([first, second], gold)
    assert weights == pytest.approx([2.2 / 2.4, 0.2 / 2.4], abs=1e-3)


def test_a_file_that_is_always_worse_gets_nothing() -> None:
    gold = np.zeros(5, dtype=int)
    weights = fit_weights([np.tile([0.9, 0.1], (5, 1)), np.tile([0.5, 0.5], (5, 1))], gold)
    assert weights == pytest.approx([1.0, 0.0], abs=1e-4)


def test_a_probability_of_nought_does_no_harm() -> None:
    gold = np.array([0, 1])
    weights = fit_weights([np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.5, 0.5]] * 2)], gold)
    assert np.isfinite(weights).all()
    assert weights[1] > 0.9
