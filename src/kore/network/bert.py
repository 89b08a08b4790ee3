"""The layer that BERT, RoBERTa, XLM-RoBERTa and ELECTRA share, called module by module."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def project(layer: Any, queries: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, K, H) and (B, T, H) -> query (B, K, heads, D), key and value (B, T, heads, D)."""
    attention = layer.attention.self

    def heads(states: Tensor) -> Tensor:
        return states.unflatten(-1, (attention.num_attention_heads, -1))

    return (
        heads(attention.query(queries)),
        heads(attention.key(hidden)),
        heads(attention.value(hidden)),
    )


def finish(layer: Any, queries: Tensor, attended: Tensor) -> Tensor:
    """What follows attention: the layer's output (B, K, H) from `attended` (B, K, H)."""
    return layer.feed_forward_chunk(layer.attention.output(attended, queries))


def attention_dropout(layer: Any) -> float:
    """The probability by which training drops attention weights."""
    return layer.attention.self.dropout.p
