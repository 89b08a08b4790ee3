"""Repeated examples, and what cleaning does with them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kore.data.schema import Entity, Example


class Row(NamedTuple):
    """A good row and its line."""

    line: int
    example: Example


def row_key(example: Example) -> tuple[str, Entity, Entity]:
    """Rows with the same key ask the same question: sentence, and both entities with word, span
    and type. With words instead of spans, two mentions of a name in a sentence would be one.
    """
    return example.sentence, example.subject, example.object


def groups_of_rows(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of every `row_key` that occurs more than once, in order."""
    groups: defaultdict[tuple[str, Entity, Entity], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row_key(row.example)].append(row)
    return [group for group in groups.values() if len(group) > 1]


LEFT_OUT, REPAIRED, UNCHANGED = "left out", "repaired", "left as it is"


class Change(NamedTuple):
    """What was done to the row on `line`, and why."""

    line: int
    id: str
    what: str
    why: str


def find_duplicates(rows: Sequence[Row], changes: list[Change]) -> set[Row]:
    """The rows of every repeated question that go: all but the first with the commonest label,
    and all of them where no label is commonest.
    """
    dropped = set()
    for group in groups_of_rows(rows):
        votes = Counter(row.example.label for row in group).most_common(2)
        counts = " to ".join(f"{label} ({count})" for label, count in votes)
        is_tie = len(votes) == 2 and votes[0][1] == votes[1][1]
        winner = votes[0][0]
        first = next(row for row in group if row.example.label == winner)
        for row in group:
            if is_tie:
                why = f"rows with the same question have other labels, undecided: {counts}"
            elif row is first:
                continue
            else:
                why = f"repeats line {first.line}"
                why += "" if row.example.label == winner else f", outvoted: {counts}"
            changes.append(left_out(row, why))
            dropped.add(row)
    return dropped


def left_out(row: Row, why: str) -> Change:
    """That a row is left out."""
    return Change(row.line, row.example.id, LEFT_OUT, why)
