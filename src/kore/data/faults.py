"""What is wrong with rows: faults that stop the run, or go to a CSV file beside its results."""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kore.common.errors import UserError
from kore.common.files import atomic_write, csv_writer
from kore.common.processes import is_main_process
from kore.data.records import Record

_LOGGER = logging.getLogger(__name__)

SHOWN_FAULTS = 20
STOP, SKIP = "stop", "skip"  # what `on_bad_row` may be
_COLUMNS = ("file", "line", "column", "reason")  # of a file of rejected rows, before the row's own


class RowFault(NamedTuple):
    """What is wrong in one cell. `line` counts from 1, the CSV's header included."""

    line: int
    column: str
    message: str
    record: Record


def stop_or_reject(
    name: str, faults: Sequence[RowFault], on_bad_row: str, output_dir: Path
) -> None:
    """Stops with the faults of a file, or writes its faulty rows to `output_dir`.

    Of several processes, all of which read the file, the main one writes and reports.

    Raises:
        UserError: `on_bad_row` is "stop", or the rows cannot be written.
    """
    rows = len({id(fault.record) for fault in faults})
    if on_bad_row == STOP:
        first = [f"{name}:{fault.line} {fault.column}: {fault.message}" for fault in faults]
        raise faults_error(name, first[:SHOWN_FAULTS], len(faults), rows)
    if is_main_process():
        path = _rejected_file(output_dir, name)
        _write_rejected(path, name, faults)
        _LOGGER.info(f"{name}: {rows} faulty rows set aside in {path}")


def faults_error(name: str, first: Sequence[str], faults: int, rows: int) -> UserError:
    """What a run with `on_bad_row` stop ends in: the first of so many faults in so many rows."""
    more = [f"… and {faults - len(first)} more"] if faults > len(first) else []
    advice = (
        f"{rows} faulty rows in {name}: correct them, set them aside with `on_bad_row` skip, or "
        "convert data of another tool with src/tools/prepare_data.py"
    )
    return UserError("\n".join([*first, *more, advice]))


def _rejected_file(folder: Path, name: str) -> Path:
    """FILE.rejected.csv, or a name of its own where that holds the rows of another file."""
    base = Path(name).name
    path = folder / f"{base}.rejected.csv"
    if _source_of(path) in ("", name):
        return path
    digest = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()
    return folder / f"{base}-{digest[:8]}.rejected.csv"


def _source_of(path: Path) -> str:
    """The file whose rejected rows stand in `path`; "" where there are none."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        header, first = (next(csv.reader(file), [""]) for _ in range(2))
    return first[0] if header[0] == _COLUMNS[0] else ""


def _write_rejected(path: Path, name: str, faults: Sequence[RowFault]) -> None:
    columns = list(dict.fromkeys(column for fault in faults for column in fault.record))
    with atomic_write(path) as file:
        writer = csv_writer(file)
        writer.writerow([*_COLUMNS, *columns])
        for fault in faults:
            cells = [fault.record.get(column) for column in columns]
            writer.writerow([name, fault.line, fault.column, fault.message, *cells])
