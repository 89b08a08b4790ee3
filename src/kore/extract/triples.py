"""Entities of a sentence -> questions for the relation model -> triples, each fact once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from kore.common.arrays import Floats
from kore.data.schema import Entity, Example, LabelMap


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
    sentence: str, entities: Sequence[Entity], types: Collection[str]
) -> Iterator[Example]:
    """An example for each ordered pair of entities, both directions one after the other.

    Args:
        types: that the relation model has seen; entities of other types are left out. None known
            = it reads no types, and all are asked about.
    """
    known = [one for one in entities if not types or one.type in types]
    for first, second in combinations(known, 2):
        if not first.span.overlaps(second.span):
            yield Example("", sentence, first, second)
            yield Example("", sentence, second, first)


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
    found = []
    for place in range(0, len(asked), 2):
        sides = [
            Triple(row.subject, answer.relation, row.object, answer.probability)
            for row, answer in zip(
                asked[place : place + 2], answered[place : place + 2], strict=True
            )
            if answer.relation != labels.no_relation
        ]
        if not sides:
            continue
        best = max(sides, key=lambda triple: triple.probability)
        if inverses.get(best.relation) == best.relation and best.object.span < best.subject.span:
            best = best._replace(subject=best.object, object=best.subject)
        if best.probability >= min_probability:
            found.append(best)
    return found
