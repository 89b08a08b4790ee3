"""Fields of rows -> Examples, checked row by row.

Fields are `id` (or KLUE's `guid`), `sentence, subject_entity, object_entity[, label][, source]`.
A faulty row is reported as
`file:line column: what was found, what is expected`; all of them are gathered before the run stops.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from kore.common.errors import UserError
from kore.common.files import atomic_write, csv_writer
from kore.common.progress import progress_bar
from kore.data.entity_cells import parse_entity, shortened
from kore.data.records import SURPLUS, Record, has_half_character, iter_records
from kore.data.schema import BLIND_LABEL, Entity, Example

_LOGGER = logging.getLogger(__name__)

SHOWN_FAULTS = 20
STOP = "stop"


class RowFault(NamedTuple):
    """What is wrong in one cell. `line` counts from 1, the CSV's header included."""

    line: int
    column: str
    message: str
    record: Record


class CheckedRow(NamedTuple):
    """One row of a file: an Example, or None and all that is wrong with it."""

    line: int
    example: Example | None
    faults: list[RowFault]


def read_examples(
    path: Path,
    *,
    need_labels: bool = False,
    known_labels: Collection[str] | None = None,
    on_bad_row: str = STOP,
    output_dir: Path | str = "outputs",
) -> list[Example]:
    """All examples of a file, in order; see `check_records`."""
    return check_records(
        str(path),
        iter_records(path),
        need_labels=need_labels,
        known_labels=known_labels,
        on_bad_row=on_bad_row,
        output_dir=output_dir,
    )


def check_records(
    name: str,
    records: Iterable[tuple[int, Record]],
    *,
    need_labels: bool = False,
    known_labels: Collection[str] | None = None,
    on_bad_row: str = STOP,
    output_dir: Path | str = "outputs",
) -> list[Example]:
    """Rows as Examples, in order.

    Args:
        name: of the file or data set, for messages.
        records: (line, fields) of every row.
        need_labels: a missing or blind label is a fault; otherwise labels are taken as they are.
        known_labels: with `need_labels`, any other label is a fault.
        on_bad_row: "stop" raises the faults; "skip" writes the faulty rows, with their faults, to
            a CSV file in `output_dir`, logs where, and leaves them out.

    Raises:
        UserError: there are faulty rows (the first 20 are named), or no rows.
    """
    checked = iter_checked(
        name,
        records,
        need_labels=need_labels,
        known_labels=known_labels,
        on_bad_row=on_bad_row,
        output_dir=output_dir,
    )
    return [example for _, example in checked]


def iter_checked(
    name: str,
    records: Iterable[tuple[int, Record]],
    *,
    need_labels: bool = False,
    known_labels: Collection[str] | None = None,
    on_bad_row: str = STOP,
    output_dir: Path | str = "outputs",
) -> Iterator[tuple[int, Example]]:
    """The same one by one, each with its number among all records (from 0).

    Memory does not grow with the number of good rows. What is raised comes after the last row.
    """
    faults: list[RowFault] = []
    is_empty = True
    rows = iter_rows(name, records, need_labels=need_labels, known_labels=known_labels)
    for number, row in enumerate(rows):
        if row.example is None:
            faults += row.faults
        else:
            is_empty = False
            yield number, row.example
    if faults:
        _report(name, faults, on_bad_row, Path(output_dir))
    if is_empty:
        raise UserError(f"{name}: holds no rows{' that can be used' if faults else ''}")


def iter_rows(
    name: str,
    records: Iterable[tuple[int, Record]],
    *,
    need_labels: bool,
    known_labels: Collection[str] | None = None,
) -> Iterator[CheckedRow]:
    """Every row, good or faulty, in order; the arguments are those of `check_records`."""
    lines_of_ids = LinesOfIds()
    for line, record in progress_bar(records, desc=f"reading {name}", unit=" rows"):
        example, faults = parse_record(line, record)
        if example is not None:
            faults = faults + identity_faults(line, record, example, lines_of_ids)
            if need_labels:
                faults = faults + _label_faults(line, record, example, known_labels)
        yield CheckedRow(line, None if faults else example, faults)


