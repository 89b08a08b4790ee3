"""One temperature for all logits, so that a probability of 0.8 is right in four of five examples.

Guo et al. 2017, "On Calibration of Modern Neural Networks".
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from kore.common.arrays import Floats, Ints

_LOG_BOUNDS = (-3.0, 3.0)  # temperatures from 0.05 to 20
_SMALLEST = 1e-30  # a probability that was rounded to 0


def as_logits(probs: Floats) -> Floats:
    """Logits whose softmax is `probs` again."""
    return np.log(probs.clip(min=_SMALLEST))


def fit_temperature(gold: Ints, probs: Floats) -> float:
    """The temperature under which the gold relations are the most probable; 1 without an example.

    Args:
        gold: (N,), relation numbers.
        probs: (N, C), softmax probabilities of the logits at temperature 1.
    """
    if not len(gold):
        return 1.0
    logits = as_logits(probs)
    rows = np.arange(len(gold))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float((np.logaddexp.reduce(scaled, axis=1) - scaled[rows, gold]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_BOUNDS, method="bounded").x))


def at_temperature(probs: Floats, temperature: float) -> Floats:
    """The probabilities (N, C) that the same logits give at another temperature than 1."""
    scaled = as_logits(probs) / temperature
    return np.exp(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True))
