"""A document -> its sentences, with their places in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kore.common.flags import AUTO
from kore.data import morphemes

LINE, KIWI = "line", "kiwi"
MOST_CHARACTERS = 4_000  # that Kiwi gets at a time
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
    if chosen(name) == LINE:
        return by_line
    morphemes.load_kiwi(_WANTED_BY)
    return by_kiwi


def chosen(name: str) -> str:
    """What "auto" stands for here."""
    if name != AUTO:
        return name
    return KIWI if morphemes.is_installed() else LINE


def by_line(document: str) -> list[Sentence]:
    """A sentence a line; empty lines are passed over."""
    found = (_stripped(document, *match.span()) for match in _LINE.finditer(document))
    return [sentence for sentence in found if sentence.text]


def by_kiwi(document: str) -> list[Sentence]:
    """As Kiwi splits Korean (https://github.com/bab2min/kiwipiepy), a block at a time."""
    kiwi = morphemes.load_kiwi(_WANTED_BY)
    found = []
    for first, behind in blocks(document):
        for part in kiwi.split_into_sents(document[first:behind]):
            found.append(_stripped(document, first + part.start, first + part.end))
    return [sentence for sentence in found if sentence.text]


def blocks(document: str) -> Iterator[tuple[int, int]]:
    """Parts of at most MOST_CHARACTERS, which end at a line end, a sentence end or a space.

    Kiwi takes a text whole: 10 MB in one line would take it minutes, and a bracket that nobody
    closes would make one sentence of all that follows.
    """
    first = 0
    while len(document) - first > MOST_CHARACTERS:
        piece = document[first : first + MOST_CHARACTERS]
        ends = (piece.rfind("\n"), max(piece.rfind(mark) for mark in (". ", "? ", "! ")) + 1)
        behind = next((end for end in ends if end > MOST_CHARACTERS // 2), 0)
        behind = behind or piece.rfind(" ") + 1 or MOST_CHARACTERS
        yield first, first + behind
        first += behind
    if first < len(document):
        yield first, len(document)


def _stripped(document: str, start: int, end: int) -> Sentence:
    piece = document[start:end]
    return Sentence(piece.strip(), start + len(piece) - len(piece.lstrip()))
