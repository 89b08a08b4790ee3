"""File formats of predictions: `.csv`, `.csv.gz` or `.parquet`, written in parts and joined."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow
from pyarrow import parquet

from kore.common.arrays import Floats
from kore.common.errors import UserError
from kore.common.files import csv_writer
from kore.data.parquet import parquet_rows
from kore.data.schema import LabelMap
from kore.data.text_files import open_text

COLUMNS = ["id", "pred_label", "probs"]
ABSTAIN = "abstain"
PROB_DIGITS = 9  # the sum of a row's probabilities stays within 1e-8 of 1

Row = dict[str, Any]
PREDICTIONS = pyarrow.schema(
    {
        "id": pyarrow.string(),
        "pred_label": pyarrow.string(),
        "probs": pyarrow.list_(pyarrow.float64()),
    }
)


@dataclass(frozen=True)
class Table:
    """What a file of predictions holds: relations, and perhaps a column that says "not sure".

    abstain_below: rows whose highest probability is lower are marked; None = no such column.
    """

    labels: LabelMap
    abstain_below: float | None = None

    @property
    def columns(self) -> list[str]:
        return COLUMNS if self.abstain_below is None else [*COLUMNS, ABSTAIN]

    @property
    def schema(self) -> pyarrow.Schema:
        if self.abstain_below is None:
            return PREDICTIONS
        return PREDICTIONS.append(pyarrow.field(ABSTAIN, pyarrow.bool_()))

    def rows(self, ids: Sequence[str], probs: Floats) -> Iterator[Row]:
        """Rows of the file; probs (N, C).

        Probabilities are rounded before the largest is looked up, so that the file agrees with
        itself.
        """
        rounded = np.round(probs, PROB_DIGITS)
        for row_id, best, row in zip(ids, rounded.argmax(axis=1), rounded.tolist(), strict=True):
            cells = {"id": row_id, "pred_label": self.labels.names[best], "probs": row}
            if self.abstain_below is not None:
                cells[ABSTAIN] = row[best] < self.abstain_below
            yield cells


class OutputFormat(NamedTuple):
    """write_part: rows to an open file; join: such files, by path or open, to the whole one."""

    write_part: Callable[[IO[bytes], Sequence[str], Floats, Table], None]
    join: Callable[[Iterable[Path | IO[bytes]], IO[bytes], Table], None]
    read: Callable[[Path], Iterator[tuple[int, Row]]]


def format_of(path: Path) -> OutputFormat:
    """The format that the name of `path` asks for.

    Raises:
        UserError: it ends in none of the known suffixes.
    """
    for suffix, output_format in OUTPUT_FORMATS.items():
        if path.name.endswith(suffix):
            return output_format
    raise UserError(f"{path}: expected a name that ends in {', '.join(OUTPUT_FORMATS)}")


def _write_csv_part(file: IO[bytes], ids: Sequence[str], probs: Floats, table: Table) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
    writer = csv_writer(text)
    writer.writerows(row.values() for row in table.rows(ids, probs))
    text.detach()


def _join_csv(parts: Iterable[Path | IO[bytes]], file: IO[bytes], table: Table) -> None:
    header = io.StringIO()
    csv_writer(header).writerow(table.columns)
    file.write(header.getvalue().encode())
    for part in parts:
        if isinstance(part, Path):
            with part.open("rb") as opened:
                shutil.copyfileobj(opened, file)
        else:
            shutil.copyfileobj(part, file)


def _join_gzipped_csv(parts: Iterable[Path | IO[bytes]], file: IO[bytes], table: Table) -> None:
    # Without name and time of the file, so that equal predictions give equal bytes.
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as zipped:
        _join_csv(parts, zipped, table)  # type: ignore[arg-type]


def _read_csv(path: Path) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(2**31 - 1)
    try:
        with open_text(path, newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(path, reader.fieldnames or [])
            for row in reader:
                yield reader.line_num, row
    except (csv.Error, UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: not a CSV in UTF-8 ({error})") from error


def _write_parquet_part(file: IO[bytes], ids: Sequence[str], probs: Floats, table: Table) -> None:
    rows = list(table.rows(ids, probs))
    parquet.write_table(pyarrow.Table.from_pylist(rows, table.schema), file)


def _join_parquet(parts: Iterable[Path | IO[bytes]], file: IO[bytes], table: Table) -> None:
    with parquet.ParquetWriter(file, table.schema) as writer:
        for part in parts:
            writer.write_table(parquet.read_table(part))


def _read_parquet(path: Path) -> Iterator[tuple[int, Row]]:
    for line, row in parquet_rows(path, lambda found: _check_columns(path, found), COLUMNS):
        row_id = row["id"]  # other programs may count in numbers
        yield line, {**row, "id": None if row_id is None else str(row_id)}


def _check_columns(path: Path, found: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise UserError(f"{path}:1: no column {', '.join(missing)}; expected {COLUMNS}")


OUTPUT_FORMATS = {
    ".csv": OutputFormat(_write_csv_part, _join_csv, _read_csv),
    ".csv.gz": OutputFormat(_write_csv_part, _join_gzipped_csv, _read_csv),
    ".parquet": OutputFormat(_write_parquet_part, _join_parquet, _read_parquet),
}
