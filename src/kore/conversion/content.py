"""A file in any encoding, separator or shape of JSON -> numbered objects, and what was guessed.

What `data/records.py` refuses with the way out, because training and prediction are to read one
form alone, is taken here.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.data.json_files import line_rows, list_rows
from kore.data.parquet import parquet_rows
from kore.data.records import check_repeated
from kore.data.text_files import decode_errors_as_user_error, read_bytes, without_gzip

_LOGGER = logging.getLogger(__name__)

Row = tuple[int, Mapping[str, Any]]  # (line or number from 1, fields)

FEWREL_KEYS = frozenset({"tokens", "h", "t"})
TABLES = (".csv", ".tsv", ".txt")
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}


def read_text(path: Path) -> str:
    """A text in UTF-8, UTF-16 with its mark, or cp949, as Korean Excel writes it; the last two are
    logged.

    Raises:
        UserError: no such file, or none of them.
    """
    with decode_errors_as_user_error(path):
        raw = read_bytes(path)
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "cp949"]
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "utf-8-sig":
            _LOGGER.info(f"{path}: read as {encoding}")
        if "\0" in text:
            break
        return text
    raise UserError(f"{path}: no text in UTF-8, UTF-16 or cp949")


def objects_of(path: Path, is_document: Callable[[Mapping[str, Any]], bool]) -> list[Row]:
    """The rows of a table, or the objects of JSON in any of its usual shapes.

    Args:
        is_document: whether one object is a whole document, and no wrapper around rows.

    Raises:
        UserError: none can be found in the file.
    """
    kind = without_gzip(path).suffix.lower()
    if kind == ".parquet":
        return list(parquet_rows(path, lambda columns: None))
    if kind in (".json", ".jsonl"):
        return list(_json_objects(path, read_text(path), is_document))
    if kind in TABLES:
        text = read_text(path)
        return list(
            _table_rows(path, text)
            if not _is_json(text)
            else _json_objects(path, text, is_document)
        )
    hint = "; save it as CSV" if kind in (".xlsx", ".xls", ".ods") else ""
    raise UserError(
        f"{path}: expected a file that ends in .csv, .tsv, .txt, .json, .jsonl, .parquet or "
        f".ann{hint}"
    )


def _is_json(text: str) -> bool:
    """OpenNRE's .txt holds an object a line, and others a list."""
    first = next(iter(text.strip().splitlines()), "").rstrip()
    return first[:1] + first[-1:] in ("{}", "[]", "[{") or first == "["


def _table_rows(path: Path, text: str) -> Iterator[Row]:
    csv.field_size_limit(2**31 - 1)
    separator = _separator(text)
    if separator != ",":
        _LOGGER.info(f"{path}: columns are separated by {_SEPARATORS[separator]}")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        columns = next(reader, [])
        check_repeated(path, columns)
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) > len(columns):
                raise UserError(
                    f"{path}:{line}: {len(cells)} cells, but the header has {len(columns)} "
                    "columns; put double quotes around cells that hold the separator"
                )
            if any(cells):
                yield line, dict(zip(columns, cells, strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{path}:{line}: not valid CSV ({error}); check the double quotes"
        ) from error


def _separator(text: str) -> str:
    """That which makes most columns of the first line."""
    header = next(iter(text.splitlines()), "")
    columns = {mark: len(next(csv.reader([header], delimiter=mark), [])) for mark in _SEPARATORS}
    return max(columns, key=lambda mark: columns[mark])


def _json_objects(
    path: Path, text: str, is_document: Callable[[Mapping[str, Any]], bool]
) -> Iterator[Row]:
    """A list, lines, a list inside an object, or pandas' columns of cells."""
    start = text.lstrip()[:1]
    if start == "[":
        yield from list_rows(path, text)
        return
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        yield from line_rows(path, io.StringIO(text))  # which names the line that is none
        return
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a list of objects, found {str(content)[:40]}")
    inner = {name: value for name, value in content.items() if _is_list_of_rows(value)}
    rows: list[Mapping[str, Any]]
    if is_document(content):
        rows = [content]
    elif len(inner) == len(content) and all(map(_is_of_fewrel, chain(*inner.values()))):
        _LOGGER.info(f"{path}: the names of its lists are the relations of what they hold")
        rows = [{"relation": name, **row} for name, own in inner.items() for row in own]
    elif len(inner) > 1:
        raise UserError(
            f"{path}: holds several lists of rows ({', '.join(inner)}); write each to a file of "
            "its own"
        )
    elif inner:
        ((name, rows),) = inner.items()
        _LOGGER.info(f"{path}: read the list {name!r}")
    elif content and all(isinstance(column, dict) for column in content.values()):
        _LOGGER.info(f"{path}: read as pandas writes a table by columns")
        numbers = list(dict.fromkeys(key for column in content.values() for key in column))
        rows = [
            {name: column.get(number) for name, column in content.items()} for number in numbers
        ]
    else:
        rows = [content]
    yield from enumerate(rows, start=1)


def _is_of_fewrel(row: Mapping[str, Any]) -> bool:
    """An object of FewRel's, which does not name its relation itself."""
    return row.keys() >= FEWREL_KEYS and "relation" not in row


def _is_list_of_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)
