"""Span pooling: the states of a span as one vector."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn


class MeanPooling(nn.Module):
    """Mean of a span's states."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (B, T, H), mask (B, T) True in the span -> (B, H)."""
        weights = mask.to(hidden.dtype)[:, :, None]
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


class MaxPooling(nn.Module):
    """The largest value a span's states have in each dimension."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (B, T, H), mask (B, T) True in the span -> (B, H)."""
        return hidden.masked_fill(~mask[:, :, None], -torch.inf).amax(dim=1)


class StartPooling(nn.Module):
    """The state of a span's first token: the start marker, where there are markers."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (B, T, H), mask (B, T) True in the span -> (B, H)."""
        first = mask.long().argmax(dim=1)
        return hidden[torch.arange(len(hidden), device=hidden.device), first]


class AttentionPooling(nn.Module):
    """A span's states weighted by learned scores, softmax over the span."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.score = nn.Linear(hidden_size, 1)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (B, T, H), mask (B, T) True in the span -> (B, H)."""
        scores = self.score(hidden).squeeze(-1).float().masked_fill(~mask, -torch.inf)
        weights = scores.softmax(dim=1).to(hidden.dtype)
        return (hidden * weights[:, :, None]).sum(dim=1)


class StartEndPooling(nn.Module):
    """The states of a span's first and last token, concatenated: its markers, if there are any."""

    vectors: ClassVar[int] = 2

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (B, T, H), mask (B, T) True in the span -> (B, 2 H)."""
        rows = torch.arange(len(hidden), device=hidden.device)
        first = mask.long().argmax(dim=1)
        last = mask.shape[1] - 1 - mask.long().flip(1).argmax(dim=1)
        return torch.cat([hidden[rows, first], hidden[rows, last]], dim=-1)


POOLINGS: dict[str, type[nn.Module]] = {
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": AttentionPooling,
    "start": StartPooling,
    "start_end": StartEndPooling,
}


CLS_ONLY = "cls"  # the name of "no span pooling" in a checkpoint


def span_mask(span: Tensor, length: int) -> Tensor:
    """(B, 2) half-open spans -> (B, length), True inside."""
    positions = torch.arange(length, device=span.device)
    return (positions >= span[:, :1]) & (positions < span[:, 1:])
