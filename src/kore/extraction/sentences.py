"""A document -> its sentences, with their places in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from kore.common.flags import AUTO
from kore.data import morphemes

LINE, KIWI = "line", "kiwi"
_LINE = re.compile(r"[^\r\n]+")
_WANTED_BY = "`sentences` kiwi"


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
    if name == LINE or (name == AUTO and not morphemes.is_installed()):
        return by_line
    morphemes.load_kiwi(_WANTED_BY)
    return by_kiwi


def by_line(document: str) -> list[Sentence]:
    """A sentence a line; empty lines are passed over."""
    found = (_stripped(document, *match.span()) for match in _LINE.finditer(document))
    return [sentence for sentence in found if sentence.text]


def by_kiwi(document: str) -> list[Sentence]:
    """As Kiwi splits Korean (https://github.com/bab2min/kiwipiepy)."""
    kiwi = morphemes.load_kiwi(_WANTED_BY)
    spans = [(part.start, part.end) for part in kiwi.split_into_sents(document)]
    found = (_stripped(document, start, end) for start, end in spans)
    return [sentence for sentence in found if sentence.text]


def _stripped(document: str, start: int, end: int) -> Sentence:
    piece = document[start:end]
    return Sentence(piece.strip(), start + len(piece) - len(piece.lstrip()))
