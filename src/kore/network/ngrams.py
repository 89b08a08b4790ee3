"""A linear model of hashed n-grams, added to the encoder: wide and deep.

Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems", train both parts together. Here
the linear part is fitted by itself and before (training/ngram_fit.py): it memorizes the training
examples in two epochs, and would leave the encoder nothing to explain.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kore.data.ngrams import NUM_FIELDS


class NgramHead(nn.Module):
    """Logits of n-grams; its weights are buffers, which no optimizer of the encoder moves.

    Args:
        buckets: numbers that a field of n-grams has.
        num_labels: C.
    """

    def __init__(self, buckets: int, num_labels: int) -> None:
        super().__init__()
        self.buckets = buckets
        self.table: Tensor
        self.bias: Tensor
        self.register_buffer("table", torch.zeros(1 + NUM_FIELDS * buckets, num_labels))
        self.register_buffer("bias", torch.zeros(num_labels))

    def forward(self, ngrams: Tensor) -> Tensor:
        """ngrams (B, F), numbers from 1, 0 on padding -> logits (B, C) in float32."""
        return weighted_sum(self.table, ngrams, self.weights(ngrams)) + self.bias.float()

    def weights(self, ngrams: Tensor) -> Tensor:
        """(B, F): of a field's n-grams, 1 / the root of their number, so that long texts count no
        more than short ones; 0 on padding.
        """
        fields = (ngrams - 1).div(self.buckets, rounding_mode="floor")  # -1 on padding
        is_of = fields[:, :, None] == torch.arange(NUM_FIELDS, device=ngrams.device)  # (B, F, 6)
        scale = is_of.sum(dim=1).clamp(min=1).float().rsqrt()  # (B, 6)
        return (is_of * scale[:, None, :]).sum(dim=-1)


class CharacterNgrams(nn.Module):
    """Logits of the n-grams around each character, for a tagger; see `NgramHead`.

    Args:
        buckets: numbers of n-grams.
        num_tags: K.
    """

    def __init__(self, buckets: int, num_tags: int) -> None:
        super().__init__()
        self.table: Tensor
        self.bias: Tensor
        self.register_buffer("table", torch.zeros(buckets, num_tags))
        self.register_buffer("bias", torch.zeros(num_tags))

    def forward(self, ngrams: Tensor) -> Tensor:
        """ngrams (B, S, F), see `data.ngrams.ngrams_around` -> logits (B, S, K) in float32."""
        return self.table[ngrams].float().sum(dim=-2) + self.bias.float()


def weighted_sum(table: Tensor, ngrams: Tensor, weights: Tensor) -> Tensor:
    """table (N, C), ngrams and weights (B, F) -> (B, C)."""
    with torch.autocast(table.device.type, enabled=False):
        return torch.bmm(weights[:, None, :], table.float()[ngrams])[:, 0]
