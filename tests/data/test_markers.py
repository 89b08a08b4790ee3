"""Marked text of every style, written out by hand, and what holds for any sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import make_example

from kore.data.markers import MarkedEntity, MarkerScheme, mark, marker_tokens
from kore.data.schema import Entity, Example, Span

SENTENCE = "비틀즈의 조지 해리슨이 노래했다."
TYPES = ("ORG", "PER")


def band() -> Example:
    return make_example("1", SENTENCE, "비틀즈", "조지 해리슨", types=("ORG", "PER"))


def band_turned() -> Example:
    """The subject is the person, who stands second."""
    return make_example("1", SENTENCE, "조지 해리슨", "비틀즈", types=("PER", "ORG"))


@pytest.mark.parametrize(
    ("style", "use_types", "expected"),
    [
        ("punct", True, "@ * 단체 * 비틀즈 @의 # ^ 사람 ^ 조지 해리슨 #이 노래했다."),
        ("punct", False, "@ 비틀즈 @의 # 조지 해리슨 #이 노래했다."),
        ("special", True, "[E1-ORG]비틀즈[/E1-ORG]의 [E2-PER]조지 해리슨[/E2-PER]이 노래했다."),
        ("special", False, "[E1]비틀즈[/E1]의 [E2]조지 해리슨[/E2]이 노래했다."),
    ],
)
def test_subject_first(style: str, use_types: bool, expected: str) -> None:
    marked = mark(band(), MarkerScheme(True, use_types, style, TYPES))
    assert marked.text == expected
    assert marked.lead == ()


@pytest.mark.parametrize(
    ("style", "use_types", "expected"),
    [
        ("punct", True, "# ^ 단체 ^ 비틀즈 #의 @ * 사람 * 조지 해리슨 @이 노래했다."),
        ("punct", False, "# 비틀즈 #의 @ 조지 해리슨 @이 노래했다."),
        ("special", True, "[E2-ORG]비틀즈[/E2-ORG]의 [E1-PER]조지 해리슨[/E1-PER]이 노래했다."),
        ("special", False, "[E2]비틀즈[/E2]의 [E1]조지 해리슨[/E1]이 노래했다."),
    ],
)
def test_object_first(style: str, use_types: bool, expected: str) -> None:
    assert mark(band_turned(), MarkerScheme(True, use_types, style, TYPES)).text == expected


def test_spans_of_typed_punctuation_counted_by_hand() -> None:
    marked = mark(band_turned(), MarkerScheme(True, True, "punct", TYPES))
    # "# ^ 단체 ^ 비틀즈 #의 @ * 사람 * 조지 해리슨 @이 노래했다."
    assert marked.object == MarkedEntity(outer=Span(0, 14), inner=Span(9, 12))
    assert marked.subject == MarkedEntity(outer=Span(16, 33), inner=Span(25, 31))


def test_spans_of_special_markers_counted_by_hand() -> None:
    marked = mark(band(), MarkerScheme(True, False, "special", TYPES))
    # "[E1]비틀즈[/E1]의 [E2]조지 해리슨[/E2]이 노래했다."
    assert marked.subject == MarkedEntity(outer=Span(0, 12), inner=Span(4, 7))
    assert marked.object == MarkedEntity(outer=Span(14, 29), inner=Span(18, 24))


def test_a_cue_asks_for_the_relation_in_words() -> None:
    plain = MarkerScheme(True, True, "punct", ("ORG", "PER"))
    row = make_example("a", "김도율은 해담전자의 사원이다.", "김도율", "해담전자")
    asked = mark(row, replace(plain, cue=True))
    assert asked.lead == ("@ * 사람 * 김도율 @ 와 # ^ 단체 ^ 해담전자 # 의 관계",)
    assert asked._replace(lead=()) == mark(row, plain)
    special = mark(row, MarkerScheme(True, False, "special", (), cue=True))
    assert special.lead == ("[E1]김도율[/E1] 와 [E2]해담전자[/E2] 의 관계",)


def test_without_markers_both_words_lead_the_sentence() -> None:
    marked = mark(band_turned(), MarkerScheme(False, True, "punct", TYPES))
    assert marked.lead == ("조지 해리슨", "비틀즈")
    assert marked.text == SENTENCE
    assert marked.subject == MarkedEntity(outer=Span(5, 11), inner=Span(5, 11))
    assert marked.object == MarkedEntity(outer=Span(0, 3), inner=Span(0, 3))


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("punct", "@ * 장소 * 서울 @# ^ 사람 ^ 시장 #은"),
        ("special", "[E1-LOC]서울[/E1-LOC][E2-PER]시장[/E2-PER]은"),
    ],
)
def test_adjacent_entities(style: str, expected: str) -> None:
    example = make_example("1", "서울시장은", "서울", "시장", types=("LOC", "PER"))
    assert mark(example, MarkerScheme(True, True, style, ("LOC", "PER"))).text == expected


def test_entities_that_are_the_whole_sentence() -> None:
    example = make_example("1", "서울시장", "시장", "서울", types=("PER", "LOC"))
    marked = mark(example, MarkerScheme(True, False, "punct", ()))
    assert marked.text == "# 서울 #@ 시장 @"
    assert marked.subject.outer == Span(6, 12)


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("punct", "@ * 단체 * 비틀즈 @의 # 조지 해리슨 #이 노래했다."),
        ("special", "[E1-ORG]비틀즈[/E1-ORG]의 [E2]조지 해리슨[/E2]이 노래했다."),
    ],
)
def test_a_type_never_seen_in_training_is_left_out(style: str, expected: str) -> None:
    assert mark(band(), MarkerScheme(True, True, style, ("LOC", "ORG"))).text == expected


@pytest.mark.parametrize(
    ("type_name", "word"),
    [
        ("PER", "사람"),
        ("ORG", "단체"),
        ("LOC", "장소"),
        ("DAT", "날짜"),
        ("POH", "기타"),
        ("NOH", "수량"),
        ("질병", "질병"),  # a schema of the user's own: the type stands for itself
    ],
)
def test_types_as_words(type_name: str, word: str) -> None:
    example = make_example("1", "가 나", "가", "나", types=(type_name, "X"))
    marked = mark(example, MarkerScheme(True, True, "punct", (type_name,)))
    assert marked.text == f"@ * {word} * 가 @ # 나 #"


def test_new_tokens_have_a_fixed_order() -> None:
    assert marker_tokens(MarkerScheme(True, True, "special", ("LOC", "PER"))) == [
        "[E1]",
        "[/E1]",
        "[E1-LOC]",
        "[/E1-LOC]",
        "[E1-PER]",
        "[/E1-PER]",
        "[E2]",
        "[/E2]",
        "[E2-LOC]",
        "[/E2-LOC]",
        "[E2-PER]",
        "[/E2-PER]",
    ]
    untyped = MarkerScheme(True, False, "special", ("LOC", "PER"))
    assert marker_tokens(untyped) == ["[E1]", "[/E1]", "[E2]", "[/E2]"]


@pytest.mark.parametrize(
    "scheme",
    [MarkerScheme(True, True, "punct", TYPES), MarkerScheme(False, True, "special", TYPES)],
)
def test_no_new_tokens_without_special_markers(scheme: MarkerScheme) -> None:
    assert marker_tokens(scheme) == []


@given(
    parts=st.tuples(st.text(), st.text(min_size=1), st.text(), st.text(min_size=1), st.text()),
    subject_first=st.booleans(),
    style=st.sampled_from(["punct", "special"]),
    types=st.sets(st.sampled_from(["ORG", "PER"])),
)
def test_any_sentence_keeps_its_text_and_its_entities(
    parts: tuple[str, str, str, str, str], subject_first: bool, style: str, types: set[str]
) -> None:
    before, first, between, second, _ = parts
    start = len(before) + len(first) + len(between)
    entities = [
        Entity(first, Span(len(before), len(before) + len(first)), "ORG"),
        Entity(second, Span(start, start + len(second)), "PER"),
    ]
    subject, object_ = entities if subject_first else reversed(entities)
    example = Example("1", "".join(parts), subject, object_)
    marked = mark(example, MarkerScheme(True, True, style, tuple(sorted(types))))
    assert marked.text[slice(*marked.subject.inner)] == subject.word
    assert marked.text[slice(*marked.object.inner)] == object_.word
    left, right = sorted([marked.subject, marked.object])
    pieces = [(0, left.outer.start), left.inner, (left.outer.end, right.outer.start), right.inner]
    unmarked = "".join(marked.text[start:end] for start, end in pieces)
    assert unmarked + marked.text[right.outer.end :] == example.sentence
