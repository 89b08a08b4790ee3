"""Files that are written whole or not at all, and what is read back from them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import secrets
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

    Text is UTF-8, its line ends are left as they are; half a surrogate pair, which UTF-8 cannot
    encode, is written as its escape. Whatever interrupts the writing, `path` holds either its old
    content or the new one, and an exception leaves no temporary file behind.

    Args:
        mode: "w" for text, "wb" for bytes.

    Raises:
        UserError: the folder cannot be created or written, or the disk is full.
    """
    # Not by `tempfile`, whose files only their owner may read: here the umask decides.
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.tmp"
    text = {"encoding": "utf-8", "newline": "", "errors": "backslashreplace"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode.replace("w", "x"), **({} if "b" in mode else text)) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty temporary folder beside `path`, and renames it to `path` once it is filled.

    It is for files only, not for folders in it. An existing folder at `path` is replaced, and stays
    as it is if an exception comes first; the caller has to check whether it may be replaced.

    Raises:
        UserError: the folder cannot be created or written, or the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
        filled = temporary / "new"
        filled.mkdir()
        readable = filled.stat().st_mode & 0o666  # what the umask leaves to a new file
        yield filled
        for file in filled.iterdir():
            os.chmod(file, readable)  # some writers let only the owner read
            _sync(file)
        if path.exists():  # two renames, as a full folder cannot be renamed over another
            os.replace(path, temporary / "old")
        os.replace(filled, path)
        _sync(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if temporary is not None:
            if (temporary / "old").exists() and not path.exists():
                os.replace(temporary / "old", path)
            shutil.rmtree(temporary, ignore_errors=True)


def _unwritable(path: Path, error: OSError) -> UserError:
    if isinstance(error, FileNotFoundError):  # the folder was there when the writing began
        return UserError(
            f"{path} cannot be written: {path.parent} was removed meanwhile. If another run writes "
            "there too, name another output for one of them."
        )
    return UserError(
        f"{path} cannot be written ({error.strerror or error}); what stood there before is "
        "unchanged. Make room or name another folder."
    )


def read_json(path: Path) -> Any:
    """The content of a JSON file of the user.

    Raises:
        UserError: it is missing, not valid JSON, or has a key twice, one of which would be lost.
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
            raise ValueError(f"{key!r} occurs twice; remove one of them")
        content[key] = value
    return content


def safe_name(text: str) -> str:
    """`text` as part of a file name: letters of any script, digits, and "_-.".

    Anything else becomes "_", and a long text is cut; a checksum then keeps the names of different
    texts apart.
    """
    safe = re.sub(r"[^\w.-]", "_", text).lstrip(".")[:_LONGEST_NAME]
    if safe == text:
        return text
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
    return f"{safe}-{digest[:8]}"


def csv_writer(file: IO[str]) -> Any:
    """A `csv.writer` whose cells are all read back unchanged.

    All are quoted: Python before 3.13 writes a lone "\\r" without the quotes it needs.
    """
    return csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a CSV of numbers and names with the columns of the first row.

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
        OSError: it does not exist, or cannot be read.
    """
    if path.is_dir():
        files = sorted(inner for inner in path.rglob("*") if inner.is_file())
        listed = "".join(f"{inner.relative_to(path)} {checksum(inner)}\n" for inner in files)
        return hashlib.sha256(listed.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Writes a file, or a folder's list of files, to the disk; folders only on POSIX."""
    if path.is_file() or os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
