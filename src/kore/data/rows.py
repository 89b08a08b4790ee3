"""Fields of rows -> Examples, checked row by row.

Fields are `id` (or KLUE's `guid`), `sentence`, `subject_entity`, `object_entity`, and maybe `label`
(or `relation`) and `source`. A faulty row is reported as `file:line column: what was found, what is
expected`; all of them are gathered before the run stops.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kore.common.errors import UserError
from kore.common.processes import is_main_process
from kore.common.progress import progress_bar
from kore.data.characters import realigned
from kore.data.entity_cells import entity_cell, parse_entity, read_entity, shortened
from kore.data.faults import SKIP, STOP, RowFault, stop_or_reject
from kore.data.records import ALL_REQUIRED, SURPLUS, Record, iter_records, missing_columns
from kore.data.schema import BLIND_LABEL, Entity, Example
from kore.data.text_files import has_half_character

_BLIND_LABELS = (BLIND_LABEL, f"{BLIND_LABEL}.0")


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
    records: Iterable[tuple[int, Record] | RowFault],
    *,
    need_labels: bool = False,
    known_labels: Collection[str] | None = None,
    on_bad_row: str = STOP,
    output_dir: Path | str = "outputs",
) -> list[Example]:
    """Rows as Examples, in order.

    Args:
        name: of the file or data set, for messages.
        records: (line, fields) of every row, or why it could not be read.
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
    records: Iterable[tuple[int, Record] | RowFault],
    *,
    need_labels: bool = False,
    known_labels: Collection[str] | None = None,
    on_bad_row: str = STOP,
    output_dir: Path | str = "outputs",
) -> Iterator[tuple[int, Example]]:
    """The same one by one, each with its number among all records (from 0).

    What is raised for faulty rows comes after the last row.
    """
    if on_bad_row not in (STOP, SKIP):
        raise UserError(f"`on_bad_row` is {on_bad_row!r}, expected {STOP} or {SKIP}")
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
        stop_or_reject(name, faults, on_bad_row, Path(output_dir))
    if is_empty:
        raise UserError(f"{name}: holds no rows{' that can be used' if faults else ''}")


def iter_rows(
    name: str,
    records: Iterable[tuple[int, Record] | RowFault],
    *,
    need_labels: bool = False,
    known_labels: Collection[str] | None = None,
) -> Iterator[CheckedRow]:
    """Every row, good or faulty, in order; the arguments are those of `check_records`.

    A fault among the records is a row that could not even be read.

    Memory does not grow with the rows, but for a hash of every id.

    Raises:
        UserError: after the last row, where none of them has a field that all need.
    """
    places = PlacesOfIds()
    fields: dict[str, None] = {}  # in order
    bar = progress_bar(records, desc=f"reading {name}", unit=" rows", quiet=not is_main_process())
    for found in bar:
        if isinstance(found, RowFault):
            yield CheckedRow(found.line, None, [found])
            continue
        line, record = found
        fields.update(dict.fromkeys(name for name in record if name != SURPLUS))
        example, faults = parse_record(line, record)
        if example is not None:
            faults = faults + identity_faults(line, record, example, places)
            if need_labels:
                faults = faults + _label_faults(line, record, example, known_labels)
        yield CheckedRow(line, None if faults else example, faults)
    missing = missing_columns(fields, (*ALL_REQUIRED, "label") if need_labels else ALL_REQUIRED)
    if fields and missing:
        raise UserError(f"{name}: {missing}")


def parse_record(line: int, record: Record) -> tuple[Example | None, list[RowFault]]:
    """One row as an Example, or None and what is wrong with it."""
    found = _text_fault(record)
    if found is not None:
        return None, [RowFault(line, *found, record)]
    sentence = record["sentence"]
    entities: list[Entity] = []
    faults: list[RowFault] = []
    for column in ("subject_entity", "object_entity"):
        try:
            entities.append(parse_entity(record.get(column), sentence))
        except ValueError as error:
            faults.append(RowFault(line, column, str(error), record))
    if faults:
        return None, faults
    subject, object_ = entities
    if subject.span.overlaps(object_.span):
        message = (
            f"{object_.word!r} overlaps the subject {subject.word!r}, expected two separate spans"
        )
        return None, [RowFault(line, "object_entity", message, record)]
    return (
        Example(
            id=record_id(record),
            sentence=sentence,
            subject=subject,
            object=object_,
            label=record_label(record),
            source=str(record.get("source") or ""),
        ),
        [],
    )


