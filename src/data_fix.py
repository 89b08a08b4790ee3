"""Mends the rows of a file as far as no judgement is needed, and keeps account of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from characters import find_odd, repaired_example
from data_checks import Finding, Row, groups_of_rows
from errors import UserError
from files import atomic_write, csv_writer
from records import write_examples

LEFT_OUT, REPAIRED, UNCHANGED = "left out", "repaired", "left as it is"


class Change(NamedTuple):
    """What was done to the row on `line`, and why."""

    line: int
    id: str
    what: str
    why: str


def changes_file(path: Path) -> Path:
    """Where the changes of a mended file are listed: clean.csv -> clean.changes.csv."""
    return path.with_suffix(".changes.csv")


def mend(
    rows: Sequence[Row], faults: Iterable[Finding], against: Collection[str]
) -> tuple[list[Row], list[Change]]:
    """Rows without faults, leaks, duplicates and suspicious characters; and all changes by line.

    Args:
        rows: the good rows of a file.
        faults: of its other rows.
        against: sentences that must not stand in the result.
    """
    reasons: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for fault in faults:
        reasons[fault.lines[0], fault.id].append(f"{fault.column}: {fault.message}")
    changes = [Change(*place, LEFT_OUT, "; ".join(found)) for place, found in reasons.items()]
    kept = []
    for row in rows:
        clean = row if row.example.sentence in against else _clean(row, changes)
        if clean.example.sentence in against:
            changes.append(_left_out(row, "its sentence stands in the file of --against"))
        else:
            kept.append(clean)
    doubles = find_doubles(kept, changes)
    kept = [row for row in kept if row not in doubles]
    return kept, sorted(changes, key=lambda change: change.line)


def write_mended(path: Path, rows: Sequence[Row], changes: Sequence[Change]) -> None:
    """Writes the rows in the competition's CSV form, and the changes beside them.

    Raises:
        UserError: no row is left, or a file cannot be written.
    """
    if not rows:
        raise UserError(f"--fix {path}: no row would be left; nothing was written")
    write_examples(path, [row.example for row in rows])
    with atomic_write(changes_file(path)) as file:
        writer = csv_writer(file)
        writer.writerow(Change._fields)
        writer.writerows(changes)


def _clean(row: Row, changes: list[Change]) -> Row:
    """The row with its characters repaired."""
    names = dict.fromkeys(f"{odd.name} ({odd.kind})" for odd in find_odd(row.example.sentence))
    words = (row.example.subject.word, row.example.object.word)
    if any(word != word.strip() for word in words):
        names["white space at an end of an entity"] = None
    if not names:  # nearly all rows; to repair them as well would take seconds
        return row
    example = repaired_example(row.example)
    if example is None:
        why = "an entity holds nothing but characters that a repair would remove"
        changes.append(Change(row.line, row.example.id, UNCHANGED, why))
        return row
    if example == row.example:
        return row
    changes.append(Change(row.line, row.example.id, REPAIRED, ", ".join(names)))
    return Row(row.line, example)


def find_doubles(rows: Sequence[Row], changes: list[Change]) -> set[Row]:
    """The rows of every repeated question that go: all but the first with the commonest label,
    and all of them where no label is commonest.
    """
    gone = set()
    for group in groups_of_rows(rows):
        votes = Counter(row.example.label for row in group).most_common(2)
        told = " to ".join(f"{label} ({count})" for label, count in votes)
        is_tie = len(votes) == 2 and votes[0][1] == votes[1][1]
        winner = votes[0][0]
        first = next(row for row in group if row.example.label == winner)
        for row in group:
            if is_tie:
                why = f"rows with the same question have other labels, undecided: {told}"
            elif row is first:
                continue
            else:
                why = f"repeats line {first.line}"
                why += "" if row.example.label == winner else f", outvoted: {told}"
            changes.append(_left_out(row, why))
            gone.add(row)
    return gone


def _left_out(row: Row, why: str) -> Change:
    return Change(row.line, row.example.id, LEFT_OUT, why)
