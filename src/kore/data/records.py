"""Files of rows -> fields by line, and back: CSV, KLUE's JSON list, JSONL, Parquet, gzip."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.common.files import atomic_write, csv_writer
from kore.data.entity_cells import entity_cell
from kore.data.json_files import line_rows, list_rows
from kore.data.parquet import parquet_rows
from kore.data.schema import Example
from kore.data.text_files import GZIP, decode_errors_as_user_error, open_text, without_gzip

REQUIRED = ("sentence", "subject_entity", "object_entity")
ALL_REQUIRED = ("id", *REQUIRED)
_OTHER_NAMES = {"guid": "id", "relation": "label"}  # in KLUE's own files, and in many others
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SPREADSHEETS = (".xlsx", ".xls", ".ods", ".tsv")
SURPLUS = "(surplus cells)"  # stands for the column of cells beyond the header's last

Record = Mapping[str, Any]


def iter_records(
    path: Path, needed: Collection[str] = ALL_REQUIRED
) -> Iterator[tuple[int, Record]]:
    """(line, fields) of every row, lines counted from 1.

    Where a file has no line for every row, as Parquet or a JSON list on a single line, the row's
    number from 1 stands in its place.

    Memory does not grow with the number of rows, except for a JSON list, which is read whole.

    Args:
        needed: columns that a table must have.

    Raises:
        UserError: no such file, an unknown suffix, not UTF-8, a missing column, broken syntax.
    """
    readers: dict[str, Callable[[Path], Iterator[tuple[int, Record]]]] = {
        ".csv": partial(_csv_records, needed=needed),
        ".json": list_rows,
        ".jsonl": line_rows,
        ".parquet": partial(_parquet_records, needed=needed),
    }
    kind = without_gzip(path).suffix
    if kind not in readers or path.name.endswith(f".parquet{GZIP}"):
        hint = "; save it as CSV in UTF-8" if kind in _SPREADSHEETS else ""
        raise UserError(
            f"{path}: expected a file that ends in {', '.join(readers)}, or in "
            f"{', '.join(f'{name}{GZIP}' for name in readers if name != '.parquet')}{hint}"
        )
    with decode_errors_as_user_error(path):
        yield from readers[kind](path)


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Writes labelled rows in the competition's CSV form, entities as text of a dict.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_write(path) as file:
        writer = csv_writer(file)
        writer.writerow(["id", *REQUIRED, "label", "source"])
        for row in examples:
            entities = (str(entity_cell(row.subject)), str(entity_cell(row.object)))
            writer.writerow([row.id, row.sentence, *entities, row.label, row.source])


def _csv_records(path: Path, needed: Collection[str]) -> Iterator[tuple[int, Record]]:
    csv.field_size_limit(2**31 - 1)
    with open_text(path, newline="") as file:
        reader = csv.reader(file, strict=True)
        line = 1  # where the row begins: a quoted cell may run over several lines
        try:
            _check_separator(path, file.readline(), needed)
            file.seek(0)
            columns = next(reader, None)
            if columns is None:
                raise UserError(f"{path}: the file is empty")
            check_columns(path, columns, needed)
            line = reader.line_num + 1
            for cells in reader:
                if cells:  # [] stands for an empty line
                    yield line, _csv_record(columns, cells)
                line = reader.line_num + 1
        except csv.Error as error:
            raise UserError(
                f"{path}:{line}: not valid CSV ({error}); check the double quotes of this row"
            ) from error


def _csv_record(columns: list[str], cells: list[str]) -> Record:
    record: dict[str, Any] = dict(zip_longest(columns, cells[: len(columns)]))
    if len(cells) > len(columns):
        record[SURPLUS] = cells[len(columns) :]
    return record


def _parquet_records(path: Path, needed: Collection[str]) -> Iterator[tuple[int, Record]]:
    """Entities are structs or text; whole columns are never held."""
    row = 0
    for row, record in parquet_rows(path, lambda found: check_columns(path, found, needed)):
        yield row, record
    if not row:
        raise UserError(f"{path}: the file is empty")


def check_columns(
    path: Path, columns: Collection[str], needed: Collection[str] = ALL_REQUIRED
) -> None:
    """Raises UserError where a table lacks a needed column or has two of a name."""
    check_repeated(path, columns)
    missing = missing_columns(columns, needed)
    if missing:
        raise UserError(f"{path}:1: {missing}{_other_tools(needed)}")


def check_repeated(path: Path, columns: Collection[str]) -> None:
    """Raises UserError where two columns of a table have one name; columns without one may."""
    for name, times in Counter(columns).items():
        if name and times > 1:
            raise UserError(
                f"{path}:1: {times} columns are called {name}; rename or remove all but one"
            )


def _other_tools(needed: Collection[str]) -> str:
    is_example = set(REQUIRED) <= set(needed)
    return "; src/tools/prepare_data.py converts data of other tools" if is_example else ""


def missing_columns(columns: Collection[str], needed: Collection[str]) -> str:
    """Which of the needed columns are not there, in a sentence; "" where all are."""
    found = {_OTHER_NAMES.get(name, name) for name in columns}
    missing = [name for name in needed if name not in found]
    if not missing:
        return ""
    return (
        f"no column {', '.join(missing)}; expected {', '.join(needed)}, "
        f"found {', '.join(columns) or 'none'}"
    )


def _check_separator(path: Path, header: str, needed: Collection[str]) -> None:
    """Raises UserError where the header has all needed columns, but separated otherwise."""
    if not missing_columns(next(csv.reader([header]), []), needed):
        return
    for separator, name in _SEPARATORS.items():
        if not missing_columns(next(csv.reader([header], delimiter=separator), []), needed):
            raise UserError(f"{path}:1: columns are separated by {name}, expected commas")
