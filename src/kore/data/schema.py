"""The nouns of relation extraction: entity, example, relation names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

BLIND_LABEL = "100"  # what the competition's test file holds in place of a relation


class Span(NamedTuple):
    """A half-open range, of characters or of tokens as the name that holds it says."""

    start: int
    end: int

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end


class Entity(NamedTuple):
    """A marked entity: `span` is in characters of the sentence."""

    word: str
    span: Span
    type: str


class Example(NamedTuple):
    """An example: which relation does the subject have to the object? `label` None = not known."""

    id: str
    sentence: str
    subject: Entity
    object: Entity
    label: str | None = None
    source: str = ""


@dataclass(frozen=True)
class LabelMap:
    """Relation names in the order of the model's outputs; `no_relation` None = no such relation."""

    names: tuple[str, ...]
    no_relation: str | None

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ValueError("relation names are not unique")
        if self.no_relation is not None and self.no_relation not in self.names:
            raise ValueError(f"{self.no_relation!r} is not among the relations")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, names: Iterable[str]) -> list[int]:
        """Numbers of relations. Raises KeyError for a name that is not in the schema."""
        numbers = {name: number for number, name in enumerate(self.names)}
        return [numbers[name] for name in names]

    @property
    def positive(self) -> list[int]:
        """Numbers of all relations but `no_relation`: those that micro-F1 counts."""
        return [number for number, name in enumerate(self.names) if name != self.no_relation]


def labels_in_order(labels: Sequence[str], no_relation: str | None) -> tuple[str, ...]:
    """An order for the relations of a data set: no_relation first, the others by name."""
    return tuple(sorted(set(labels), key=lambda name: (name != no_relation, name)))


def entity_types(examples: Iterable[Example]) -> tuple[str, ...]:
    """The types that entities of the examples have, sorted."""
    types = {entity.type for row in examples for entity in (row.subject, row.object)}
    return tuple(sorted(types - {""}))


def entity_pair(example: Example) -> tuple[str, ...]:
    """The words of both entities, whichever is the subject: what a model can memorize."""
    return tuple(sorted((example.subject.word, example.object.word)))


def entity_distance(example: Example) -> int:
    """Characters between the two entities."""
    first, second = sorted([example.subject.span, example.object.span])
    return second.start - first.end


def type_pair(example: Example) -> str:
    """The types of subject and object: "ORG-PER"."""
    return f"{example.subject.type}-{example.object.type}"


Role = Literal["subject", "object"]


# KLUE's entity types as words a Korean encoder knows; any other type stands for itself.
TYPE_WORDS = {
    "PER": "사람",
    "ORG": "단체",
    "LOC": "장소",
    "DAT": "날짜",
    "POH": "기타",
    "NOH": "수량",
}
