"""Korean particles (조사) in the form that fits the sound before them.

Many particles have two forms, one after a final consonant (받침) and one after a vowel: 책은 but
나무는. What counts is how the last letter is read aloud, so digits and Latin letters have a
final sound as well: 3은 (삼), 2는 (이), LM은 (엘엠), KR는 (케이아르).
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache


class Final(enum.Enum):
    """How the reading of a word ends."""

    VOWEL = "vowel"
    RIEUL = "rieul"  # ㄹ: a consonant, except that 으로 becomes 로 after it
    CONSONANT = "consonant"
    UNKNOWN = "unknown"  # no letter whose reading is certain, as in 漢字


# after a consonant -> after a vowel; regular pairs (이라/라, 으로/로) need no entry
_IRREGULAR = {"은": "는", "이": "가", "을": "를", "과": "와", "아": "야", "이에요": "예요"}

_DIGITS = dict(
    zip(
        "0123456789",  # 영 일 이 삼 사 오 육 칠 팔 구; the 0 of 10, 100 … is 십, 백, 천, 만, 억
        (
            Final.CONSONANT,
            Final.RIEUL,
            Final.VOWEL,
            Final.CONSONANT,
            Final.VOWEL,
            Final.VOWEL,
            Final.CONSONANT,
            Final.RIEUL,
            Final.RIEUL,
            Final.VOWEL,
        ),
        strict=True,
    )
)
# 엘, 엠, 엔; every other letter's name ends in a vowel, R (아르) included
_LETTER_NAMES = {"L": Final.RIEUL, "M": Final.CONSONANT, "N": Final.CONSONANT}
# Endings of Latin words that are read as words: Google 구글, Phone 폰, Games 게임즈, Rock 록
_WORD_ENDINGS = (
    (("l", "le"), Final.RIEUL),
    (("m", "n", "me", "ne", "ng", "ck"), Final.CONSONANT),
)
_SYMBOLS = {"%": Final.VOWEL, "℃": Final.VOWEL, "+": Final.VOWEL}  # 퍼센트, 도, 플러스

_PARENTHESIS = re.compile(r"(?<=\S)\s*\([^()]*\)$")
_LATIN_WORD = re.compile(r"[A-Za-z]+$")


def choose_particle(word: str, pair: str) -> str:
    """The form of a particle that fits after `word`.

    Quotes and other closing punctuation are looked through. What stands in parentheses at the
    end is left out, since the particle belongs to the word before them: 홍길동(洪吉童)은.

    Args:
        word: the text before the particle; only its end matters.
        pair: both forms in either order, as in "은/는", "와/과", "으로/로", "이라는/라는".

    Returns:
        One of the forms, or both in the customary spelling, "은(는)" or "(으)로", where the
        reading of `word` is unknown.

    Raises:
        ValueError: `pair` is not a pair of forms of one particle.
    """
    after_consonant, after_vowel = _split_pair(pair)
    final = final_sound(word)
    if final is Final.UNKNOWN:
        if after_consonant[1:] == after_vowel:
            return f"({after_consonant[0]}){after_vowel}"
        return f"{after_consonant}({after_vowel})"
    if final is Final.RIEUL and after_consonant.startswith("으"):
        return after_vowel
    return after_vowel if final is Final.VOWEL else after_consonant


def final_sound(word: str) -> Final:
    """How the reading of `word` ends, punctuation and a last parenthesis left aside.

    A Latin word in capitals is spelled out (KBL: 케이비엘); another one is judged by its ending,
    which is right for most English words (Phone: 폰) but not for all (Net would be 넷).
    """
    text = _PARENTHESIS.sub("", word)
    while text:
        last = text[-1]
        if "가" <= last <= "힣":
            return _hangul_final(last)
        if last in _DIGITS:
            return _DIGITS[last]
        if last in _SYMBOLS:
            return _SYMBOLS[last]
        latin = _LATIN_WORD.search(text)
        if latin:
            return _latin_final(latin.group())
        if last.isalnum():  # a letter of another script
            return Final.UNKNOWN
        text = text[:-1]
    return Final.UNKNOWN


def _hangul_final(syllable: str) -> Final:
    # Unicode orders the syllables by initial, vowel and 28 finals; 0 is none and 8 is ㄹ
    final = (ord(syllable) - ord("가")) % 28
    if final == 0:
        return Final.VOWEL
    return Final.RIEUL if final == 8 else Final.CONSONANT


def _latin_final(word: str) -> Final:
    if len(word) == 1 or word.isupper():
        return _LETTER_NAMES.get(word[-1].upper(), Final.VOWEL)
    for endings, final in _WORD_ENDINGS:
        if word.lower().endswith(endings):
            return final
    return Final.VOWEL


@lru_cache(maxsize=256)
def _split_pair(pair: str) -> tuple[str, str]:
    """(form after a consonant, form after a vowel) of "은/는" or "는/은"."""
    first, _, second = pair.partition("/")
    for consonant, vowel in ((first, second), (second, first)):
        regular = len(vowel) > 0 and consonant in (f"이{vowel}", f"으{vowel}")
        past = consonant.startswith("이었") and vowel == f"였{consonant[2:]}"
        if regular or past or _IRREGULAR.get(consonant) == vowel:
            return consonant, vowel
    raise ValueError(f"{pair!r} is no pair of particle forms such as '은/는' or '으로/로'")
