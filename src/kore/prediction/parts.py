"""The predictions of one job while they come in: a folder of parts, one per chunk of the file.

Every part is written whole or not at all, by whichever process computed it. When all are there,
they are joined to the file the user asked for. A killed run therefore loses its unfinished chunks
alone, and `resume` computes only the parts that are missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from kore.common.arrays import Floats
from kore.common.errors import UserError
from kore.common.files import atomic_write, checksum
from kore.common.manifest import Manifest, read_manifest
from kore.prediction.formats import Table, format_of
from kore.prediction.predictions import schema_path, write_schema

# Options that no result depends on: where and how fast it is computed, and where it is written.
FREE_OPTIONS = {
    "model_dir",
    "batch_tokens",
    "use_cuda",
    "precision",  # what "auto" has become counts
    "compile",
    "output_dir",
    "output_name",
    "resume",
}
MANIFEST = "manifest.json"
_CONTENT = "the content of the output"


class Content(Protocol):
    """What an output file holds, and how it is written in parts."""

    def write_part(self, file: IO[bytes], part: Any) -> None:
        """Writes what was computed of one chunk."""

    def join(self, parts: Iterable[Path], file: IO[bytes]) -> None:
        """Writes the whole of all parts."""

    def write_beside(self, output: Path) -> None:
        """Writes the files that belong to the output."""


@dataclass(frozen=True)
class TableContent:
    """A table of predictions; a part is ids (B,) and probabilities (B, C)."""

    output: Path
    table: Table

    def write_part(self, file: IO[bytes], part: tuple[Sequence[str], Floats]) -> None:
        """Rows of one chunk."""
        format_of(self.output).write_part(file, *part, self.table)

    def join(self, parts: Iterable[Path], file: IO[bytes]) -> None:
        """The table with its header."""
        format_of(self.output).join(parts, file, self.table)

    def write_beside(self, output: Path) -> None:
        """The label order."""
        write_schema(output, self.table.labels)


class Parts:
    """The parts of one output file.

    Args:
        output: the file they become.
        content: what the file holds.
        manifest: what the predictions depend on; parts of another job are not continued.
    """

    def __init__(self, output: Path, content: Content, num_parts: int, manifest: Manifest) -> None:
        self.output = output
        self.folder = parts_folder(output)
        self._content = content
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
            self._remove_earlier()
        self._manifest.write(begun)

    def _remove_earlier(self) -> None:
        if not (self.folder / MANIFEST).is_file() and any(self.folder.iterdir()):
            raise UserError(
                f"{self.folder} stands where the parts of {self.output} are to be, and is not of "
                "such a run; move it away"
            )
        shutil.rmtree(self.folder)

    def missing(self) -> list[int]:
        """Numbers of the parts that are still to be computed."""
        return [number for number in self._numbers if not self._path(number).is_file()]

    def write(self, number: int, part: Any) -> None:
        """Writes what was computed of a chunk."""
        with atomic_write(self._path(number), "wb") as file:
            self._content.write_part(file, part)

    def join(self) -> None:
        """Makes the output file of all parts, its manifest beside it, and removes the parts.

        Raises:
            UserError: a file cannot be written; the parts are kept.
        """
        with atomic_write(self.output, "wb") as file:
            self._content.join((self._path(number) for number in self._numbers), file)
        self._content.write_beside(self.output)
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


def is_finished(output: Path, manifest: Manifest, beside: Iterable[Path] = ()) -> bool:
    """Whether `output` holds the predictions of this very job, untouched since.

    Args:
        beside: files that belong to it and must be there.
    """
    path = manifest_path(output)
    is_there = all(file.is_file() for file in (output, path, *beside))
    return is_there and read_manifest(path) == _finished(output, manifest).settings


def is_free_for(output: Path, manifest: Manifest) -> bool:
    """Whether nothing of another job is lost where this one writes to `output`."""
    begun = parts_folder(output) / MANIFEST
    if begun.is_file() and manifest.changes(read_manifest(begun)):
        return False
    return not output.exists() or is_finished(output, manifest, [schema_path(output)])


def _finished(output: Path, manifest: Manifest) -> Manifest:
    return Manifest({**manifest.settings, _CONTENT: checksum(output)})
