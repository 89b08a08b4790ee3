"""States taken at some positions of a row, and which positions those are."""

from __future__ import annotations

import torch
from torch import Tensor

from kore.data.levitated import ENTITY_MARKERS


def distinct_entities(marker_ids: Tensor, borders: Tensor) -> tuple[Tensor, Tensor]:
    """The markers of each text by entity and role, each once.

    Args:
        marker_ids, borders: (B, M), two markers an entity and their positions.

    Returns:
        first: (B, N), where the distinct ones stand among the M; the first ones again where a text
            has fewer of them.
        back: (B, M), which of the N each of the M is.
    """
    batch, count = marker_ids.shape
    opening, start, end = marker_ids[:, ::2], borders[:, ::2], borders[:, 1::2]
    bound = int(borders.max()) + 1
    codes = (opening * bound + start) * bound + end  # the closing marker is that of the opening one
    codes = codes + torch.arange(batch, device=codes.device)[:, None] * (int(codes.max()) + 1)
    _, number = torch.unique(codes, return_inverse=True)  # in the order of the texts
    last = number.amax(dim=1)
    number = number - torch.cat([last.new_zeros(1), last[:-1] + 1])[:, None]
    most = -(-int(number.max() + 1) // 4) * 4  # few shapes, see `batching.padded_length`
    first = torch.zeros(batch, most, dtype=torch.long, device=codes.device)
    places = torch.arange(count // ENTITY_MARKERS, device=codes.device).expand_as(number)
    first.scatter_(1, number, places)

    def as_markers(entities: Tensor) -> Tensor:
        both = torch.arange(ENTITY_MARKERS, device=entities.device)
        return (entities[..., None] * ENTITY_MARKERS + both).flatten(1)

    return as_markers(first), as_markers(number)


def query_positions(query_mask: Tensor) -> Tensor:
    """(B, T) -> (B, K): the positions that are True, in order, then others where they are fewer.

    K is the most that are True in a row, in steps of 8: few shapes, see `batching.padded_length`.
    """
    most = -(-int(query_mask.sum(dim=1).max()) // 8) * 8
    return query_mask.byte().argsort(dim=1, descending=True, stable=True)[:, :most]


def at_positions(hidden: Tensor, positions: Tensor) -> Tensor:
    """hidden (B, T, H), positions (B, K) -> (B, K, H)."""
    batch, length, size = hidden.shape
    rows = torch.arange(batch, device=hidden.device)[:, None] * length
    flat = hidden.reshape(batch * length, size).index_select(0, (rows + positions).flatten())
    return flat.view(*positions.shape, size)
