"""Suspicious characters of a sentence, and their repair.

They are mostly left by copying from web pages and PDFs. An encoder sees a different word for
"서울" with a zero-width space in it, or spelled in conjoining jamo (as macOS writes file names).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from kore.data.schema import Entity, Example, Span

LOST = "\ufffd"  # what a decoder puts in place of bytes it cannot read
# Soft hyphen, zero-width and direction marks, invisible operators, byte order mark, Hangul fillers
_INVISIBLE = re.compile(
    "[\u00ad\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\uffa0]"
)
_JOINERS = "\u200c\u200d"
# A joiner has its use after these: 👩 (So), skin tones (Sk), marks of Indic scripts (Mn, Mc).
_JOINED = ("So", "Sk", "Mn", "Mc")
_HANGUL_FILLER = "\u3164"  # as wide as a letter, and blank
_HTML_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")


class SuspiciousCharacter(NamedTuple):
    """A suspicious place: `text` is a character, or an HTML entity."""

    position: int
    text: str
    kind: str

    @property
    def name(self) -> str:
        """Code points with their names: "U+200B ZERO WIDTH SPACE"; an HTML entity is its own."""
        if self.text.startswith("&"):
            return self.text
        return f"U+{ord(self.text):04X} {unicodedata.name(self.text, 'without a name')}"


def find_suspicious(text: str) -> list[SuspiciousCharacter]:
    """Every suspicious place of a text, in order."""
    found = [
        SuspiciousCharacter(match.start(), match.group(), "HTML entity")
        for match in _HTML_ENTITY.finditer(text)
        if _unescaped(match) != match.group()
    ]
    is_normal = unicodedata.is_normalized("NFC", text)
    for position, character in enumerate(text):
        if " " <= character <= "~" or "가" <= character <= "힣":  # nearly all
            continue
        before = text[position - 1 : position]
        kind, _ = _judged(character, before)
        if not kind and not is_normal and _is_decomposed(character, before):
            kind = "not composed (NFC)"
        if kind:
            found.append(SuspiciousCharacter(position, character, kind))
    return sorted(found)


def repaired(text: str) -> str:
    """The text without what can be repaired; repairing it again changes nothing.

    HTML entities are resolved, invisible and control characters removed, other spaces and line
    ends become spaces, and letters in parts are composed (Unicode's NFC).
    """
    while True:
        after = _HTML_ENTITY.sub(_unescaped, text)
        after = "".join(
            character if (repair := _judged(character, before)[1]) is None else repair
            for character, before in zip(after, ["", *after], strict=False)
        )
        after = unicodedata.normalize("NFC", after)
        if after == text:
            return text
        text = after


def repaired_example(example: Example) -> Example | None:
    """The example with its sentence repaired, spans moved with their words.

    The text before, in, between and after the entities is repaired piece by piece, so that no
    repair reaches over the edge of an entity; white space at an entity's ends is left outside.
    None where nothing of an entity would be left.
    """
    first, second = sorted((example.subject, example.object), key=lambda entity: entity.span)
    edges = [0, *first.span, *second.span, len(example.sentence)]
    pieces = [repaired(example.sentence[start:end]) for start, end in pairwise(edges)]
    sentence = "".join(pieces)
    entities = []
    for number, entity in ((1, first), (3, second)):
        word = pieces[number].strip()
        if not word:
            return None
        start = len("".join(pieces[:number])) + pieces[number].index(word)
        entities.append(Entity(word, Span(start, start + len(word)), entity.type))
    if example.subject is second:
        entities.reverse()
    return example._replace(sentence=sentence, subject=entities[0], object=entities[1])


def realigned(sentence: str, entities: Sequence[Entity]) -> tuple[str, list[Entity]] | None:
    """A sentence and entities that agree, where both were the same but for what `repaired` repairs.

    An annotation tool may have composed the words (NFC) and not the sentence, or have counted the
    characters in another form of it than was written. Words get the sentence's spelling, so that
    `repaired_example` can repair both.

    Args:
        entities: whose words are not what their spans cut out of the sentence.

    Returns:
        None where there is more than that between them.
    """
    words = [repaired(entity.word).strip() for entity in entities]
    if not all(words):
        return None
    # The spans may count in the sentence as it is, as it was repaired, or as macOS writes it.
    for text in (sentence, repaired(sentence), unicodedata.normalize("NFD", sentence)):
        pieces = [text[max(0, entity.span.start) : entity.span.end] for entity in entities]
        if [repaired(piece).strip() for piece in pieces] == words:
            named = zip(entities, pieces, strict=True)
            return text, [entity._replace(word=piece) for entity, piece in named]
    return None


def _judged(character: str, before: str) -> tuple[str, str | None]:
    """(kind, repair) of a character: ("", None) is ordinary, (kind, None) beyond repair."""
    if character in _JOINERS and _is_joined(before):
        return "", None
    if _INVISIBLE.match(character):
        return "zero-width or invisible", ""
    category = unicodedata.category(character)
    if category == "Cc":
        return "control", " " if character.isspace() else ""
    if (category in ("Zs", "Zl", "Zp") and character != " ") or character == _HANGUL_FILLER:
        return "odd space", " "
    if category == "Co":
        return "private use", None
    return ("replacement for lost text", None) if character == LOST else ("", None)


def _is_joined(character: str) -> bool:
    """Whether a joiner may follow; Persian needs them after its letters."""
    if not character:
        return False
    is_arabic = unicodedata.bidirectional(character) == "AL"
    return is_arabic or unicodedata.category(character) in _JOINED


def _is_decomposed(character: str, before: str) -> bool:
    """Whether NFC would write this character otherwise, alone or with the one before it."""
    jamo = "\u1100" <= character <= "\u11ff"
    alone = unicodedata.normalize("NFC", character) != character
    return jamo or alone or len(unicodedata.normalize("NFC", before + character)) < len(before) + 1


def _unescaped(match: re.Match[str]) -> str:
    text = html.unescape(match.group())
    return match.group() if LOST in text else text  # "&#0;" names no character
