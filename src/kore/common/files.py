"""Writing files whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from kore.common.errors import UserError

_LONGEST_NAME = 50  # characters: file systems take 255 bytes, a Korean letter is three


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a temporary file beside `path`, and renames it to `path` once it is safely on disk.

    Text is UTF-8 with "\\n" line ends; half a surrogate pair, which UTF-8 cannot hold, is written
    as its escape. Whatever interrupts the writing, `path` holds either its old content or the new
    one, and no temporary file is left behind by an exception.

    Raises:
        UserError: the folder cannot be made or written, or the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        text = {"encoding": "utf-8", "newline": "", "errors": "backslashreplace"}
        with os.fdopen(handle, mode, **({} if "b" in mode else text)) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp gives 0600; others may read ours
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}); what stood there before is "
            "unchanged. Make room or name another folder."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Gives an empty temporary folder beside `path`, and renames it to `path` once it is filled.

    It is for files alone, without folders in it. A folder that stands at `path` is replaced, and
    stays as it is where an exception comes first; whether it may be replaced is for the caller to
    know.

    Raises:
        UserError: the folder cannot be made or written, or the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
        filled = temporary / "new"
        filled.mkdir()
        yield filled
        for file in filled.iterdir():
            os.chmod(file, 0o666 & ~_umask())  # some writers give 0600; others may read ours
            _sync(file)
        if path.exists():  # two renames, as a full folder cannot be renamed over another
            os.replace(path, temporary / "old")
        os.replace(filled, path)
        _sync(path.parent)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}); what stood there before is "
            "unchanged. Make room or name another folder."
        ) from error
    finally:
        if temporary is not None:
            if (temporary / "old").exists() and not path.exists():
                os.replace(temporary / "old", path)
            shutil.rmtree(temporary, ignore_errors=True)


def read_json(path: Path) -> Any:
    """What a JSON file of the user's holds.

    Raises:
        UserError: it is missing, not valid JSON, or names a key twice, of which one would be lost.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error})") from error


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"{key!r} stands there twice; leave one of them out")
        content[key] = value
    return content


def safe_name(text: str) -> str:
    """`text` as a part of a file name: letters of any script, digits, and "_-.".

    Whatever else it holds becomes "_", and a long one is cut; a checksum then keeps names of
    different texts apart.
    """
    safe = re.sub(r"[^\w.-]", "_", text).lstrip(".")[:_LONGEST_NAME]
    if safe == text:
        return text
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
    return f"{safe}-{digest[:8]}"


def csv_writer(file: IO[str]) -> Any:
    """A `csv.writer` whose every cell is read back as it was.

    All are quoted: Python before 3.13 leaves a lone "\\r" without the quotes it needs.
    """
    return csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV of numbers and names with the columns of the first row.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of a folder's files, as hexadecimal.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    if path.is_dir():
        files = sorted(inner for inner in path.rglob("*") if inner.is_file())
        listed = "".join(f"{inner.relative_to(path)} {checksum(inner)}\n" for inner in files)
        return hashlib.sha256(listed.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    """Brings a file, or a folder's list of files, onto the disk; folders can be on POSIX alone."""
    if path.is_file() or os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
