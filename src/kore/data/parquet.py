"""Rows of a Parquet file, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from kore.common.errors import UserError

ROWS_AT_ONCE = 2048


def parquet_rows(
    path: Path,
    check_columns: Callable[[list[str]], None],
    columns: Collection[str] | None = None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row, fields) of every row, counted from 1.

    Args:
        check_columns: gets the names of the file's columns and raises where one is missing.
        columns: those to read where the file has them; None reads all.

    Raises:
        UserError: not Parquet, or damaged; the message tells how far it could be read.
    """
    # Here, since commands that only take flags apart should not wait for it.
    import pyarrow
    from pyarrow import parquet

    row = 0
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_columns(names)
            chosen = None if columns is None else [name for name in columns if name in names]
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=chosen):
                for fields in batch.to_pylist():
                    row += 1
                    yield row, fields
    # Damaged bytes are an ArrowException or OSError, text that is not UTF-8 a ValueError.
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        place = f"after row {row}" if row else "from its beginning"
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: cannot be read as Parquet {place} ({reason}); copy or write it once more"
        ) from error
