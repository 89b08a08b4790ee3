"""Files of rows -> fields by line, and back: CSV, KLUE's JSON list, JSONL, Parquet, gzip."""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from kore.common.errors import UserError
from kore.common.files import atomic_write, csv_writer
from kore.data.parquet import parquet_rows
from kore.data.schema import Entity, Example

REQUIRED = ("sentence", "subject_entity", "object_entity")
ALL_REQUIRED = ("id", *REQUIRED)  # or KLUE's `guid`
GZIP = ".gz"
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
SURPLUS = "(surplus cells)"  # stands for the column of cells beyond the header's last

Record = Mapping[str, Any]


def iter_records(
    path: Path, needed: Collection[str] = ALL_REQUIRED
) -> Iterator[tuple[int, Record]]:
    """(line, fields) of every row; lines count from 1, rows of a Parquet file as well.

    Memory does not grow with the number of rows, except for a JSON list, which is read whole.

    Args:
        needed: columns that a table must have.

    Raises:
        UserError: no such file, an unknown suffix, not UTF-8, a missing column, broken syntax.
    """
    readers: dict[str, Callable[[Path], Iterator[tuple[int, Record]]]] = {
        ".csv": partial(_csv_records, needed=needed),
        ".json": _json_records,
        ".jsonl": _jsonl_records,
        ".parquet": partial(_parquet_records, needed=needed),
    }
    kind = without_gzip(path).suffix
    if kind not in readers or path.name.endswith(f".parquet{GZIP}"):
        raise UserError(
            f"{path}: expected a file that ends in {', '.join(readers)}, or in "
            f"{', '.join(f'{name}{GZIP}' for name in readers if name != '.parquet')}"
        )
    with decode_errors_as_user_error(path):
        yield from readers[kind](path)


def without_gzip(path: Path) -> Path:
    """rows.csv for rows.csv.gz; any other path as it is."""
    return path.with_suffix("") if path.suffix == GZIP else path


def iter_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every line of a text file, without its line end.

    Raises:
        UserError: no such file, or it is not UTF-8 text.
    """
    with decode_errors_as_user_error(path), open_text(path) as file:
        for line, text in enumerate(file, start=1):
            if "\0" in text:
                raise UserError(f"{path}:{line}: holds a zero byte, so it is not a text file")
            yield line, text.rstrip("\n")


@contextmanager
def decode_errors_as_user_error(path: Path) -> Iterator[None]:
    """Tells of a file that is not there or not text in a sentence."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        yield
    except UnicodeDecodeError:
        raise UserError(_encoding_message(path)) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: not a whole gzip file ({error}); copy it once more") from error


def has_half_character(text: str) -> bool:
    """Whether `text` holds half of a surrogate pair, as an emoji that was cut in two."""
    return _HALF_CHARACTER.search(text) is not None


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Writes labelled rows in the competition's CSV form, entities as text of a dict.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_write(path) as file:
        writer = csv_writer(file)
        writer.writerow(["id", *REQUIRED, "label", "source"])
        for row in examples:
            entities = (_entity_cell(row.subject), _entity_cell(row.object))
            writer.writerow([row.id, row.sentence, *entities, row.label, row.source])


def _entity_cell(entity: Entity) -> str:
    fields = {
        "word": entity.word,
        "start_idx": entity.span.start,
        "end_idx": entity.span.end - 1,  # inclusive in files
        "type": entity.type,
    }
    return str(fields)


def open_text(path: Path, newline: str | None = None) -> IO[str]:
    open_file = gzip.open if path.suffix == GZIP else open
    return open_file(path, "rt", encoding="utf-8-sig", newline=newline)


def _csv_records(path: Path, needed: Collection[str]) -> Iterator[tuple[int, Record]]:
    csv.field_size_limit(2**31 - 1)
    with open_text(path, newline="") as file:
        reader = csv.reader(file, strict=True)
        line = 1  # where the row begins: a quoted cell may run over several lines
        try:
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
    record: dict[str, Any] = dict(zip(columns, cells, strict=False))
    if len(cells) > len(columns):
        record[SURPLUS] = cells[len(columns) :]
    return record


def _jsonl_records(path: Path) -> Iterator[tuple[int, Record]]:
    empty = True
    with open_text(path) as file:
        for line, text in enumerate(file, start=1):
            if text.strip():
                try:
                    record = json.loads(text)
                except (ValueError, RecursionError) as error:
                    raise UserError(f"{path}:{line}: not valid JSON ({error})") from error
                yield line, _checked_object(path, line, record)
                empty = False
    if empty:
        raise UserError(f"{path}: the file is empty")


def _json_records(path: Path) -> Iterator[tuple[int, Record]]:
    """The objects of a JSON list one after the other, so that each is known by its line."""
    with open_text(path) as file:
        text = file.read()
    if not text.strip():
        raise UserError(f"{path}: the file is empty")
    decoder = json.JSONDecoder()
    position, line = 0, 1

    def skip(separators: str) -> None:
        nonlocal position, line
        while position < len(text) and text[position] in separators:
            line += text[position] == "\n"
            position += 1

    skip(" \t\r\n")
    if text[position] != "[":
        raise UserError(f"{path}:{line}: expected a JSON list of rows; for one row a line, .jsonl")
    position += 1
    while True:
        skip(" \t\r\n,")
        if text[position : position + 1] == "]":
            return
        try:
            record, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            fault_line = getattr(error, "lineno", line)
            raise UserError(f"{path}:{fault_line}: not valid JSON ({error})") from error
        yield line, _checked_object(path, line, record)
        line += text.count("\n", position, end)
        position = end


def _parquet_records(path: Path, needed: Collection[str]) -> Iterator[tuple[int, Record]]:
    """Entities are structs or text; whole columns are never held."""
    row = 0
    for row, record in parquet_rows(path, lambda found: check_columns(path, found, needed)):
        yield row, record
    if not row:
        raise UserError(f"{path}: the file is empty")


def _checked_object(path: Path, line: int, record: Any) -> Record:
    if not isinstance(record, dict):
        raise UserError(f"{path}:{line}: expected an object of fields, found {str(record)[:40]}")
    return record


def check_columns(
    path: Path, columns: Collection[str], needed: Collection[str] = ALL_REQUIRED
) -> None:
    """Raises UserError, with what is missing, where a table lacks a needed column."""
    found = {*columns, *(["id"] if "guid" in columns else [])}
    missing = [name for name in needed if name not in found]
    if missing:
        raise UserError(
            f"{path}:1: no column {', '.join(missing)}; expected {', '.join(needed)}, "
            f"found {', '.join(columns) or 'none'}"
        )


def _encoding_message(path: Path) -> str:
    open_file = gzip.open if path.suffix == GZIP else open
    cure = f"iconv -f cp949 -t utf-8 {path.name} > utf8_{path.name}"
    if path.suffix == GZIP:
        cure = f"gzip -dc {path.name} | iconv -f cp949 -t utf-8 > utf8_{path.stem}"
    with open_file(path, "rb") as file:
        for line, raw in enumerate(file, start=1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                return (
                    f"{path}:{line}: byte {error.start + 1} is not UTF-8; if the file is in cp949, "
                    f"convert it: {cure}"
                )
    return f"{path}: not UTF-8"
