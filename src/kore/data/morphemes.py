"""Korean in morphemes and sentences, by Kiwi (https://github.com/bab2min/kiwipiepy).

Kiwi is an optional package, and takes a second to load.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from kore.common.errors import UserError

WORDS, MORPHEMES = "words", "morphemes"  # what the pieces of a vocabulary may be parts of
# Before every morpheme that goes on within a word. A letter of a script that nobody writes
# (Phoenician): a tokenizer takes it for a part of the word, as it would not take punctuation.
JOINT = "\U00010900"
_LOADING = threading.Lock()
_KIWI: list[Any] = []


def is_installed() -> bool:
    """Whether the package kiwipiepy is there."""
    try:
        import kiwipiepy  # noqa: F401
    except ImportError:
        return False
    return True


def load_kiwi(wanted_by: str) -> Any:
    """The one Kiwi of this process.

    Args:
        wanted_by: what needs it, for the message.

    Raises:
        UserError: it is not installed.
    """
    if not is_installed():
        raise UserError(
            f"{wanted_by} needs the package kiwipiepy: poetry install --with extract, or "
            "python -m pip install kiwipiepy"
        )
    with _LOADING:
        if not _KIWI:
            from kiwipiepy import Kiwi

            _KIWI.append(Kiwi())
        return _KIWI[0]


def split_words(texts: Iterable[str], wanted_by: str) -> Iterator[str]:
    """The texts with " " and JOINT before every morpheme inside a word.

    >>> [text.replace(JOINT, "+") for text in split_words(["이순신은 장군이다."], "this")]
    ['이순신 +은 장군 +이 +다.']
    """
    kiwi = load_kiwi(wanted_by)
    texts = [text.replace(JOINT, " ") for text in texts]
    for text, morphemes in zip(texts, kiwi.tokenize(texts), strict=True):
        yield _split(text, morphemes)


def _split(text: str, morphemes: Iterable[Any]) -> str:
    """Contracted morphemes (했 = 하 + 었) share characters, and stay together."""
    parts, begin, end = [], 0, 0
    for morpheme in morphemes:
        start = morpheme.start
        if start == end > 0 and text[start - 1 : start].isalnum() and text[start].isalnum():
            parts += [text[begin:start], " ", JOINT]
            begin = start
        end = max(end, start + morpheme.len)
    return "".join([*parts, text[begin:]])
