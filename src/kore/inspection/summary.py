"""The numbers behind the pictures of a data set: pure functions of its examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

import pandas as pd

from kore.data.duplicates import Row, groups_of_rows
from kore.data.schema import Example, Role, type_pair

UNLABELLED = "(no label)"


def label_counts(examples: Sequence[Example]) -> dict[str, int]:
    """Examples of each relation, the most frequent first."""
    return _most_frequent_first(row.label or UNLABELLED for row in examples)


def source_counts(examples: Sequence[Example]) -> dict[str, int]:
    """Examples of each source, the most frequent first."""
    return _most_frequent_first(row.source or "(none)" for row in examples)


def type_pairs(examples: Sequence[Example]) -> pd.DataFrame:
    """Examples of each relation (index) with each pair of subject and object type (columns)."""
    relations = [row.label or UNLABELLED for row in examples]
    table = pd.crosstab(pd.Series(relations), pd.Series(list(map(type_pair, examples))))
    return table.loc[list(label_counts(examples))]


def words_by_relation(examples: Sequence[Example], role: Role) -> dict[str, Counter[str]]:
    """How often each word is the subject, or the object, of each relation."""
    words: dict[str, Counter[str]] = {name: Counter() for name in label_counts(examples)}
    for row in examples:
        entity = row.subject if role == "subject" else row.object
        words[row.label or UNLABELLED][entity.word] += 1
    return words


def entity_position(example: Example, role: Role) -> float:
    """Where in the sentence an entity begins: 0 = at its start, 1 = after its last character."""
    entity = example.subject if role == "subject" else example.object
    return entity.span.start / len(example.sentence)


def subjects_first(examples: Sequence[Example]) -> int:
    """How many examples have the subject before the object."""
    return sum(row.subject.span < row.object.span for row in examples)


def conflicting_labels(examples: Sequence[Example]) -> dict[tuple[str, str], int]:
    """How often the same sentence, subject and object have each pair of different labels."""
    rows = (Row(number, row) for number, row in enumerate(examples) if row.label is not None)
    pairs: Counter[tuple[str, str]] = Counter()
    for group in groups_of_rows(rows):
        names = sorted({str(row.example.label) for row in group})
        pairs.update(combinations(names, 2))
    return dict(pairs.most_common())


def _most_frequent_first(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
