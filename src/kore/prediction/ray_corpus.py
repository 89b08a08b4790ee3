"""A corpus through many processes with Ray Data, whatever is computed of it.

    files --read (tasks)--> tables --worker (actors)--> results --(tasks)--> Parquet

The rows are read twice: first all of them are checked, so that a fault in the last file is reported
before hours of computing and not after. Ray repeats what a process was computing when it died.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kore.common.errors import UserError
from kore.common.files import atomic_folder, atomic_write
from kore.data.corpus import FAULTS, ROWS
from kore.data.faults import SHOWN_FAULTS, faults_error
from kore.prediction.options import ClusterOptions
from kore.prediction.ray_session import ray, ray_errors

_LOGGER = logging.getLogger(__name__)
ROWS_PER_PART = 100_000  # about 25 MB of probabilities of 30 relations
MOST_ATTEMPTS = 5  # a worker may die by chance; so often over the same rows, it is the rows

# A file -> its rows as tables of `corpus.ROWS`.
Read = Callable[[Path], Iterator[pa.Table]]


@dataclass
class Checked:
    """What a pass over all rows found; `first` are faults as `corpus.FAULTS`, by file and line."""

    rows: int = 0
    faulty_rows: int = 0
    faults: int = 0
    first: list[dict[str, Any]] = field(default_factory=list)
    types: set[str] = field(default_factory=set)

    def add(self, rows: int, faults: list[dict[str, Any]], types: list[str]) -> None:
        """Adds the summary of a table; no row is in two tables."""
        self.rows += rows
        self.faults += len(faults)
        self.faulty_rows += len({(fault["file"], fault["line"]) for fault in faults})
        by_place = sorted([*self.first, *faults], key=lambda fault: (fault["file"], fault["line"]))
        self.first = by_place[:SHOWN_FAULTS]
        self.types |= set(types)


class Attempts:
    """Counts how often rows were begun, in files of a folder.

    Ray itself repeats rows that kill their worker, by their size for example, without end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def counted(self, table: pa.Table) -> Iterator[None]:
        """Around the work on the rows of a table of `corpus.ROWS`.

        Raises:
            UserError: they killed too many workers.
        """
        file, line = table["file"][0].as_py(), table["line"][0].as_py()
        attempts = self.folder / hashlib.sha256(f"{file}:{line}".encode()).hexdigest()
        with attempts.open("ab") as counter:
            counter.write(b".")
            count = counter.tell()
        if count > MOST_ATTEMPTS:
            raise UserError(
                f"{file}:{line}: a worker died {MOST_ATTEMPTS} times over the {table.num_rows} "
                "rows from here on, most likely because memory was full; pass a smaller "
                "`rows_per_task` or `batch_tokens`, or fewer `num_workers`"
            )
        yield
        attempts.unlink(missing_ok=True)


def check_output(output: Path, inputs: Iterable[Path], overwrite: bool) -> None:
    """Refuses to replace anything but the parts of an earlier run."""
    if output.exists() and not output.is_dir():
        raise UserError(f"`output_dir` {output} is a file; name a folder")
    found = list(output.iterdir()) if output.is_dir() else []
    if found and not overwrite:
        raise UserError(f"{output} is not empty; move it away, or pass `overwrite` to replace it")
    others = [path for path in found if path.suffix != ".parquet" or not path.is_file()]
    if others:
        raise UserError(
            f"{output} holds more than Parquet parts ({others[0].name}), which `overwrite` would "
            "remove; name another `output_dir`"
        )
    inside = [path for path in inputs if output.resolve() in path.resolve().parents]
    if inside:
        raise UserError(f"{inside[0]} lies in `output_dir` {output}; name another folder")


def check_rows(
    files: list[Path],
    read: Read,
    summarize: Callable[[pa.Table], pa.Table],
    name: str,
    options: ClusterOptions,
) -> Checked:
    """Parses every row. Faulty ones stop the run, or are written to the rejected rows.

    Args:
        summarize: a table of rows -> one row of `corpus.SUMMARY`.
        name: of the corpus.

    Raises:
        UserError: there are faulty rows, or none that can be used.
    """
    checked = Checked()
    output = Path(options.output_dir).absolute()
    rejected = output.with_name(f"{output.name}.rejected.parquet")
    with (
        atomic_write(rejected, "wb") as file,
        pq.ParquetWriter(file, FAULTS) as writer,
        ray_errors(),
    ):
        summaries = _tables(files, read).map_batches(
            summarize, batch_size=options.rows_per_task, batch_format="pyarrow"
        )
        tables: Iterable[Any] = summaries.iter_batches(batch_size=None, batch_format="pyarrow")
        for table in tables:
            for summary in table.to_pylist():
                checked.add(**summary)
                if summary["faults"]:
                    writer.write_table(pa.Table.from_pylist(summary["faults"], schema=FAULTS))
        if checked.faults and options.on_bad_row == "stop":
            first = ["{file}:{line} {column}: {reason}".format(**fault) for fault in checked.first]
            raise faults_error(name, first, checked.faults, checked.faulty_rows)
        if checked.rows == checked.faulty_rows:
            hint = " that can be used" if checked.faults else ""
            raise UserError(f"{name}: holds no rows{hint}")
    if checked.faults:
        _LOGGER.info(f"{checked.faulty_rows} faulty rows set aside in {rejected}")
    else:
        rejected.unlink()
    return checked


def _tables(files: list[Path], read: Read) -> ray.data.Dataset:
    """Tables of `corpus.ROWS`, one task a file."""

    def read_files(batch: pa.Table) -> Iterator[pa.Table]:
        yield ROWS.empty_table()  # a file without rows still has their columns
        for file in batch["file"].to_pylist():
            yield from read(Path(file))

    items = [{"file": str(file)} for file in files]
    paths = ray.data.from_items(items, override_num_blocks=len(items))
    return paths.map_batches(read_files, batch_size=1, batch_format="pyarrow")


@contextmanager
def computed_parts(
    files: list[Path], read: Read, worker: Any, arguments: tuple[Any, ...], options: ClusterOptions
) -> Iterator[Path]:
    """The folder of Parquet parts that workers make of all rows; it is `output_dir` afterwards.

    It becomes that only where the block ends without an error.

    Args:
        worker: a class, made of `arguments` and a folder for `Attempts` in each process, that is
            called with tables of `corpus.ROWS`.
    """
    with atomic_folder(Path(options.output_dir).absolute()) as folder, ray_errors():
        attempts = folder / "attempts"
        attempts.mkdir()
        # Workers share the work by blocks. Without strict, Ray joins reading and computing into
        # one step, in which a file is the work of a single worker.
        tasks = _tables(files, read).repartition(
            target_num_rows_per_block=options.rows_per_task, strict=True
        )
        results = tasks.map_batches(
            worker,
            fn_constructor_args=(*arguments, attempts),
            batch_size=None,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=options.num_workers),
            num_gpus=options.num_gpus_per_worker or None,
        )
        results.write_parquet(str(folder), min_rows_per_file=ROWS_PER_PART)
        shutil.rmtree(attempts)
        yield folder
