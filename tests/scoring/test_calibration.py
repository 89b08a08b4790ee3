"""Temperatures that are known by hand or by how the rows were drawn."""

from __future__ import annotations

import numpy as np
import pytest

from kore.scoring.calibration import at_temperature, fit_temperature


def softmax(logits: np.ndarray) -> np.ndarray:
    exps = np.exp(logits)
    return exps / exps.sum(axis=1, keepdims=True)


def test_temperature_by_hand() -> None:
    """Three rows of four are right at odds of 9 to 1; honest odds are 3 to 1: log 9 / log 3 = 2."""
    probs = np.tile([0.9, 0.1], (4, 1))
    assert fit_temperature(np.array([0, 0, 0, 1]), probs) == pytest.approx(2.0, abs=1e-3)
    assert at_temperature(probs, 2.0) == pytest.approx(np.tile([0.75, 0.25], (4, 1)))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_that_drew_the_rows_is_found(temperature: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (20_000, 5))
    true = softmax(logits / temperature)
    gold = (generator.random((len(true), 1)) > true.cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(gold, softmax(logits)) == pytest.approx(temperature, rel=0.05)


def test_probabilities_at_a_temperature_are_those_of_the_divided_logits() -> None:
    logits = np.array([[1.0, -2.0, 0.5], [3.0, 3.0, -1.0]])
    assert at_temperature(softmax(logits), 1.7) == pytest.approx(softmax(logits / 1.7))


def test_a_probability_of_nought_does_no_harm() -> None:
    """Underflow in one row, which is wrong: it costs much, but stays finite."""
    probs = np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.4]])
    temperature = fit_temperature(np.array([0, 1, 0]), probs)
    assert 1 < temperature <= 20.1
    assert np.isfinite(at_temperature(probs, temperature)).all()


def test_without_a_row_nothing_is_scaled() -> None:
    assert fit_temperature(np.zeros(0, dtype=int), np.zeros((0, 3))) == 1.0
