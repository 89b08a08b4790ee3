"""Relations as what a run learns: examples with two marked entities, each with one relation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from kore.common.arrays import Floats
from kore.data.dataset import Batch, EncodedExample
from kore.network.checkpoint import MODEL_KIND, STATE_KIND, TrainedModel, model_payload
from kore.prediction.predictor import predict_probs
from kore.training.loss import make_loss
from kore.training.objective import Objective, Validated
from kore.training.options import TrainOptions
from kore.training.regularization import example_losses, masked
from kore.training.validation import ExpectedShares, validate


@dataclass
class EncodedData:
    """Examples ready for the model, and their relation numbers."""

    rows: list[EncodedExample]
    labels: list[int]

    @property
    def lengths(self) -> list[int]:
        return [len(row.input_ids) for row in self.rows]


class RelationObjective(Objective):
    """The relations of a training and a validation file.

    Args:
        options: loss, masked tokens and R-Drop.
        expected: class shares (C,) to score the validation examples under; None = their own.
    """

    model_kind, state_kind = MODEL_KIND, STATE_KIND

    def __init__(
        self,
        options: TrainOptions,
        trained: TrainedModel,
        train_data: EncodedData,
        valid_data: EncodedData,
        expected: Floats | None = None,
        about: str = "",
    ) -> None:
        self.options = options
        self.about = about
        self.trained: TrainedModel = trained
        self.train_data = train_data
        self.valid_data = valid_data
        self.expected = expected
        self.loss = make_loss(options)

    @property
    def lengths(self) -> Sequence[int]:
        return self.train_data.lengths

    def batch(self, numbers: NDArray[Any], device: torch.device) -> Batch:
        """The training examples of these numbers, some of their tokens masked where asked for."""
        rows = [self.train_data.rows[i] for i in numbers]
        labels = [self.train_data.labels[i] for i in numbers]
        encoder = self.trained.input_encoder
        batch = Batch.collate(rows, encoder.pad_id, labels).to(device)
        if not self.options.mask_tokens:
            return batch
        return masked(batch, self.options.mask_tokens, encoder.tokenizer)

    def losses(self, model: Callable[..., Any], batch: Batch) -> Tensor:
        """(B,), with the divergence between two passes where R-Drop is asked for."""
        return example_losses(model, batch, self.loss, self.options.r_drop)

    def validate(
        self,
        model: nn.Module,
        accelerator: Accelerator,
        require_finite: Callable[[float], None],
    ) -> Validated:
        """Scores the validation examples, and sets what the model does to its logits by them."""
        temperature = self.trained.classifier.temperature.fill_(1.0)
        odds = self.trained.classifier.log_odds
        kept = odds.cpu().double().numpy()
        odds.zero_()  # the temperature is that of the examples as they are
        probs = predict_probs(model, self.valid_data.rows, self.trained.input_encoder, accelerator)
        require_finite(float(probs.sum()))
        gold = np.asarray(self.valid_data.labels)
        expected = None if self.expected is None else ExpectedShares(self.expected, kept)
        is_allowed = self._gold_is_allowed(gold)
        result = validate(gold, probs, self.trained.labels, self.loss, is_allowed, expected)
        temperature.fill_(result.temperature)
        odds.copy_(torch.from_numpy(kept))
        scores = result.scores
        row = {
            "valid_loss": result.loss,
            "micro_f1": scores.micro_f1,
            "auprc": scores.auprc,
            "accuracy": scores.accuracy,
            "ece": scores.ece,
            "ece_uncalibrated": result.ece_uncalibrated,
            "temperature": result.temperature,
        }
        summary = (
            f"micro-F1 {scores.micro_f1:.2f}, AUPRC {scores.auprc:.2f}, accuracy "
            f"{scores.accuracy:.2f}, calibration error {scores.ece:.2f} "
            f"({result.ece_uncalibrated:.2f} before)"
        )
        return Validated(row, summary, scores.as_dict(), result.curves)

    def payload(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return model_payload(self.trained)

    def _gold_is_allowed(self, gold: np.ndarray) -> np.ndarray | None:
        """(N,) whether the entities' types allow each gold relation; None = all are allowed."""
        allowed = self.trained.classifier.allowed
        if allowed is None:
            return None
        types = np.asarray([row.entity_types for row in self.valid_data.rows])
        return allowed.cpu().numpy()[types[:, 0], types[:, 1], gold]
