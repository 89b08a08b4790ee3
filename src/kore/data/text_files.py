"""Text files, compressed or not: opened as UTF-8, refused in a sentence where they are not."""

from __future__ import annotations

import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from kore.common.errors import UserError

GZIP = ".gz"
XZ = ".xz"
_OPENERS: dict[str, Callable[..., Any]] = {GZIP: gzip.open, XZ: lzma.open}
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def without_gzip(path: Path) -> Path:
    """rows.csv for rows.csv.gz; any other path as it is."""
    return path.with_suffix("") if path.suffix == GZIP else path


def without_compression(path: Path) -> Path:
    """a.txt for a.txt.gz and a.txt.xz; any other path as it is."""
    return path.with_suffix("") if path.suffix in _OPENERS else path


def open_text(path: Path, newline: str | None = None) -> IO[str]:
    """Opens UTF-8 text for reading, with or without a byte order mark."""
    file: IO[str] = _opener(path)(path, "rt", encoding="utf-8-sig", newline=newline)
    return file


def read_bytes(path: Path) -> bytes:
    """The content of a file, uncompressed."""
    with _opener(path)(path, "rb") as file:
        content: bytes = file.read()
    return content


def iter_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every line of a text file, without its line end.

    Raises:
        UserError: no such file, or it is not UTF-8 text.
    """
    with decode_errors_as_user_error(path), open_text(path) as file:
        for line, text in enumerate(file, start=1):
            if "\0" in text:
                raise UserError(f"{path}:{line}: holds a zero byte, so it is not a text file")
            yield line, text.rstrip("\n")


@contextmanager
def decode_errors_as_user_error(path: Path) -> Iterator[None]:
    """Says in a sentence that a file is missing, damaged, or not UTF-8."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        yield
    except UnicodeDecodeError:
        with decode_errors_as_user_error(path):  # a damaged file may end in the middle as well
            message = _encoding_message(path)
        raise UserError(message) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        kind = path.suffix.removeprefix(".").replace("gz", "gzip")
        raise UserError(f"{path}: not a whole {kind} file ({error}); copy it once more") from error
    except lzma.LZMAError as error:
        raise UserError(f"{path}: not a whole xz file ({error}); copy it once more") from error


def has_half_character(text: str) -> bool:
    """Whether `text` holds half of a surrogate pair, as an emoji that was cut in two."""
    return _HALF_CHARACTER.search(text) is not None


def _opener(path: Path) -> Callable[..., Any]:
    return _OPENERS.get(path.suffix, open)


def _encoding_message(path: Path) -> str:
    with _opener(path)(path, "rb") as file:
        for line, raw in enumerate(file, start=1):
            if line == 1 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return f"{path}: is UTF-16, expected UTF-8; convert it: {_iconv(path, 'utf-16')}"
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                return (
                    f"{path}:{line}: byte {error.start + 1} is not UTF-8; if the file is in cp949, "
                    f"convert it: {_iconv(path, 'cp949')}"
                )
    return f"{path}: not UTF-8"


def _iconv(path: Path, encoding: str) -> str:
    """The command that converts a file from `encoding`."""
    if path.suffix in _OPENERS:
        program = "gzip" if path.suffix == GZIP else "xz"
        return f"{program} -dc {path.name} | iconv -f {encoding} -t utf-8 > utf8_{path.stem}"
    return f"iconv -f {encoding} -t utf-8 {path.name} > utf8_{path.name}"
