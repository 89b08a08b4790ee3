"""Rows of a JSON list and of JSON lines; any other shape of JSON is named, with the way out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

from kore.common.errors import UserError
from kore.data.text_files import open_text

_WHITE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class _Place(NamedTuple):
    """A position in a text, and its line from 1."""

    position: int
    line: int


def list_rows(path: Path, text: str | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, fields) of every object of a JSON list, by the line on which it begins.

    Where several begin on one line, as `json.dump` writes them, no line would tell them apart:
    their numbers, from 1, stand in its place.

    Args:
        text: what the file holds, where it has been read already.

    Raises:
        UserError: anything but one list of objects, with the line.
    """
    if text is None:
        with open_text(path) as file:
            text = file.read()
    if not text.strip():
        raise UserError(f"{path}: the file is empty")
    places = list(_object_places(path, text))
    by_line = all(before.line < after.line for before, after in pairwise(places))
    for number, place in enumerate(places, start=1):
        # Decoded a second time: all objects at once take several times the memory of the text.
        record, _ = _DECODER.raw_decode(text, place.position)
        yield place.line if by_line else number, record


def line_rows(path: Path, lines: IO[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, fields) of every object of JSON lines; empty lines are passed over.

    Args:
        lines: of the file, where it has been read already.

    Raises:
        UserError: a line is anything but an object.
    """
    is_empty = True
    with open_text(path) if lines is None else lines as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            if is_empty and text.lstrip().startswith("["):
                raise UserError(
                    f"{path}:{line}: begins a JSON list, expected an object a line; name the file "
                    ".json"
                )
            is_empty = False
            try:
                record = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path}:{line}: not valid JSON ({error})") from error
            _check_object(path, line, record)
            yield line, record
    if is_empty:
        raise UserError(f"{path}: the file is empty")


def _object_places(path: Path, text: str) -> Iterator[_Place]:
    """Where each object of the list begins.

    Raises:
        UserError: the text is anything but one list of objects, each comma between two of them.
    """
    place = _next_place(text, _Place(0, 1), 0)
    if text[place.position] != "[":
        raise UserError(f"{path}:{place.line}: {_what_else(text, place.position)}")
    place = _next_place(text, place, place.position + 1)
    while text[place.position : place.position + 1] != "]":
        end = _end_of_object(path, text, place)
        yield place
        place = _next_place(text, place, end)
        separator = text[place.position : place.position + 1]
        if separator == "]":
            break
        if separator != ",":
            found = f"found {separator!r}" if separator else "the list is not closed"
            raise UserError(f"{path}:{place.line}: not valid JSON (expected a comma or ], {found})")
        place = _next_place(text, place, place.position + 1)
        if text[place.position : place.position + 1] in (",", "]"):
            raise UserError(f"{path}:{place.line}: not valid JSON (no object behind a comma)")
    place = _next_place(text, place, place.position + 1)
    if place.position < len(text):
        raise UserError(
            f"{path}:{place.line}: the list of rows has ended, but "
            f"{text[place.position :][:20]!r} follows; a file holds one list"
        )


def _next_place(text: str, before: _Place, position: int) -> _Place:
    """The first character from `position` on that is no white space."""
    position = _WHITE.match(text, position).end()  # type: ignore[union-attr]
    return _Place(position, before.line + text.count("\n", before.position, position))


def _end_of_object(path: Path, text: str, place: _Place) -> int:
    try:
        record, end = _DECODER.raw_decode(text, place.position)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", place.line)
        raise UserError(f"{path}:{line}: not valid JSON ({error})") from error
    _check_object(path, place.line, record)
    return end


def _check_object(path: Path, line: int, record: Any) -> None:
    if not isinstance(record, dict):
        raise UserError(f"{path}:{line}: expected an object of fields, found {str(record)[:40]}")


def _what_else(text: str, position: int) -> str:
    """What stands there in place of a list of rows, and how to get one."""
    expected = "expected a JSON list of rows"
    try:
        content, end = _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError) as error:
        return f"{expected}, and this is not valid JSON ({error})"
    if not isinstance(content, dict):
        return f"{expected}, found {str(content)[:40]}"
    if text[end:].strip():
        return f"{expected}, found objects without one; one object a line is a file named .jsonl"
    for name, inner in content.items():
        if isinstance(inner, list) and inner and all(isinstance(row, dict) for row in inner):
            return f"{expected}, found an object that holds one as {name!r}; write that list alone"
    if content.keys() == {"columns", "index", "data"} or all(
        isinstance(inner, dict) for inner in content.values()
    ):
        return f'{expected}, found another form of pandas; use to_json(…, orient="records")'
    return f"{expected}, found one object of the fields {', '.join(content)[:80]}"
