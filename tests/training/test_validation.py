"""Scores and temperature of validation rows, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor
from torch.nn import functional

from kore.data.schema import LabelMap
from kore.training.validation import ExpectedShares, validate

LABELS = LabelMap(("no_relation", "A"), "no_relation")


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits, labels, reduction="none")


def test_scores_are_calibrated_and_the_loss_is_not() -> None:
    """Sure at 0.9, right in three rows of four: temperature 2 makes 0.75 of it."""
    gold = np.array([1, 1, 1, 0])
    probs = np.tile([0.1, 0.9], (4, 1))
    result = validate(gold, probs, LABELS, cross_entropy)
    assert result.temperature == pytest.approx(2.0, abs=1e-3)
    assert result.ece_uncalibrated == pytest.approx(15.0)
    assert result.scores.ece == pytest.approx(0.0, abs=0.05)
    assert result.loss == pytest.approx(-(3 * np.log(0.9) + np.log(0.1)) / 4)
    assert result.scores.micro_f1 == pytest.approx(100 * 6 / 7)
    assert result.curves["before"][0].confidence == pytest.approx(0.9)
    assert result.curves["after"][0].confidence == pytest.approx(0.75, abs=1e-3)


def test_expected_shares_shift_and_weigh_the_scores_alone() -> None:
    """Half of the examples are no_relation, three quarters are expected: 0.6 is too little."""
    gold = np.array([1, 0, 1, 0])
    probs = np.array([[0.4, 0.6], [0.9, 0.1], [0.1, 0.9], [0.4, 0.6]])
    shares = np.array([0.75, 0.25])
    expected = ExpectedShares(shares, np.log(shares / 0.5))
    plain = validate(gold, probs, LABELS, cross_entropy)
    result = validate(gold, probs, LABELS, cross_entropy, expected=expected)
    assert plain.scores.micro_f1 == pytest.approx(100 * 4 / 5)  # 2 found, 1 invented
    assert result.scores.micro_f1 == pytest.approx(100 * 2 / 3)  # 1 of 2 found, none invented
    assert result.scores.accuracy == pytest.approx(100 * (3 * 2 + 1) / 8)  # weights 1.5 and 0.5
    assert result.temperature == plain.temperature
    assert result.scores.ece == plain.scores.ece


def test_only_examples_whose_relation_is_allowed_are_fitted_on() -> None:
    """The last row, ruled out, would have softened the others from 0.75 to 0.6."""
    gold = np.array([1, 1, 1, 0, 0])
    probs = np.tile([0.1, 0.9], (5, 1))
    allowed = np.array([True, True, True, True, False])
    result = validate(gold, probs, LABELS, cross_entropy, allowed)
    assert result.temperature == pytest.approx(2.0, abs=1e-3)


def test_without_an_example_to_fit_on_the_temperature_stays_one() -> None:
    gold = np.array([1, 0])
    probs = np.array([[0.9, 0.1], [0.2, 0.8]])
    result = validate(gold, probs, LABELS, cross_entropy, np.array([False, False]))
    assert result.temperature == 1.0
    assert result.scores.ece == pytest.approx(result.ece_uncalibrated)
