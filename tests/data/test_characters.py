"""Suspicious characters found and repaired, with the entities where they were."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import make_example

from kore.data.characters import find_suspicious, realigned, repaired, repaired_example
from kore.data.schema import Entity, Example, Span

SEOUL_JAMO = "\u1109\u1165\u110b\u116e\u11af"  # 서울, letter by letter


@pytest.mark.parametrize(
    ("text", "name", "kind", "clean"),
    [
        ("서\u200b울", "U+200B ZERO WIDTH SPACE", "zero-width or invisible", "서울"),
        ("\ufeff서울", "U+FEFF ZERO WIDTH NO-BREAK SPACE", "zero-width or invisible", "서울"),
        ("서\u00ad울", "U+00AD SOFT HYPHEN", "zero-width or invisible", "서울"),
        ("서울\u200d역", "U+200D ZERO WIDTH JOINER", "zero-width or invisible", "서울역"),
        ("서\u0007울", "U+0007 without a name", "control", "서울"),
        ("서울\t역", "U+0009 without a name", "control", "서울 역"),
        ("서울\n역", "U+000A without a name", "control", "서울 역"),
        ("서울\u00a0역", "U+00A0 NO-BREAK SPACE", "odd space", "서울 역"),
        ("서울\u3000역", "U+3000 IDEOGRAPHIC SPACE", "odd space", "서울 역"),
        ("서울\u3164역", "U+3164 HANGUL FILLER", "odd space", "서울 역"),
        ("서울\u2028역", "U+2028 LINE SEPARATOR", "odd space", "서울 역"),
        ("R&amp;D", "&amp;", "HTML entity", "R&D"),
        ("서울&#8203;역", "&#8203;", "HTML entity", "서울역"),
        ("&amp;lt;서울", "&amp;", "HTML entity", "<서울"),  # escaped twice
        ("서\ufffd", "U+FFFD REPLACEMENT CHARACTER", "replacement for lost text", "서\ufffd"),
        ("서\ue000", "U+E000 without a name", "private use", "서\ue000"),
        ("\uf9e1", "U+F9E1 CJK COMPATIBILITY IDEOGRAPH-F9E1", "not composed (NFC)", "\u674e"),
        ("Cafe\u0301", "U+0301 COMBINING ACUTE ACCENT", "not composed (NFC)", "Café"),
    ],
)
def test_what_is_odd_and_how_it_is_repaired(text: str, name: str, kind: str, clean: str) -> None:
    (odd,) = find_suspicious(text)
    assert (odd.name, odd.kind) == (name, kind)
    assert text[odd.position :].startswith(odd.text)
    assert repaired(text) == clean


def test_conjoining_jamo_are_composed() -> None:
    assert [odd.position for odd in find_suspicious(f"A {SEOUL_JAMO}")] == [2, 3, 4, 5, 6]
    assert repaired(SEOUL_JAMO) == "서울"


@pytest.mark.parametrize(
    "text",
    [
        "보통 문장, 3·1 운동 〈노래〉 ‘인용’ (李舜臣) ㄱ자 ㆍ",
        "R&D, S&P500; AT&T",
        "&없음; &foo;",
        "👩\u200d🔬와 👨🏽\u200d🚀",  # joiners make one sign of two
        "क्\u200dष",
        "می\u200cخواهم",
        "तू फ़िर",  # a mark that NFC leaves apart
    ],
)
def test_ordinary_text_is_left_in_peace(text: str) -> None:
    assert find_suspicious(text) == []
    assert repaired(text) == text


ODD_TEXT = st.text(
    "가a &;#x1\u200b\u200d\u00a0\t\u1109\u1165\u11af\u0301\ue000👩amplt", max_size=12
)


@given(ODD_TEXT)
def test_a_second_repair_changes_nothing(text: str) -> None:
    clean = repaired(text)
    assert repaired(clean) == clean
    assert unicodedata.is_normalized("NFC", clean)
    assert not {"\u00a0", "\t", "\u200b"} & set(clean)


def test_spans_move_with_their_words() -> None:
    example = make_example(
        "1", "\ufeff그 김\u200b도율은\u00a0R&amp;D사 대표다.", "R&amp;D사", "김\u200b도율"
    )
    clean = repaired_example(example)
    assert clean is not None
    assert clean.sentence == "그 김도율은 R&D사 대표다."
    assert clean.subject == Entity("R&D사", Span(7, 11), "PER")
    assert clean.object == Entity("김도율", Span(2, 5), "ORG")
    assert (clean.id, clean.source) == ("1", "test")


def test_white_space_at_the_ends_of_an_entity_is_left_outside() -> None:
    example = make_example("1", "그 김도율 은 해담전자\t사원", " 김도율 ", "해담전자\t")
    clean = repaired_example(example)
    assert clean is not None
    assert clean.sentence == "그 김도율 은 해담전자 사원"
    assert (clean.subject.word, clean.subject.span) == ("김도율", Span(2, 5))
    assert (clean.object.word, clean.object.span) == ("해담전자", Span(8, 12))


def test_an_entity_of_nothing_else_cannot_be_repaired() -> None:
    assert repaired_example(make_example("1", "김도율은 \u200b이다.", "김도율", "\u200b")) is None
    assert repaired_example(make_example("1", "김도율은\u3000이다.", "김도율", "\u3000")) is None


@given(st.lists(ODD_TEXT, min_size=5, max_size=5), st.booleans())
def test_the_repaired_spans_cut_out_the_repaired_words(pieces: list[str], swapped: bool) -> None:
    starts = [len("".join(pieces[:number])) for number in range(6)]
    entities = [Entity(pieces[n], Span(starts[n], starts[n + 1]), "PER") for n in (1, 3)]
    if swapped:
        entities.reverse()
    example = Example("1", "".join(pieces), entities[0], entities[1])
    clean = repaired_example(example)
    words = [repaired(entity.word).strip() for entity in entities]
    if clean is None:
        assert "" in words
        return
    assert [clean.subject.word, clean.object.word] == words
    for entity in (clean.subject, clean.object):
        assert clean.sentence[entity.span.start : entity.span.end] == entity.word
    assert not clean.subject.span.overlaps(clean.object.span)


NFD_WORD = unicodedata.normalize("NFD", "조지")  # four jamo
NFD_SENTENCE = unicodedata.normalize("NFD", "그의 조지")  # the word begins at 5


@pytest.mark.parametrize(
    ("sentence", "word", "span", "text", "spelled"),
    [
        ("그의 조지", NFD_WORD, Span(3, 5), "그의 조지", "조지"),
        (NFD_SENTENCE, "조지", Span(5, 9), NFD_SENTENCE, NFD_WORD),
        (NFD_SENTENCE, "조지", Span(3, 5), "그의 조지", "조지"),  # counted when composed
        ("그의 조지", "조지", Span(5, 9), NFD_SENTENCE, NFD_WORD),  # counted in parts
        ("그의 조\u200b지", "조지", Span(3, 5), "그의 조지", "조지"),
        ("그의\u00a0조지", "그의 조지", Span(0, 5), "그의\u00a0조지", "그의\u00a0조지"),
    ],
)
def test_words_are_realigned_with_their_sentence(
    sentence: str, word: str, span: Span, text: str, spelled: str
) -> None:
    found = realigned(sentence, [Entity(word, span, "PER")])
    assert found == (text, [Entity(spelled, span, "PER")])


@pytest.mark.parametrize(
    ("sentence", "word", "start"),
    [("그의 조지", "존", 3), ("그의 \u200b", "\u200b", 3), ("", "존", 9)],
)
def test_other_words_are_not_realigned(sentence: str, word: str, start: int) -> None:
    assert realigned(sentence, [Entity(word, Span(start, start + len(word)), "PER")]) is None
