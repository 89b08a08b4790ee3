"""The head that every task has: two layers over what was pooled."""

from __future__ import annotations

from torch import nn

from kore.network.dropout import Dropout


def make_head(input_size: int, hidden_size: int, outputs: int, dropout: float) -> nn.Sequential:
    """(…, input_size) -> (…, outputs)."""
    return nn.Sequential(
        Dropout(dropout),
        nn.Linear(input_size, hidden_size),
        nn.GELU(),
        Dropout(dropout),
        nn.Linear(hidden_size, outputs),
    )
