"""Attention over padded or packed rows.

On a CPU it is written out: for rows as short as ours torch's fused kernel takes longer, in training
up to three times, since its backward pass is slow. On a GPU the fused kernel runs, over packed rows
where its kernels allow that.
"""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from kore.data.levitated import PAIR_MARKERS
from kore.network.dropout import dropout

_LOGGER = logging.getLogger(__name__)


class Rotation(NamedTuple):
    """Cosines and sines (B or 1, T, 1, D) of the angles by which positions rotate a state."""

    cos: Tensor
    sin: Tensor

    def at(self, positions: Tensor) -> Rotation:
        """Those of the tokens at the positions (B, K)."""
        rows = torch.arange(self.cos.shape[0], device=positions.device)[:, None]
        return Rotation(*(part[rows, positions] for part in self))

    def rotate(self, states: Tensor) -> Tensor:
        """(B, T, heads, D) -> the same shape, computed in float32."""
        first, second = states.float().chunk(2, dim=-1)
        cos, sin = (part.chunk(2, dim=-1)[0] for part in self)
        rotated = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
        return rotated.to(states.dtype)


class Padded(NamedTuple):
    """Rows of one length.

    mask: (B, T), True on tokens, or (B, K, T), True where a query attends to a token; None where
        every query attends to every token.
    rotations: of the queries and of the keys, in an encoder that has them.
    """

    mask: Tensor | None
    rotations: tuple[Rotation, Rotation] | None = None

    def at(self, positions: Tensor) -> Padded:
        """The layout of the queries at positions (B, K), of queries that stood everywhere."""
        mask, rotations = self
        if mask is not None and mask.ndim == 3:
            mask = mask.gather(1, positions[..., None].expand(-1, -1, mask.shape[2]))
        if rotations is not None:
            rotations = rotations[0].at(positions), rotations[1]
        return Padded(mask, rotations)


class Packed(NamedTuple):
    """Rows one after the other. starts (B + 1,) of each row, and the end; longest: of any row."""

    starts: Tensor
    longest: int


class Levitated(NamedTuple):
    """Padded texts with the levitated markers of pairs behind them, see data/levitated.py.

    mask: (B, T), True on the texts' tokens; None where there is no padding.
    markers: M, how many of the last tokens are markers; four make a pair.
    group: of so many markers, which follow one another, each attends to the others.
    rotations: as in `Padded`.
    """

    mask: Tensor | None
    markers: int
    group: int = PAIR_MARKERS
    rotations: tuple[Rotation, Rotation] | None = None


class Marking(NamedTuple):
    """Levitated markers of pairs behind texts whose keys and values are there.

    mask: (B, T), and group as in `Levitated`.
    rotations: of the markers and of the texts, in an encoder that has them.
    """

    mask: Tensor | None
    group: int = PAIR_MARKERS
    rotations: tuple[Rotation, Rotation] | None = None


Layout = Padded | Packed | Levitated


def attend(query: Tensor, key: Tensor, value: Tensor, layout: Layout, probability: float) -> Tensor:
    """query (B, K, heads, D), key and value (B, T, heads, D) -> (B, K, heads, D).

    Args:
        layout: of the rows; packed ones have B = 1 and K = T, the number of all tokens.
        probability: of dropout on the attention weights.
    """
    if isinstance(layout, Packed):
        return attend_packed(query, key, value, layout, probability)
    if layout.rotations is not None:
        of_queries, of_keys = layout.rotations
        query, key = of_queries.rotate(query), of_keys.rotate(key)
    if isinstance(layout, Levitated):
        return attend_levitated(query, key, value, layout, probability)
    query, key, value = (states.transpose(1, 2) for states in (query, key, value))
    mask = layout.mask
    if mask is not None:
        mask = mask[:, None, None, :] if mask.ndim == 2 else mask[:, None]
    attend_padded = fused if query.is_cuda else written_out
    return attend_padded(query, key, value, mask, probability).transpose(1, 2)


def fused(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, probability: float
) -> Tensor:
    """query (B, heads, K, D), key, value (B, heads, T, D), mask (B, 1, 1 or K, T) -> as query."""
    return functional.scaled_dot_product_attention(query, key, value, mask, dropout_p=probability)


def written_out(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, probability: float
) -> Tensor:
    """The same as `fused`, step by step."""
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return dropout(scores.softmax(dim=-1), probability) @ value


