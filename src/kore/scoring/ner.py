"""Scores of named entities, x 100, as KLUE and seqeval give them.

- entity F1: an entity is found where borders and type are right (seqeval's strict mode on IOB2).
  Micro over all entities, macro over the types that are gold or predicted. KLUE's "entity F1" is
  the macro average.
- character F1: KLUE's second score, the macro F1 of all tags over characters, O among them.

Sources: KLUE benchmark (Park et al. 2021, section 3.5) and its baseline's metrics, which call
seqeval 1.2 and scikit-learn with zero_division 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kore.data.schema import Span

Entities = Sequence[tuple[Span, str]]  # of one text


class Counts(NamedTuple):
    """Entities, or characters, that are right, predicted and gold."""

    right: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        """Share of what is predicted that is right, x 100; 0 where nothing is."""
        return 100 * self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of what is gold that is found, x 100; 0 where there is nothing."""
        return 100 * self.right / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 200 * self.right / (self.predicted + self.gold) if self.right else 0.0


# What a log, a table of folds and a model card hold.
SCORE_NAMES = ("precision", "recall", "micro_f1", "macro_f1", "character_f1", "accuracy")


class EntityScores(NamedTuple):
    """Scores of all texts together.

    counts: of all entities. by_type: of each type that is gold or predicted, sorted by name.
    character_f1: macro over tags. accuracy: share of the characters with the right tag, x 100.
    """

    counts: Counts
    by_type: dict[str, Counts]
    character_f1: float
    accuracy: float

    @property
    def micro_f1(self) -> float:
        """F1 of all entities together."""
        return self.counts.f1

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the types; KLUE's entity F1."""
        return sum(counts.f1 for counts in self.by_type.values()) / max(1, len(self.by_type))

    @property
    def precision(self) -> float:
        """Of all entities together."""
        return self.counts.precision

    @property
    def recall(self) -> float:
        """Of all entities together."""
        return self.counts.recall

    def as_dict(self) -> dict[str, float]:
        """The scores by name, without those of single types."""
        return {name: getattr(self, name) for name in SCORE_NAMES}


def score_entities(
    gold: Sequence[Entities],
    predicted: Sequence[Entities],
    gold_tags: Sequence[Sequence[str]],
    predicted_tags: Sequence[Sequence[str]],
    all_tags: Iterable[str],
) -> EntityScores:
    """Scores of texts, by their entities and by the tags of their characters.

    Args:
        all_tags: those of the schema, over which the character score is averaged; one that
            neither is gold nor predicted counts as 100, as in KLUE.
    """
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for own_gold, own in zip(gold, predicted, strict=True):
        right.update(kind for _, kind in set(own_gold) & set(own))
        found.update(kind for _, kind in own)
        wanted.update(kind for _, kind in own_gold)
    by_type = {
        kind: Counts(right[kind], found[kind], wanted[kind]) for kind in sorted(wanted | found)
    }
    totals = Counts(right.total(), found.total(), wanted.total())
    tags = _tag_counts(gold_tags, predicted_tags)
    f1 = [tags[tag].f1 if tag in tags else 100.0 for tag in all_tags]
    characters = sum(counts.gold for counts in tags.values())
    hits = sum(counts.right for counts in tags.values())
    return EntityScores(totals, by_type, sum(f1) / max(1, len(f1)), 100 * hits / max(1, characters))


def _tag_counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> dict[str, Counts]:
    """Of each tag that is gold or predicted."""
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for own_gold, own in zip(gold, predicted, strict=True):
        right.update(one for one, other in zip(own_gold, own, strict=True) if one == other)
        found.update(own)
        wanted.update(own_gold)
    return {tag: Counts(right[tag], found[tag], wanted[tag]) for tag in wanted | found}
