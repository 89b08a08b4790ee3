"""Texts with entities and relations between them -> records of pairs.

document: text, entities with spans, (subject, relation, object)
    -> for each relation the lines that hold both entities, with offsets of their own
    -> for each other pair of a line a record without a relation, where that is wanted
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

from kore.data.entity_cells import entity_cell
from kore.data.records import Record
from kore.data.schema import Entity, Span


class FormError(ValueError):
    """What is wrong with an object of a foreign format; `column` names the field."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True)
class Document:
    """A text with everything that is marked in it.

    breaks: where its sentences end, in characters; () = at the ends of lines.
    mentions_of: of an entity's key, what it is a mention of; nothing else has several mentions.
    """

    id: str
    text: str
    entities: Mapping[Any, Entity]
    relations: Sequence[tuple[Any, Any, Any]]  # key of the subject, relation, key of the object
    breaks: Sequence[int] = ()
    mentions_of: Mapping[Any, Any] = field(default_factory=dict)
    _bounds: list[int] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        ends = self.breaks or [at for at, mark in enumerate(self.text) if mark == "\n"]
        self._bounds.extend([0, *ends, len(self.text)])
        for subject, _, object_ in self.relations:
            for key in (subject, object_):
                if key not in self.entities:
                    raise FormError("relations", f"names the entity {key!r}, which is not there")

    def sentence_around(self, first: Span, second: Span) -> Span:
        """The sentences from the one that holds the first entity to that of the last."""
        start, end = min(first.start, second.start), max(first.end, second.end)
        return Span(
            max(bound for bound in self._bounds if bound <= start),
            min(bound for bound in self._bounds if bound >= end),
        )


def document_of_tokens(
    document_id: str,
    sentences: Sequence[Sequence[str]],
    entities: Mapping[Any, tuple[int, int, str]],
    relations: Sequence[tuple[Any, Any, Any]],
    *,
    mentions_of: Mapping[Any, Any] | None = None,
) -> Document:
    """A document of tokens, joined by spaces.

    Args:
        sentences: their tokens.
        entities: (first token, token behind the last, type), counted through all sentences.

    Raises:
        FormError: an entity lies outside the tokens.
    """
    tokens = [token for sentence in sentences for token in sentence]
    if not tokens or not all(isinstance(token, str) for token in tokens):
        raise FormError("tokens", "expected a list of texts that is not empty")
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token) + 1)
    text = " ".join(tokens)
    found = {}
    for key, (first, behind, kind) in entities.items():
        if not 0 <= first < behind <= len(tokens):
            raise FormError(
                "entities",
                f"tokens {first} to {behind - 1} lie outside the {len(tokens)} tokens",
            )
        span = Span(starts[first], starts[behind] - 1)
        found[key] = Entity(text[span.start : span.end], span, kind)
    number, breaks = 0, []
    for sentence in sentences:
        number += len(sentence)
        breaks.append(starts[number] - 1)
    return Document(document_id, text, found, relations, breaks, mentions_of=mentions_of or {})


def records_of_pairs(document: Document, no_relation: str | None) -> Iterator[Record]:
    """A record for each relation, and for each pair without one where `no_relation` names it.

    Such a pair is in one sentence, and has no relation in the other direction either.
    """
    pairs = [(subject, object_, label) for subject, label, object_ in document.relations]
    if no_relation is not None:
        pairs += [(subject, object_, no_relation) for subject, object_ in unrelated(document)]
    for number, (subject, object_, label) in enumerate(pairs):
        yield _record(document, number, subject, object_, label)


def unrelated(document: Document) -> Iterator[tuple[Any, Any]]:
    """Ordered pairs of entities of a sentence without a relation in either direction.

    Two mentions of one entity are no pair.
    """

    def pair(one: Any, other: Any) -> frozenset[Any]:
        return frozenset(document.mentions_of.get(key, key) for key in (one, other))

    related = {pair(subject, object_) for subject, _, object_ in document.relations}
    places = {
        key: document.sentence_around(entity.span, entity.span)
        for key, entity in document.entities.items()
    }
    for (first, one), (second, other) in permutations(document.entities.items(), 2):
        if (
            places[first] == places[second]
            and len(pair(first, second)) == 2
            and pair(first, second) not in related
            and not one.span.overlaps(other.span)
        ):
            yield first, second


def _record(document: Document, number: int, subject: Any, object_: Any, label: Any) -> Record:
    entities = [document.entities[subject], document.entities[object_]]
    around = document.sentence_around(*(one.span for one in entities))
    piece = document.text[around.start : around.end]
    start = around.start + len(piece) - len(piece.lstrip())
    cells = [
        entity_cell(
            Entity(
                _on_one_line(one.word),
                Span(one.span.start - start, one.span.end - start),
                one.type,
            )
        )
        for one in entities
    ]
    return {
        "id": f"{document.id}-{number}",
        "sentence": _on_one_line(piece.strip()),
        "subject_entity": cells[0],
        "object_entity": cells[1],
        "label": label,
    }


def _on_one_line(text: str) -> str:
    """A line end stands between two sentences that one relation joins; offsets stay."""
    return text.replace("\r", " ").replace("\n", " ")
