"""Particles checked against forms written by hand."""

from __future__ import annotations

import pytest

from kore.data.particles import Final, choose_particle, final_sound


@pytest.mark.parametrize(
    ("word", "pair", "expected"),
    [
        ("책", "은/는", "책은"),
        ("나무", "은/는", "나무는"),
        ("사람", "이/가", "사람이"),
        ("친구", "이/가", "친구가"),
        ("물", "을/를", "물을"),
        ("커피", "을/를", "커피를"),
        ("학교", "와/과", "학교와"),
        ("병원", "와/과", "병원과"),
        ("선생님", "이다/다", "선생님이다"),
        ("화가", "이다/다", "화가다"),
        ("시인", "이며/며", "시인이며"),
        ("배우", "이며/며", "배우며"),
        ("군인", "이고/고", "군인이고"),
        ("의사", "이고/고", "의사고"),
        ("청람", "이라/라", "청람이라"),
        ("모아", "이라는/라는", "모아라는"),
        ("회장", "이었다/였다", "회장이었다"),
        ("대표", "이었다/였다", "대표였다"),
        ("하람", "아/야", "하람아"),
        ("지수", "아/야", "지수야"),
    ],
)
def test_hangul(word: str, pair: str, expected: str) -> None:
    assert word + choose_particle(word, pair) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("부산", "부산으로"),
        ("서울", "서울로"),  # ㄹ counts as a vowel here, and only here
        ("제주", "제주로"),
        ("아들", "아들로"),
        ("회장", "회장으로"),
        ("모델 7", "모델 7로"),
        ("모델 3", "모델 3으로"),
        ("SQL", "SQL로"),
        ("KTN", "KTN으로"),
    ],
)
def test_euro_after_rieul(word: str, expected: str) -> None:
    assert word + choose_particle(word, "으로/로") == expected
    assert word + choose_particle(word, "으로부터/로부터") == expected + "부터"


def test_rieul_is_a_consonant_elsewhere() -> None:
    assert "서울" + choose_particle("서울", "은/는") == "서울은"
    assert "서울" + choose_particle("서울", "이라는/라는") == "서울이라는"


@pytest.mark.parametrize(
    ("digit", "particle"),
    [
        ("0", "이"),  # 영
        ("1", "이"),  # 일
        ("2", "가"),  # 이
        ("3", "이"),  # 삼
        ("4", "가"),  # 사
        ("5", "가"),  # 오
        ("6", "이"),  # 육
        ("7", "이"),  # 칠
        ("8", "이"),  # 팔
        ("9", "가"),  # 구
        ("10", "이"),  # 십
        ("1,200", "이"),  # 백
        ("30000", "이"),  # 만
    ],
)
def test_digits(digit: str, particle: str) -> None:
    assert choose_particle(digit, "이/가") == particle


@pytest.mark.parametrize("letter", "ABCDEFGHIJKOPQRSTUVWXYZ")
def test_letters_read_with_a_final_vowel(letter: str) -> None:
    assert choose_particle(f"X{letter}", "은/는") == "는"
    assert choose_particle(letter.lower(), "은/는") == "는"


@pytest.mark.parametrize("letter", "LMN")
def test_letters_read_with_a_final_consonant(letter: str) -> None:
    assert choose_particle(f"X{letter}", "은/는") == "은"
    assert choose_particle(letter.lower(), "은/는") == "은"


@pytest.mark.parametrize(
    ("word", "particle"),
    [
        ("Telecom", "은"),
        ("Construction", "은"),
        ("Trading", "은"),  # ng is ㅇ, whereas the letter G is 지
        ("Phone", "은"),
        ("Google", "은"),
        ("Rock", "은"),
        ("Electronics", "는"),
        ("Energy", "는"),
        ("Motors", "는"),
    ],
)
def test_latin_words(word: str, particle: str) -> None:
    assert choose_particle(word, "은/는") == particle


@pytest.mark.parametrize(
    ("text", "pair", "expected"),
    [
        ("‘푸른 새벽’", "을/를", "을"),
        ("'낯선 지도'", "을/를", "를"),
        ("《느린 편지》", "은/는", "는"),
        ("〈먼 강물〉", "으로/로", "로"),
        ("「하얀 골목」", "이/가", "이"),
        ('"정원".', "과/와", "과"),
        ("홍길동(洪吉童)", "은/는", "은"),  # the word before the parenthesis decides
        ("해담전자(HDE)", "은/는", "는"),
        ("가람식품 (GRN)", "은/는", "은"),
        ("(주)새론", "은/는", "은"),
        ("50%", "은/는", "는"),
    ],
)
def test_closing_punctuation(text: str, pair: str, expected: str) -> None:
    assert choose_particle(text, pair) == expected


def test_both_orders_of_a_pair_mean_the_same() -> None:
    assert choose_particle("책", "는/은") == choose_particle("책", "은/는") == "은"
    assert choose_particle("책", "로/으로") == "으로"
    assert choose_particle("나무", "과/와") == choose_particle("나무", "와/과") == "와"


def test_unknown_reading_gives_both_forms() -> None:
    assert final_sound("漢字") is Final.UNKNOWN
    assert "漢字" + choose_particle("漢字", "은/는") == "漢字은(는)"
    assert "漢字" + choose_particle("漢字", "으로/로") == "漢字(으)로"
    assert "" + choose_particle("", "을/를") == "을(를)"


@pytest.mark.parametrize("pair", ["은/가", "은", "/", "", "에서/에"])
def test_no_pair(pair: str) -> None:
    with pytest.raises(ValueError, match="no pair"):
        choose_particle("책", pair)
