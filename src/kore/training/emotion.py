"""Many labels as what a run learns: texts each label of which is true or false.

    bce      -[y log p + (1 - y) log(1 - p)]
    focal    -[y (1 - p)**gamma log p + (1 - y) p**gamma log(1 - p)]                Lin et al. 2017
    asl      -[y (1 - p)**gamma_positive log p + (1 - y) q**gamma_negative log(1 - q)],
             q = max(p - clip, 0)                                                 Ridnik et al. 2021

of each label; an example's loss is the mean over its labels. The authors of the last published it
twice: `AsymmetricLoss`, in which the weights (1 - p)**… and q**… are constants for the gradient,
and `AsymmetricLossOptimized`, in which they have a gradient as well. These are asl and asl2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kore.data.emotion import JudgedText, truths_of
from kore.data.targets import EncodedTarget, TargetBatch
from kore.network.emotion_file import EMOTION_KIND, TrainedEmotions, emotion_payload
from kore.prediction.predictor import predict_probs
from kore.scoring.calibration import at_temperature, fit_temperature
from kore.scoring.labels import (
    DEFAULT_THRESHOLD,
    LabelScores,
    Truths,
    best_thresholds,
    score_labels,
)
from kore.scoring.metrics import expected_calibration_error, reliability
from kore.training.emotion_options import ASL2, BCE, FITTED, FOCAL, TrainEmotionOptions
from kore.training.objective import Objective, Validated

EMOTION_STATE_KIND = "kore-emotions-training-state"
_SMALLEST = 1e-8

Loss = Callable[[Tensor, Tensor], Tensor]


class EncodedJudgements(NamedTuple):
    """Texts ready for the model, and their labels (N, C)."""

    rows: list[EncodedTarget]
    truths: Truths


class EmotionObjective(Objective):
    """The labels of training and validation texts.

    Args:
        about: the data, in words.
    """

    model_kind, state_kind = EMOTION_KIND, EMOTION_STATE_KIND

    def __init__(
        self,
        options: TrainEmotionOptions,
        trained: TrainedEmotions,
        train_data: EncodedJudgements,
        valid_data: EncodedJudgements,
        about: str,
    ) -> None:
        self.trained: TrainedEmotions = trained
        self.about = about
        self.train_data = train_data
        self.valid_data = valid_data
        self.loss = make_loss(options)
        self.is_fitted = options.thresholds == FITTED

    @property
    def lengths(self) -> Sequence[int]:
        return [row.length for row in self.train_data.rows]

    def batch(self, numbers: NDArray[Any], device: torch.device) -> TargetBatch:
        """The training texts of these numbers."""
        rows = [self.train_data.rows[number] for number in numbers]
        labels = torch.from_numpy(self.train_data.truths[numbers]).float()
        return TargetBatch.collate(rows, self.trained.encoder.pad_id, labels).to(device)

    def losses(self, model: Callable[..., Any], batch: TargetBatch) -> Tensor:
        """(B,) the mean over the labels of each text."""
        assert batch.labels is not None
        return self.loss(model(*batch.inputs), batch.labels)

    def validate(
        self,
        model: nn.Module,
        accelerator: Accelerator,
        require_finite: Callable[[float], None],
    ) -> Validated:
        """Scores the validation texts, and fits the temperature and where asked for thresholds."""
        temperature = self.trained.model.temperature.fill_(1.0)
        both = predict_probs(model, self.valid_data.rows, self.trained.encoder, accelerator)
        require_finite(float(both.sum()))
        gold = self.valid_data.truths
        flat_gold, flat = gold.ravel().astype(np.int64), both.reshape(-1, 2)
        loss = -np.log(flat[np.arange(len(flat)), flat_gold].clip(min=1e-30)).mean()
        temperature.fill_(fit_temperature(flat_gold, flat))
        calibrated = at_temperature(flat, float(temperature))
        probs = calibrated[:, 1].reshape(gold.shape)
        thresholds = best_thresholds(gold, probs) if self.is_fitted else DEFAULT_THRESHOLD
        self.trained.model.thresholds.copy_(torch.as_tensor(thresholds))
        scores = score_labels(gold, probs >= thresholds, self.trained.labels)
        row = {
            "valid_loss": float(loss),
            **scores.as_dict(),
            "ece": expected_calibration_error(flat_gold, calibrated),
            "ece_uncalibrated": expected_calibration_error(flat_gold, flat),
            "temperature": float(temperature),
        }
        curves = {
            "before": reliability(flat_gold, flat),
            "after": reliability(flat_gold, calibrated),
        }
        return Validated(row, in_words(row), by_label(scores), curves)

    def payload(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return emotion_payload(self.trained)


def by_label(scores: LabelScores) -> dict[str, Any]:
    """What a checkpoint keeps of each label: right, predicted, gold."""
    return {"by_label": {name: list(counts) for name, counts in scores.by_label.items()}}


def in_words(row: Mapping[str, Any]) -> str:
    """The scores of a row of the log, as part of a sentence."""
    return (
        f"micro-F1 {row['micro_f1']:.2f}, macro-F1 {row['macro_f1']:.2f}, exact match "
        f"{row['exact_match']:.2f}, calibration error {row['ece']:.2f}"
    )


def encode_judged(trained: TrainedEmotions, texts: Sequence[JudgedText]) -> EncodedJudgements:
    """Token ids and labels of texts, all of which have labels."""
    return EncodedJudgements(trained.encoder.encode(texts), truths_of(texts, trained.labels))


def make_loss(options: TrainEmotionOptions) -> Loss:
    """The loss that the options ask for: logits (B, C), labels (B, C) -> (B,), in float32."""
    if options.loss in (BCE, FOCAL):
        gamma = options.gamma if options.loss == FOCAL else 0.0
        return functools.partial(
            asymmetric_loss, gamma_positive=gamma, gamma_negative=gamma, clip=0.0, has_gradient=True
        )
    return functools.partial(
        asymmetric_loss,
        gamma_positive=options.gamma_positive,
        gamma_negative=options.gamma_negative,
        clip=options.clip,
        has_gradient=options.loss == ASL2,
    )


def asymmetric_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma_positive: float,
    gamma_negative: float,
    clip: float,
    has_gradient: bool,
) -> Tensor:
    """See the module; binary cross-entropy is the one without gamma and clip.

    Args:
        logits, labels: (B, C); 1 where a label is true.
        has_gradient: whether the weights of the labels have one.

    Returns:
        (B,), float32.
    """
    logits, labels = logits.float(), labels.float()
    probs = logits.sigmoid()
    shifted = (probs - clip).clamp(min=0)
    true_loss = -functional.logsigmoid(logits)
    # Of an unshifted probability by its logit, which is exact where it is near 1.
    false_loss = -functional.logsigmoid(-logits)
    if clip:
        false_loss = -(1 - shifted).clamp(min=_SMALLEST).log()
    with torch.set_grad_enabled(has_gradient and torch.is_grad_enabled()):
        true_weight = (1 - probs).clamp(min=_SMALLEST).pow(gamma_positive)
        # A probability of 0 has no slope under a power below 1.
        false_weight = shifted.clamp(min=_SMALLEST).pow(gamma_negative)
    return (labels * true_weight * true_loss + (1 - labels) * false_weight * false_loss).mean(dim=1)
