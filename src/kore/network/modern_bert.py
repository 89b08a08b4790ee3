"""ModernBERT's layer (Warner et al. 2024), called module by module as `encoder_pass` calls BERT's.

Norms stand before attention and feed-forward, the feed-forward layer is gated (GeGLU, Shazeer
2020), and positions are rotations of queries and keys (Su et al. 2021), so they are relative.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import ModernBertModel, PreTrainedModel

from kore.network.attention import Rotation


def is_global_modern_bert(encoder: PreTrainedModel) -> bool:
    """Whether it is a ModernBERT in whose every layer all tokens attend to each other."""
    return type(encoder) is ModernBertModel and set(encoder.config.layer_types or ()) == {
        "full_attention"
    }


def rotation(encoder: Any, hidden: Tensor, positions: Tensor | None = None) -> Rotation:
    """Of the positions (B, T) of hidden (B, T, H), by default 0, 1, 2 …, (1, T)."""
    if positions is None:
        positions = torch.arange(hidden.shape[1], device=hidden.device)[None]
    cos, sin = encoder.rotary_emb(hidden.float(), positions, "full_attention")
    return Rotation(cos[:, :, None], sin[:, :, None])


def project(layer: Any, queries: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, K, H) and (B, T, H) -> query (B, K, heads, D), key and value (B, T, heads, D).

    They are not rotated.
    """
    query, key, value = (
        states.unflatten(-1, (-1, layer.attn.head_dim))
        for states in _projected(layer, queries, hidden)
    )
    return query, key, value


def finish(layer: Any, queries: Tensor, attended: Tensor) -> Tensor:
    """What follows attention: the layer's output (B, K, H) from `attended` (B, K, H)."""
    attention = layer.attn
    states = queries + attention.out_drop(attention.Wo(attended))
    return states + layer.mlp(layer.mlp_norm(states))


def attention_dropout(layer: Any) -> float:
    """The probability by which training drops attention weights."""
    return layer.attn.attention_dropout


def _projected(layer: Any, queries: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
    """Query (B, K, H), key and value (B, T, H)."""
    joint = layer.attn.Wqkv
    if queries is hidden:
        return joint(layer.attn_norm(hidden)).chunk(3, dim=-1)
    sizes = [hidden.shape[-1], 2 * hidden.shape[-1]]
    weights = joint.weight.split(sizes)
    biases = (None, None) if joint.bias is None else joint.bias.split(sizes)
    query = functional.linear(layer.attn_norm(queries), weights[0], biases[0])
    both = functional.linear(layer.attn_norm(hidden), weights[1], biases[1])
    return query, *both.chunk(2, dim=-1)
