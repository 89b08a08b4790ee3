"""Validation scores, and the temperature that calibrates a model."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kore.common.arrays import Floats, Ints
from kore.data.schema import LabelMap
from kore.scoring.calibration import as_logits, at_temperature, fit_temperature
from kore.scoring.label_shift import at_prior, row_weights
from kore.scoring.metrics import (
    ReliabilityBin,
    Scores,
    expected_calibration_error,
    reliability,
    score,
)
from kore.training.loss import Loss


class ExpectedShares(NamedTuple):
    """Class shares (C,) where the model is used, and their log odds (C,) against training's."""

    shares: Floats
    log_odds: Floats


class Validation(NamedTuple):
    """Scores of calibrated probabilities, which are what prediction gives.

    loss: the mean over the examples, at temperature 1. curves: reliability "before" and "after".
    Calibration is that under the class shares of the examples, whatever others are expected.
    """

    scores: Scores
    loss: float
    temperature: float
    ece_uncalibrated: float
    curves: dict[str, list[ReliabilityBin]]


def validate(
    gold: Ints,
    probs: Floats,
    labels: LabelMap,
    loss: Loss,
    gold_is_allowed: NDArray[np.bool_] | None = None,
    expected: ExpectedShares | None = None,
) -> Validation:
    """Fits a temperature and scores what it gives.

    Args:
        gold: (N,), relation numbers.
        probs: (N, C), at temperature 1.
        loss: of logits (N, C) and labels (N,), a value for each example.
        gold_is_allowed: (N,), False where the model rules the gold relation out; such examples
            are not fitted on, as they would have the temperature soften all others. Where none is
            left, the temperature stays 1.
        expected: class shares to score under; None = those of the examples.
    """
    logits = torch.from_numpy(as_logits(probs))
    fitted = np.ones(len(gold), dtype=np.bool_) if gold_is_allowed is None else gold_is_allowed
    temperature = fit_temperature(gold[fitted], probs[fitted]) if fitted.any() else 1.0
    calibrated = at_temperature(probs, temperature)
    scored, weights = calibrated, None
    if expected is not None:
        scored = at_prior(calibrated, expected.log_odds)
        weights = row_weights(gold, expected.shares)
    scores = score(gold, scored, labels, weights)
    return Validation(
        scores=replace(scores, ece=expected_calibration_error(gold, calibrated)),
        loss=float(loss(logits, torch.from_numpy(gold)).mean()),
        temperature=temperature,
        ece_uncalibrated=expected_calibration_error(gold, probs),
        curves={"before": reliability(gold, probs), "after": reliability(gold, calibrated)},
    )
