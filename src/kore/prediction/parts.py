"""The predictions of one job while they come in: a folder of parts, one per chunk of the file.

Every part is written whole or not at all, by whichever process computed it. When all are there,
they are joined to the file the user asked for. A killed run therefore loses its unfinished chunks
alone, and `resume` computes only the parts that are missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from kore.common.arrays import Floats
from kore.common.files import atomic_write, checksum
from kore.common.manifest import Manifest, read_manifest
from kore.prediction.formats import Table, format_of
from kore.prediction.predictions import schema_path, write_schema

MANIFEST = "manifest.json"
_CONTENT = "the content of the output"


class Parts:
    """The parts of one output file.

    Args:
        output: the file they become.
        table: what the file holds.
        manifest: what the predictions depend on; parts of another job are not continued.
    """

    def __init__(self, output: Path, table: Table, num_parts: int, manifest: Manifest) -> None:
        self.output = output
        self.folder = parts_folder(output)
        self._format = format_of(output)
        self._table = table
        self._numbers = range(num_parts)
        self._manifest = manifest

    def open(self, *, resume: bool) -> None:
        """Makes the folder, or continues the one that a killed run of the same job left.

        Raises:
            UserError: `resume`, but the folder belongs to another job.
        """
        begun = self.folder / MANIFEST
        if resume and begun.is_file():
            self._manifest.refuse_changes(
                read_manifest(begun), self.folder, "leave `resume` out to start from the beginning"
            )
            return
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self._manifest.write(begun)

    def missing(self) -> list[int]:
        """Numbers of the parts that are still to be computed."""
        return [number for number in self._numbers if not self._path(number).is_file()]

    def write(self, number: int, ids: Sequence[str], probs: Floats) -> None:
        """Writes the predictions of a chunk: ids (B,), probs (B, C)."""
        with atomic_write(self._path(number), "wb") as file:
            self._format.write_part(file, ids, probs, self._table)

    def join(self) -> None:
        """Makes the output file of all parts, its manifest beside it, and removes the parts.

        Raises:
            UserError: a file cannot be written; the parts are kept.
        """
        with atomic_write(self.output, "wb") as file:
            self._format.join((self._path(number) for number in self._numbers), file, self._table)
        write_schema(self.output, self._table.labels)
        _finished(self.output, self._manifest).write(manifest_path(self.output))
        shutil.rmtree(self.folder)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}.part"


def parts_folder(output: Path) -> Path:
    """Where the parts of `output` are collected."""
    return output.with_name(f"{output.name}.parts")


def manifest_path(output: Path) -> Path:
    """Where it is written what the predictions in `output` depend on."""
    return output.with_name(f"{output.name}.manifest.json")


def is_finished(output: Path, manifest: Manifest) -> bool:
    """Whether `output` holds the predictions of this very job, untouched since."""
    path = manifest_path(output)
    is_there = all(file.is_file() for file in (output, path, schema_path(output)))
    return is_there and read_manifest(path) == _finished(output, manifest).settings


def is_free_for(output: Path, manifest: Manifest) -> bool:
    """Whether nothing of another job is lost where this one writes to `output`."""
    begun = parts_folder(output) / MANIFEST
    if begun.is_file() and manifest.changes(read_manifest(begun)):
        return False
    return not output.exists() or is_finished(output, manifest)


def _finished(output: Path, manifest: Manifest) -> Manifest:
    return Manifest({**manifest.settings, _CONTENT: checksum(output)})
