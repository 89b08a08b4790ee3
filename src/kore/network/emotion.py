"""Encoder -> [CLS] and the target -> a logit for each label. The loss is elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from kore.network.heads import EncoderWithHead, make_head
from kore.network.pooling import POOLINGS, span_mask

THRESHOLD = 0.5


class EmotionClassifier(EncoderWithHead):
    """Any encoder with a head over [CLS] and the pooled target, one output for each label.

    Args:
        encoder: gives `last_hidden_state` (B, T, H).
        num_labels: C.
        pooling: a name in `POOLINGS`, for the target.
        dropout: of the head.
    """

    def __init__(
        self, encoder: PreTrainedModel, num_labels: int, pooling: str, dropout: float
    ) -> None:
        super().__init__(encoder)
        size = encoder.config.hidden_size
        self.pooling_name = pooling
        self.pooling = POOLINGS[pooling](size)
        joined = size * (1 + getattr(self.pooling, "vectors", 1))
        self.head = make_head(joined, size, num_labels, dropout)
        # Divides the logits in evaluation mode; fitted on the validation texts.
        self.temperature: Tensor
        self.register_buffer("temperature", torch.ones(()))
        # A label is true where its probability is at least this.
        self.thresholds: Tensor
        self.register_buffer("thresholds", torch.full((num_labels,), THRESHOLD))

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        target_span: Tensor,
        num_tokens: int | None = None,
    ) -> Tensor:
        """input_ids, attention_mask (B, T); target_span (B, 2), half-open -> logits (B, C).

        In evaluation mode (B, C, 2), of "false" and "true", whose softmax is the sigmoid of the
        logits: what computes probabilities knows no task.
        """
        mask = span_mask(target_span, input_ids.shape[1])
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        states, read = self._encoder_pass(
            input_ids, attention_mask, mask | (positions == 0), num_tokens
        )
        if read is not None:
            mask = mask.gather(1, read)
        logits: Tensor = self.head(torch.cat([states[:, 0], self.pooling(states, mask)], dim=-1))
        if self.training:
            return logits
        logits = logits.float() / self.temperature
        return torch.stack([torch.zeros_like(logits), logits], dim=-1)
