"""Character n-grams, hashed to numbers: what a linear model knows of a text.

Of an example the n-grams of both entities and of what surrounds them: memorized names, titles and
particles. Each field has numbers of its own, so that "교수" before the object is not "교수" inside
the subject. For a tagger the n-grams around each character, each place with numbers of its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kore.data.schema import Entity, Example

NUM_FIELDS = 6  # subject, object, between them, around each, types
_LONGEST = 4  # characters of an n-gram
_AROUND = 10  # characters read on both sides of an entity
_SUBJECT, _OBJECT = "\x01", "\x02"  # stand for the entities in the text around them
REACH = 4  # characters on both sides of a character that the n-grams around it read
_BEFORE, _BEHIND = "\x02", "\x03"  # stand for what lies outside a text
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, its bits without a pattern (2**64 / golden mean)
_SHIFT, _HIGH = np.uint64(29), np.uint64(32)
# Size and first character, counted from the character itself, of the n-grams around it: all letters
# and pairs within reach, and the longer ones that hold it or a neighbour.
_AROUND_PLACES = tuple(
    (size, start)
    for size in range(1, 6)
    for start in range(-REACH, REACH - size + 2)
    if size < 3 or -size <= start <= 1
)


def ngrams_of(example: Example, buckets: int) -> NDArray[np.int32]:
    """The numbers of an example's n-grams, ascending, each once: from 1 to NUM_FIELDS * buckets.

    The hash is a function of the characters alone: the same in every process and on every machine.

    Args:
        buckets: numbers that a field has.
    """
    parts = [
        np.unique(hashes % np.uint64(buckets)).astype(np.int32) + np.int32(1 + field * buckets)
        for field, hashes in enumerate(_hashes(example))
    ]
    return np.concatenate(parts)


def _hashes(example: Example) -> Iterator[NDArray[np.uint64]]:
    """Those of each field, in order."""
    subject, object_ = example.subject, example.object
    for entity in (subject, object_):
        yield _text_hashes(f"^{entity.word}$")
    first, second = sorted((subject, object_), key=lambda entity: entity.span)
    is_subject_first = first is subject
    between = example.sentence[first.span.end : second.span.start]
    marks = (_SUBJECT, _OBJECT) if is_subject_first else (_OBJECT, _SUBJECT)
    yield _text_hashes(between.join(marks))
    for entity, mark in ((subject, _SUBJECT), (object_, _OBJECT)):
        yield _text_hashes(mark.join(_sides(example.sentence, entity)))
    pair = f"{subject.type} {object_.type}"
    facts = (f"s {subject.type}", f"o {object_.type}", pair, f"{pair} {is_subject_first}")
    yield np.asarray([zlib.crc32(fact.encode()) for fact in facts], dtype=np.uint64)


def _sides(sentence: str, entity: Entity) -> tuple[str, str]:
    start, end = entity.span
    return sentence[max(0, start - _AROUND) : start], sentence[end : end + _AROUND]


def _text_hashes(text: str) -> NDArray[np.uint64]:
    """A hash of every substring of up to `_LONGEST` characters."""
    return np.concatenate([hashes >> _HIGH for hashes in _by_size(text, _LONGEST)])


def _by_size(text: str, longest: int) -> Iterator[NDArray[np.uint64]]:
    """Of each size, the hashes of all substrings in order; their upper bits are mixed best."""
    codes = np.asarray([ord(letter) for letter in text], dtype=np.uint64)
    hashes = np.ones_like(codes)
    for size in range(1, min(longest, len(codes)) + 1):
        hashes = _mixed(hashes[: len(codes) - size + 1], codes[size - 1 :])
        yield hashes


def _mixed(hashes: NDArray[np.uint64], values: NDArray[np.uint64] | np.uint64) -> Any:
    product = (hashes ^ values) * _MULTIPLIER
    return product ^ (product >> _SHIFT)


def surroundings(text: str, first: int, end: int) -> str:
    """The characters first..end of a text with REACH more on both sides, for `ngrams_around`."""
    before = _BEFORE * max(0, REACH - first)
    behind = _BEHIND * max(0, end + REACH - len(text))
    return f"{before}{text[max(0, first - REACH) : end + REACH]}{behind}"


def ngrams_around(surroundings: str, buckets: int) -> NDArray[np.int32]:
    """Numbers below `buckets` of the n-grams around each character, (S, F), one for each place.

    The hash is a function of the characters alone, as in `ngrams_of`.

    Args:
        surroundings: S characters and REACH more on both sides.
    """
    count = len(surroundings) - 2 * REACH
    by_size = list(_by_size(surroundings, max(size for size, _ in _AROUND_PLACES)))
    columns = [
        (_mixed(by_size[size - 1][REACH + start :][:count], np.uint64(number)) >> _HIGH)
        % np.uint64(buckets)
        for number, (size, start) in enumerate(_AROUND_PLACES, start=1)
    ]
    return np.stack(columns, axis=1).astype(np.int32)
