"""Entities of a sentence -> questions for the relation model -> triples, each fact once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from kore.common.arrays import Floats
from kore.data.schema import Entity, Example, LabelMap, Span

FARTHEST = 300  # characters between two entities; the farthest pair of KLUE-RE train is nearer


class Triple(NamedTuple):
    """A fact that a sentence states: spans of the entities are in characters of the document."""

    subject: Entity
    relation: str
    object: Entity
    probability: float


class Answer(NamedTuple):
    """The most probable relation of a question."""

    relation: str
    probability: float


def questions(
    sentence: str, entities: Sequence[Entity], type_pairs: Collection[tuple[str, str]]
) -> Iterator[Example]:
    """An example for each ordered pair of entities, both directions one after the other.

    Args:
        entities: in the order of the text; pairs farther apart than FARTHEST are left out.
        type_pairs: types of subject and object that the relation model has seen; other pairs are
            left out. None known = all are asked about.
    """
    for pair in _neighbours(entities):
        if not pair[0].span.overlaps(pair[1].span):
            for subject, object_ in (pair, pair[::-1]):
                if not type_pairs or (subject.type, object_.type) in type_pairs:
                    yield Example("", sentence, subject, object_)


def _neighbours(entities: Sequence[Entity]) -> Iterator[tuple[Entity, Entity]]:
    """Pairs that are near enough, in the order of the text; a text without sentence ends has as
    many of them as it is long, and not the square.
    """
    for number, first in enumerate(entities):
        for second in entities[number + 1 :]:
            if second.span.start - first.span.end > FARTHEST:
                break
            yield first, second


def answers(probs: Floats, labels: LabelMap) -> list[Answer]:
    """probs (N, C) -> the most probable relation of each row."""
    best = probs.argmax(axis=1)
    return [
        Answer(labels.names[number], float(row[number]))
        for number, row in zip(best, probs, strict=True)
    ]


def facts(
    asked: Sequence[Example],
    answered: Sequence[Answer],
    labels: LabelMap,
    inverses: Mapping[str, str],
    min_probability: float = 0.0,
) -> list[Triple]:
    """The triples of a sentence, at most one for two entities, whichever is the subject.

    Where both directions have a relation the surer one stays: it is the same fact where one is the
    inverse of the other, and one of them is wrong where it is not.

    Args:
        asked, answered: questions, and the relation of each.
        inverses: the relation in the other direction; a relation that is its own inverse is
            stated in the order of the text.
        min_probability: facts that are less probable are left out.
    """
    sides_of: dict[frozenset[Span], list[Triple]] = {}
    for row, answer in zip(asked, answered, strict=True):
        if answer.relation != labels.no_relation:
            pair = frozenset((row.subject.span, row.object.span))
            triple = Triple(row.subject, answer.relation, row.object, answer.probability)
            sides_of.setdefault(pair, []).append(triple)
    found = []
    for sides in sides_of.values():
        best = max(sides, key=lambda triple: triple.probability)
        if inverses.get(best.relation) == best.relation and best.object.span < best.subject.span:
            best = best._replace(subject=best.object, object=best.subject)
        if best.probability >= min_probability:
            found.append(best)
    return found