def record_id(record: Record) -> str:
    """A row's id, or its guid where the file is KLUE's own; "" where it has none."""
    row_id = record.get("id", record.get("guid"))
    return "" if row_id is None else str(row_id)


def record_label(record: Record) -> str | None:
    """A row's label, or its relation where the file names the column so; None = not known."""
    label = _raw_label(record)
    # 100.0 is what pandas makes of a column of 100; nan, which equals nothing, of an empty cell.
    is_unknown = label is None or label != label or str(label) in ("", *_BLIND_LABELS)
    return None if is_unknown else str(label)


def realigned_record(record: Record) -> Record | None:
    """A row whose words differ from what their spans cut out in composition (NFC) or invisible
    characters alone, with sentence and entities that agree; None for any other row.
    """
    sentence = record.get("sentence")
    columns = ("subject_entity", "object_entity")
    try:
        entities = [read_entity(record.get(column)) for column in columns]
    except ValueError:
        return None
    found = realigned(sentence, entities) if isinstance(sentence, str) else None
    if found is None:
        return None
    text, agreeing = found
    cells = [entity_cell(entity) for entity in agreeing]
    return {**record, "sentence": text, **dict(zip(columns, cells, strict=True))}


class PlacesOfIds:
    """Where each id was first seen, by a hash of 16 bytes: about 130 MB for a million ids."""

    def __init__(self) -> None:
        self._first: dict[bytes, int] = {}

    def earlier(self, row_id: str, line: int) -> int | None:
        """The line that had `row_id` before; None where this one is the first."""
        text = row_id.encode("utf-8", errors="surrogatepass")
        key = hashlib.blake2b(text, digest_size=16).digest()
        if key in self._first:
            return self._first[key]
        self._first[key] = line
        return None


def identity_faults(
    line: int, record: Record, example: Example, places: PlacesOfIds | None
) -> list[RowFault]:
    """An id that is empty, or has its place in `places` already; a good one is added to it.

    Without `places`, repeated ids are not looked for.
    """
    if not example.id:
        return [RowFault(line, "id", "is empty, expected an id of its own for every row", record)]
    first = None if places is None else places.earlier(example.id, line)
    if first is not None:
        message = f"{example.id!r} is also the id of the row at {first}, expected every id once"
        return [RowFault(line, "id", message, record)]
    return []


def _text_fault(record: Record) -> tuple[str, str] | None:
    """(column, message) of what makes a row unreadable before its entities are looked at."""
    if SURPLUS in record:
        return "row", (
            f"{len(record[SURPLUS])} more cells than the header has columns, "
            "expected double quotes around cells that hold a comma"
        )
    for column, cell in record.items():
        if isinstance(cell, str) and has_half_character(cell):
            return column, f"{shortened(cell)} holds half of a character, expected whole ones"
    sentence = record.get("sentence")
    if not isinstance(sentence, str) or sentence.strip().lower() in ("", "nan"):
        return "sentence", f"found {sentence!r}, expected a sentence"
    return None


def _raw_label(record: Record) -> Any:
    return record.get("label", record.get("relation"))


def _label_faults(
    line: int, record: Record, example: Example, known: Collection[str] | None
) -> list[RowFault]:
    if example.label is None:
        message = f"found {_raw_label(record)!r}, expected the name of a relation"
    elif known is not None and example.label not in known:
        hint = " (a number, expected a name)" if example.label.isdecimal() else ""
        message = (
            f"{shortened(example.label)} is not one of the {len(known)} relations{hint}; correct "
            "it, or name a label map that has it (`label2id_path` auto takes the labels of the "
            "training file)"
        )
    else:
        return []
    return [RowFault(line, "label", message, record)]
