"""Which tokens of an example that is too long are kept: always both entities and their markers."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from kore.data.schema import Span


class TokenEntity(NamedTuple):
    """Token spans of one entity: `outer` with its markers, `inner` without."""

    outer: Span
    inner: Span

    @property
    def num_marker_tokens(self) -> int:
        """Number of marker tokens."""
        return _size(self.outer) - _size(self.inner)


def kept_tokens(length: int, budget: int, subject: TokenEntity, object: TokenEntity) -> list[int]:
    """Positions of the tokens to keep, ascending, at most `budget` of `length`.

    - The example fits: all of it.
    - Both entities fit together with what is between them: one piece, the context left and right
      of them shared evenly.
    - Too far apart: a piece around each.
    - Too long in themselves: all markers, and as much of the head of each entity as fits.

    Raises:
        ValueError: not even the markers and one token of each entity fit.
    """
    if length <= budget:
        return list(range(length))
    if subject.num_marker_tokens + object.num_marker_tokens + 2 > budget:
        raise ValueError(f"{budget} tokens cannot hold the markers and a token of each entity")
    first, second = sorted([subject, object])
    joint = Span(first.outer.start, max(first.outer.end, second.outer.end))
    if _size(joint) <= budget:
        return list(_widened(joint, budget, Span(0, length)))
    size = _size(first.outer) + _size(second.outer)
    if size <= budget:
        # what lies between them is longer than all context, so that both pieces get their share
        share = _size(first.outer) + (budget - size) // 2
        left = _widened(first.outer, share, Span(0, second.outer.start))
        return [*left, *_widened(second.outer, budget - share, Span(left.stop, length))]
    return _heads(first, second, budget)


def kept_around(length: int, budget: int, entity: TokenEntity) -> list[int]:
    """The same for one entity: its markers and its head, and the context evenly around it.

    Raises:
        ValueError: not even the markers and a token of the entity fit.
    """
    if length <= budget:
        return list(range(length))
    if _size(entity.outer) <= budget:
        return list(_widened(entity.outer, budget, Span(0, length)))
    head = budget - entity.num_marker_tokens
    if head < 1:
        raise ValueError(f"{budget} tokens cannot hold the markers and a token of the entity")
    opening = range(entity.outer.start, entity.inner.start + head)
    return [*opening, *range(entity.inner.end, entity.outer.end)]


def moved(span: Span, kept: list[int]) -> Span:
    """`span` counted in the kept tokens."""
    return Span(bisect_left(kept, span.start), bisect_left(kept, span.end))


def _size(span: Span) -> int:
    return span.end - span.start


def _widened(span: Span, size: int, limits: Span) -> range:
    """`span` widened evenly to `size` tokens; what one side lacks goes to the other."""
    spare = size - _size(span)
    before = min(span.start - limits.start, spare // 2)
    after = min(limits.end - span.end, spare - before)
    before = min(span.start - limits.start, spare - after)
    return range(span.start - before, span.end + after)


def _heads(first: TokenEntity, second: TokenEntity, budget: int) -> list[int]:
    """All markers, and the head of each entity; what a short one leaves, the other has."""
    room = budget - first.num_marker_tokens - second.num_marker_tokens
    sizes = (_size(first.inner), _size(second.inner))
    head = max(min(sizes[0], room // 2), room - sizes[1])
    kept: set[int] = set()  # a set: without markers a token may belong to both entities
    for entity, count in ((first, head), (second, room - head)):
        kept.update(range(entity.outer.start, entity.inner.start + count))
        kept.update(range(entity.inner.end, entity.outer.end))
    return sorted(kept)