def attend_packed(
    query: Tensor, key: Tensor, value: Tensor, layout: Packed, probability: float
) -> Tensor:
    """All (1, tokens, heads, D); every row attends to itself alone."""

    def rows(states: Tensor) -> Tensor:
        return torch.nested.nested_tensor_from_jagged(
            states[0], offsets=layout.starts, min_seqlen=1, max_seqlen=layout.longest
        ).transpose(1, 2)

    attended = functional.scaled_dot_product_attention(
        rows(query), rows(key), rows(value), dropout_p=probability
    )
    return attended.transpose(1, 2).values()[None]


def attend_levitated(
    query: Tensor, key: Tensor, value: Tensor, layout: Levitated, probability: float
) -> Tensor:
    """query, key and value (B, T + M, heads, D), all rotated -> as query.

    Texts attend to themselves, markers to the text and to those of their group.
    """
    parts = [states.tensor_split([-layout.markers], dim=1) for states in (query, key, value)]
    (text_query, text_key, text_value), own = zip(*parts, strict=True)
    of_texts = attend(text_query, text_key, text_value, Padded(layout.mask), probability)
    of_markers = _attend_in_groups(own, (text_key, text_value), layout, probability)
    return torch.cat([of_texts, of_markers], dim=1)


def attend_as_markers(
    query: Tensor, key: Tensor, value: Tensor, text: tuple[Tensor, Tensor], layout: Marking
) -> Tensor:
    """query, key and value (B, M, heads, D) of markers -> as query, without dropout.

    Args:
        text: keys and values (B, T, heads, D); as all others not rotated.
    """
    text_key, text_value = text
    if layout.rotations is not None:
        of_markers, of_text = layout.rotations
        query, key = of_markers.rotate(query), of_markers.rotate(key)
        text_key = of_text.rotate(text_key)
    return _attend_in_groups((query, key, value), (text_key, text_value), layout, 0.0)


def _attend_in_groups(
    own: Sequence[Tensor],
    text: tuple[Tensor, Tensor],
    layout: Levitated | Marking,
    probability: float,
) -> Tensor:
    """own: query, key and value (B, M, heads, D) of markers, rotated as those of the text."""
    mask, group = layout.mask, layout.group

    def groups(states: Tensor) -> Tensor:  # (B, M, heads, D) -> (B, heads, M / group, group, D)
        return states.transpose(1, 2).unflatten(2, (-1, group))

    own_query, own_key, own_value = map(groups, own)
    text_key, text_value = text
    flat = own_query.flatten(2, 3)  # (B, heads, M, D)
    to_text = flat @ text_key.permute(0, 2, 3, 1)  # (B, heads, M, T)
    if mask is not None:
        to_text = to_text.masked_fill(~mask[:, None, None, :], -torch.inf)
    to_own = (own_query @ own_key.transpose(-1, -2)).flatten(2, 3)  # (B, heads, M, group)
    scores = torch.cat([to_own, to_text], dim=-1) * flat.shape[-1] ** -0.5
    weights = dropout(scores.softmax(dim=-1), probability)
    of_own = weights[..., :group].unflatten(2, (-1, group)) @ own_value
    of_markers = of_own.flatten(2, 3) + weights[..., group:] @ text_value.transpose(1, 2)
    return of_markers.transpose(1, 2)


@functools.cache
def packing_works(device: torch.device) -> bool:
    """Whether attention over packed rows runs here and equals attention over padded ones.

    Nested tensors are new in torch and need kernels that not every GPU has, so it is tried once,
    and logged where it fails: padded rows take longer.
    """
    fault = _packing_fault(device)
    if fault:
        _LOGGER.info(f"Rows run padded: {fault}")
    return not fault


def _packing_fault(device: torch.device) -> str:
    dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else torch.float32
    try:
        # Prediction asks first, in inference mode, where nothing has a gradient.
        with torch.inference_mode(False), torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            difference, has_gradient = _packing_difference(device, dtype)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return f"packed ones fail here ({' '.join(str(error).split())[:200]})"
    return "" if difference < 0.05 and has_gradient else "packed ones give other numbers here"


def _packing_difference(device: torch.device, dtype: torch.dtype) -> tuple[float, bool]:
    """The largest difference between packed and padded rows; whether there is a gradient."""
    states = torch.randn(1, 5, 2, 64, device=device, generator=torch.Generator(device))
    states = states.to(dtype).requires_grad_()
    starts = torch.tensor([0, 2, 5], device=device)
    packed = attend_packed(states, states, states, Packed(starts, 8), 0.0)
    packed.sum().backward()
    rows = [states[:, :2], states[:, 2:]]
    padded = torch.cat([attend(row, row, row, Padded(None), 0.0) for row in rows], dim=1)
    return float((packed - padded).abs().max()), states.grad is not None
