"""A corpus in many files, CSV and Parquet, as Arrow tables that can be parsed anywhere.

    files    --read_rows--->  tables of ROWS: where a row stands, and its fields as JSON
    table    --parse_rows-->  Examples, and the faults of the other rows

Both kinds of file become the same table, so that one job may hold both, and `rows.parse_record`
sees the very fields that the other commands give it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from kore.common.errors import UserError
from kore.data.faults import RowFault
from kore.data.parquet import parquet_rows
from kore.data.records import REQUIRED, Record, check_columns, iter_records
from kore.data.rows import identity_faults, parse_record
from kore.data.schema import Example
from kore.data.texts import TextRow, document_of, iter_texts

SUFFIXES = (".csv", ".parquet")
TEXT_SUFFIXES = (".txt", ".csv", ".json", ".jsonl", ".parquet", ".gz")
ROWS = pa.schema([("file", pa.string()), ("line", pa.int64()), ("record", pa.string())])
FAULTS = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),  # of a CSV; in Parquet the row, counted from 1
        ("id", pa.string()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("record", pa.string()),
    ]
)
SUMMARY = pa.schema(
    [
        ("rows", pa.int64()),
        ("faults", pa.list_(pa.struct(list(FAULTS)))),
        ("types", pa.list_(pa.string())),  # of the entities
    ]
)
_COLUMNS = ("id", "guid", *REQUIRED)


class ParsedRows(NamedTuple):
    """The rows of a table that can be predicted, and the faults of the others as `FAULTS`."""

    examples: list[Example]
    faults: list[dict[str, Any]]


def input_files(path: Path) -> list[Path]:
    """A file, or all files of a corpus below a folder by name, each looked at as far as its header.

    Hidden files and those that begin with "_" are left out, as other readers of such folders do.

    Raises:
        UserError: there are none, or one cannot be read or lacks a column.
    """
    files = _files(path, SUFFIXES)
    for file in files:
        next(_records(file), None)
    return files


def text_input_files(path: Path) -> list[Path]:
    """The same for texts, as `texts.iter_texts` reads them.

    Raises:
        UserError: there are none.
    """
    return _files(path, TEXT_SUFFIXES)


def _files(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    path = path.absolute()  # the workers stand in other folders
    if path.is_dir():
        below = (file for file in sorted(path.rglob("*")) if file.suffix in suffixes)
        files = [f for f in below if not any(n[0] in "._" for n in f.relative_to(path).parts)]
        if not files:
            raise UserError(f"{path}: no file in it ends in {' or '.join(suffixes)}")
        return files
    if path.suffix not in suffixes:
        raise UserError(f"{path}: expected a file that ends in {' or '.join(suffixes)}")
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return [path]


def read_rows(path: Path, rows_per_table: int) -> Iterator[pa.Table]:
    """The rows of a file as tables of `ROWS`.

    Raises:
        UserError: the file is damaged; the message names it and the place.
    """
    records = _records(path)
    while rows := list(islice(records, rows_per_table)):
        lines = [line for line, _ in rows]
        texts = [json.dumps(record, ensure_ascii=False, default=str) for _, record in rows]
        yield pa.table([[str(path)] * len(rows), lines, texts], schema=ROWS)


def read_texts(path: Path, corpus: Path, column: str, rows_per_table: int) -> Iterator[pa.Table]:
    """The texts of a file as tables of `ROWS`; their records have `id` and `text`, or a fault.

    A .txt in a folder is one text, as for `texts.iter_texts`. The id of a text is that of the file
    in the corpus, and its own behind it.

    Raises:
        UserError: the file is damaged, or has no such column.
    """
    is_document = corpus.is_dir() and path.suffix == ".txt"
    name = path.relative_to(corpus).as_posix() if corpus.is_dir() else path.name
    rows = iter([document_of(path)]) if is_document else iter_texts(path, column)
    number = 0
    while chunk := list(islice(rows, rows_per_table)):
        records: list[dict[str, Any]] = []
        for row in chunk:
            if isinstance(row, RowFault):
                fault = {"column": row.column, "reason": row.message, "line": row.line}
                records.append({"fault": fault, "record": row.record})
            else:
                row_id = name if is_document else f"{name}:{row.id}"
                records.append({"id": row_id, "text": row.text})
        texts = [json.dumps(record, ensure_ascii=False, default=str) for record in records]
        lines = list(range(number + 1, number + 1 + len(chunk)))
        number += len(chunk)
        yield pa.table([[str(path)] * len(chunk), lines, texts], schema=ROWS)


def parse_texts(table: pa.Table) -> tuple[list[TextRow], list[dict[str, Any]]]:
    """The texts of a table that `read_texts` gave, and the faults of its other rows as `FAULTS`."""
    texts: list[TextRow] = []
    faults: list[dict[str, Any]] = []
    for row in table.to_pylist():
        record = json.loads(row["record"])
        if "fault" in record:
            shown = json.dumps(record["record"], ensure_ascii=False, default=str)
            faults.append({**row, "id": None, **record["fault"], "record": shown})
        else:
            texts.append(TextRow(record["id"], record["text"]))
    return texts, faults


def summarize_texts(table: pa.Table) -> pa.Table:
    """One row, as `SUMMARY`, of what a table of texts holds."""
    columns = {"rows": table.num_rows, "faults": parse_texts(table)[1], "types": []}
    return pa.Table.from_pylist([columns], schema=SUMMARY)


def parse_rows(table: pa.Table) -> ParsedRows:
    """Examples of a table of `ROWS`, and what is wrong with its other rows.

    Ids are only checked for being there: that each stands once would need the whole corpus in one
    place.
    """
    examples: list[Example] = []
    faults: list[dict[str, Any]] = []
    for row in table.to_pylist():
        record: Record = json.loads(row["record"])
        example, found = parse_record(row["line"], record)
        if example is not None:
            found = found + identity_faults(row["line"], record, example, None)
        if example is not None and not found:
            examples.append(example)
        row_id = record.get("id", record.get("guid"))  # a missing one is null, unlike ""
        faults += [
            {
                **row,
                "id": None if row_id is None else str(row_id),
                "column": fault.column,
                "reason": fault.message,
            }
            for fault in found
        ]
    return ParsedRows(examples, faults)


def summarize(table: pa.Table) -> pa.Table:
    """One row, as `SUMMARY`, of what a table of `ROWS` holds."""
    parsed = parse_rows(table)
    types = {entity.type for row in parsed.examples for entity in (row.subject, row.object)}
    columns = {"rows": table.num_rows, "faults": parsed.faults, "types": sorted(types)}
    return pa.Table.from_pylist([columns], schema=SUMMARY)


def _records(path: Path) -> Iterator[tuple[int, Record]]:
    if path.suffix == ".csv":
        return iter_records(path)
    # A corpus may have many columns more; only those of an example are read and sent to workers.
    return parquet_rows(path, lambda columns: check_columns(path, columns), _COLUMNS)
