"""The predictions of one job while they come in: a folder of parts, one a chunk of rows.

Every part is written whole or not at all, by whichever process computed it. When all are there,
they are joined to the file the user asked for. A killed run therefore loses its unfinished chunks
alone, and `--resume` makes only the parts that are missing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kore.common.arrays import Floats
from kore.common.changes import differences
from kore.common.errors import UserError
from kore.common.files import atomic_write
from kore.prediction.formats import Table, format_of
from kore.prediction.predictions import write_schema

JOB_FILE = "job.json"


class Parts:
    """The parts of one output file.

    Args:
        output: the file they become.
        table: what the file holds.
        job: what the predictions depend on; a folder made for another job is not gone on with.
    """

    def __init__(self, output: Path, table: Table, num_parts: int, job: dict[str, Any]) -> None:
        self.output = output
        self.folder = output.with_name(f"{output.name}.parts")
        self._format = format_of(output)
        self._table = table
        self._numbers = range(num_parts)
        self._job = job

    def open(self, *, resume: bool) -> None:
        """Makes the folder, or takes up the one that a killed run of the same job left.

        Raises:
            UserError: `resume`, but the folder belongs to another job.
        """
        job_file = self.folder / JOB_FILE
        if resume and job_file.is_file():
            self._check_job(_read_job(job_file))
            return
        if self.folder.exists():
            shutil.rmtree(self.folder)
        with atomic_write(job_file) as file:
            json.dump(self._job, file, indent=2)

    def missing(self) -> list[int]:
        """Numbers of the parts that are still to be made."""
        return [number for number in self._numbers if not self._path(number).is_file()]

    def write(self, number: int, ids: Sequence[str], probs: Floats) -> None:
        """Writes the predictions of a chunk: ids (B,), probs (B, C)."""
        with atomic_write(self._path(number), "wb") as file:
            self._format.write_part(file, ids, probs, self._table)

    def join(self) -> None:
        """Makes the output file of all parts and removes them.

        Raises:
            UserError: the file cannot be written; the parts are kept.
        """
        with atomic_write(self.output, "wb") as file:
            self._format.join((self._path(number) for number in self._numbers), file, self._table)
        write_schema(self.output, self._table.labels)
        shutil.rmtree(self.folder)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}.part"

    def _check_job(self, before: dict[str, Any]) -> None:
        changed = differences(before, self._job)
        if changed:
            raise UserError(
                f"`resume`: {self.folder} was begun differently ({'; '.join(changed)}); give the "
                "same command as before, or leave `resume` out to start from the beginning"
            )


def _read_job(path: Path) -> dict[str, Any]:
    try:
        job = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        job = None
    return job if isinstance(job, dict) else {}  # damaged: equal to no job