def parse_record(line: int, record: Record) -> tuple[Example | None, list[RowFault]]:
    """One row as an Example, or None and what is wrong with it."""
    faults: list[RowFault] = []

    def fault(column: str, message: str) -> None:
        faults.append(RowFault(line, column, message, record))

    if SURPLUS in record:
        fault(
            "row",
            f"{len(record[SURPLUS])} more cells than the header has columns, "
            "expected double quotes around cells that hold a comma",
        )
        return None, faults
    for column, cell in record.items():
        if isinstance(cell, str) and has_half_character(cell):
            fault(column, f"{shortened(cell)} holds half of a character, expected whole ones")
            return None, faults
    sentence = record.get("sentence")
    if not isinstance(sentence, str) or sentence.strip().lower() in ("", "nan"):
        fault("sentence", f"found {sentence!r}, expected a sentence")
        return None, faults
    entities: list[Entity] = []
    for column in ("subject_entity", "object_entity"):
        try:
            entities.append(parse_entity(record.get(column), sentence))
        except ValueError as error:
            fault(column, str(error))
    if len(entities) < 2:
        return None, faults
    subject, object_ = entities
    if subject.span.overlaps(object_.span):
        fault(
            "object_entity",
            f"{object_.word!r} overlaps the subject {subject.word!r}, expected two separate spans",
        )
        return None, faults
    label = record.get("label")
    return (
        Example(
            id=record_id(record),
            sentence=sentence,
            subject=subject,
            object=object_,
            label=None if label in (None, "", BLIND_LABEL, int(BLIND_LABEL)) else str(label),
            source=str(record.get("source") or ""),
        ),
        faults,
    )


def record_id(record: Record) -> str:
    """A row's id, or its guid where the file is KLUE's own; "" where it has none."""
    row_id = record.get("id", record.get("guid"))
    return "" if row_id is None else str(row_id)


class LinesOfIds:
    """The line each id was first seen on, in a temporary file once there are many."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # "" is a file that SQLite makes and removes itself
        self._database.execute("CREATE TABLE ids (id BLOB PRIMARY KEY, line INT) WITHOUT ROWID")

    def earlier_line(self, row_id: str, line: int) -> int | None:
        """The line that had `row_id` before; None where this one is the first."""
        key = row_id.encode("utf-8", errors="surrogatepass")
        added = self._database.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", (key, line))
        if added.rowcount:
            return None
        found = self._database.execute("SELECT line FROM ids WHERE id = ?", (key,))
        return int(found.fetchone()[0])


def identity_faults(
    line: int, record: Record, example: Example, lines_of_ids: LinesOfIds | None
) -> list[RowFault]:
    """An id that is empty, or stands in `lines_of_ids` already; a good one is added to it.

    Without `lines_of_ids`, doubles are not looked for.
    """
    if not example.id:
        return [RowFault(line, "id", "is empty, expected an id of its own for every row", record)]
    first = None if lines_of_ids is None else lines_of_ids.earlier_line(example.id, line)
    if first is not None:
        message = f"{example.id!r} stands on line {first} as well, expected every id once"
        return [RowFault(line, "id", message, record)]
    return []


def _label_faults(
    line: int, record: Record, example: Example, known: Collection[str] | None
) -> list[RowFault]:
    if example.label is None:
        message = f"found {record.get('label')!r}, expected the name of a relation"
    elif known is not None and example.label not in known:
        message = (
            f"{shortened(example.label)} is not one of the {len(known)} relations; mend it, or "
            "name a label map that has it (`label2id_path` auto takes the labels of the training "
            "file)"
        )
    else:
        return []
    return [RowFault(line, "label", message, record)]


def _report(name: str, faults: list[RowFault], on_bad_row: str, output_dir: Path) -> None:
    """Stops with the faults named, or sets their rows aside."""
    rows = len({id(fault.record) for fault in faults})  # a line of JSON may hold many rows
    if on_bad_row == STOP:
        first = [f"{name}:{fault.line} {fault.column}: {fault.message}" for fault in faults]
        raise faults_error(name, first[:SHOWN_FAULTS], len(faults), rows)
    rejected = output_dir / f"{Path(name).name}.rejected.csv"
    columns = list(dict.fromkeys(column for fault in faults for column in fault.record))
    with atomic_write(rejected) as file:
        writer = csv_writer(file)
        writer.writerow(["line", "column", "reason", *columns])
        for fault in faults:
            cells = [fault.record.get(column) for column in columns]
            writer.writerow([fault.line, fault.column, fault.message, *cells])
    _LOGGER.info(f"{name}: {rows} faulty rows set aside in {rejected}")


def faults_error(name: str, first: list[str], faults: int, rows: int) -> UserError:
    """What a run with `on_bad_row` stop ends in: the first of so many faults in so many rows."""
    more = [f"… and {faults - len(first)} more"] if faults > len(first) else []
    advice = f"{rows} faulty rows in {name}: mend them, or set them aside with `on_bad_row` skip"
    return UserError("\n".join([*first, *more, advice]))
