"""Cleans the rows of a file where that needs no judgement, and lists every change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from kore.common.errors import UserError
from kore.common.files import atomic_write, csv_writer
from kore.data.characters import find_suspicious, repaired_example
from kore.data.duplicates import (
    LEFT_OUT,
    REPAIRED,
    UNCHANGED,
    Change,
    Row,
    find_duplicates,
    left_out,
)
from kore.data.records import write_examples
from kore.inspection.checks import Finding

_REALIGNED = "word and sentence in one form (NFC, without invisible characters)"


def changes_file(path: Path) -> Path:
    """Where the changes made to a file are listed: clean.csv -> clean.changes.csv."""
    return path.with_suffix(".changes.csv")


def clean(
    rows: Sequence[Row],
    faults: Iterable[Finding],
    against: Collection[str],
    repairable: Sequence[Row] = (),
) -> tuple[list[Row], list[Change]]:
    """Leaves out faulty, leaked and repeated rows and repairs suspicious characters.

    Args:
        rows: those of a file without faults.
        faults: of its other rows.
        against: sentences that must not occur in the result, those of a test file for example.
        repairable: those of the faulty rows whose words have been made to agree with the sentence.

    Returns:
        (the rows that are left, all changes in the order of their lines).
    """
    realigned = {(row.line, row.example.id) for row in repairable}
    reasons: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for fault in faults:
        if (fault.lines[0], fault.id) in realigned:
            continue
        reasons[fault.lines[0], fault.id].append(f"{fault.column}: {fault.message}")
    changes = [Change(*place, LEFT_OUT, "; ".join(found)) for place, found in reasons.items()]
    kept = []
    for row in sorted([*rows, *repairable], key=lambda row: row.line):
        why = [_REALIGNED] if (row.line, row.example.id) in realigned else []
        repaired = row if row.example.sentence in against else _repair(row, changes, why)
        if repaired.example.sentence in against:
            changes.append(left_out(row, "its sentence also occurs in the file given as against"))
        else:
            kept.append(repaired)
    dropped = find_duplicates(kept, changes)
    kept = [row for row in kept if row not in dropped]
    return kept, sorted(changes, key=lambda change: change.line)


def write_cleaned(path: Path, rows: Sequence[Row], changes: Sequence[Change]) -> None:
    """Writes the rows in the competition's CSV form, and the changes beside them.

    Raises:
        UserError: no row is left, or a file cannot be written.
    """
    if not rows:
        raise UserError(f"`fix` {path}: no row would be left; nothing was written")
    write_examples(path, [row.example for row in rows])
    with atomic_write(changes_file(path)) as file:
        writer = csv_writer(file)
        writer.writerow(Change._fields)
        writer.writerows(changes)


def _repair(row: Row, changes: list[Change], why: Sequence[str]) -> Row:
    """The row with its characters repaired; `why` names what was repaired before."""
    names = dict.fromkeys(why)
    names |= dict.fromkeys(
        f"{found.name} ({found.kind})" for found in find_suspicious(row.example.sentence)
    )
    words = (row.example.subject.word, row.example.object.word)
    if any(word != word.strip() for word in words):
        names["white space at an end of an entity"] = None
    if not names:  # nearly all rows; repairing them as well would take seconds
        return row
    example = repaired_example(row.example)
    if example is None:
        reason = "an entity consists only of characters that a repair would remove"
        changes.append(Change(row.line, row.example.id, UNCHANGED, reason))
        return row
    if example == row.example and not why:
        return row
    changes.append(Change(row.line, row.example.id, REPAIRED, ", ".join(names)))
    return Row(row.line, example)
