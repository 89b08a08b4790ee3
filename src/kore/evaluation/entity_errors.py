"""Gold entities against found ones: what kind of error each is, and which types are confused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kore.common.arrays import Ints
from kore.data.ner import TaggedText
from kore.data.schema import Entity

NONE = "(none)"
TYPE, BORDER, BOTH, MISSED, INVENTED = "type", "border", "border and type", "missed", "invented"


class EntityError(NamedTuple):
    """One gold entity that was not found as it is, or one found where there is none."""

    id: str
    kind: str
    gold: Entity | None
    found: Entity | None
    text: str


def entity_errors(gold: TaggedText, found: Sequence[Entity]) -> Iterator[EntityError]:
    """The errors of one text, in the order of the text.

    A gold entity is compared with the found one that shares most characters with it.
    """
    hit: set[Entity] = set()
    for entity in gold.entities:
        other = max(
            (one for one in found if one.span.overlaps(entity.span)),
            key=lambda one: _shared(one, entity),
            default=None,
        )
        if other is not None:
            hit.add(other)
        kind = _kind(entity, other)
        if kind:
            yield EntityError(gold.id, kind, entity, other, gold.text)
    for one in found:
        if one not in hit:
            yield EntityError(gold.id, INVENTED, None, one, gold.text)


def _kind(gold: Entity, found: Entity | None) -> str:
    """What is wrong; "" where nothing is."""
    if found is None:
        return MISSED
    is_same_span, is_same_type = gold.span == found.span, gold.type == found.type
    if is_same_span:
        return "" if is_same_type else TYPE
    return BORDER if is_same_type else BOTH


def _shared(one: Entity, other: Entity) -> int:
    return min(one.span.end, other.span.end) - max(one.span.start, other.span.start)


def type_pairs(
    gold: Iterable[TaggedText], found: Iterable[Sequence[Entity]], types: Sequence[str]
) -> tuple[Ints, Ints]:
    """The types of gold and found entities that belong together, as numbers; the last is none.

    For a confusion matrix: (N,) gold and (N,) found, those that are right among them.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for row, own in zip(gold, found, strict=True):
        errors = list(entity_errors(row, own))
        wrong = {error.gold for error in errors}
        counts.update((one.type, one.type) for one in row.entities if one not in wrong)
        for error in errors:
            sides = (one.type if one else NONE for one in (error.gold, error.found))
            counts[next(sides), next(sides)] += 1
    number = {name: place for place, name in enumerate([*types, NONE])}
    pairs = [(number[one], number[other]) for (one, other), n in counts.items() for _ in range(n)]
    left, right = np.asarray(pairs, dtype=np.int64).reshape(-1, 2).T
    return left, right
