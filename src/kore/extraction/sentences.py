"""A document -> its sentences, with their places in it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from kore.common.errors import UserError
from kore.common.flags import AUTO

LINE, KIWI = "line", "kiwi"
_LINE = re.compile(r"[^\r\n]+")
_LOADING = threading.Lock()
_KIWI: list[Any] = []  # the splitter, once it is loaded: it takes a second


class Sentence(NamedTuple):
    """A sentence without white space around it; `start` is its first character in the document."""

    text: str
    start: int


Splitter = Callable[[str], list[Sentence]]


def splitter_of(name: str) -> Splitter:
    """The splitter of that name: "line", "kiwi", or "auto" for kiwi where it is installed.

    Raises:
        UserError: kiwi is asked for and is not installed.
    """
    if name == LINE:
        return by_line
    try:
        import kiwipiepy  # noqa: F401
    except ImportError as error:
        if name == AUTO:
            return by_line
        raise UserError(
            "`sentences` kiwi needs the package kiwipiepy: poetry install --with extract, or "
            "python -m pip install kiwipiepy"
        ) from error
    return by_kiwi


def by_line(document: str) -> list[Sentence]:
    """A sentence a line; empty lines are passed over."""
    found = (_stripped(document, *match.span()) for match in _LINE.finditer(document))
    return [sentence for sentence in found if sentence.text]


def by_kiwi(document: str) -> list[Sentence]:
    """As Kiwi splits Korean (https://github.com/bab2min/kiwipiepy)."""
    with _LOADING:
        if not _KIWI:
            from kiwipiepy import Kiwi

            _KIWI.append(Kiwi())
        spans = [(part.start, part.end) for part in _KIWI[0].split_into_sents(document)]
    found = (_stripped(document, start, end) for start, end in spans)
    return [sentence for sentence in found if sentence.text]


def _stripped(document: str, start: int, end: int) -> Sentence:
    piece = document[start:end]
    return Sentence(piece.strip(), start + len(piece) - len(piece.lstrip()))
