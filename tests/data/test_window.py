"""Which tokens are kept, counted by hand at every edge, and what holds for any row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore.data.schema import Span
from kore.data.window import TokenEntity, kept_tokens, moved


def entity(outer_start: int, inner_start: int, inner_end: int, outer_end: int) -> TokenEntity:
    return TokenEntity(Span(outer_start, outer_end), Span(inner_start, inner_end))


def small(start: int) -> TokenEntity:
    """One token between two markers."""
    return entity(start, start + 1, start + 2, start + 3)


def positions(*pieces: tuple[int, int]) -> list[int]:
    return [position for start, end in pieces for position in range(start, end)]


@pytest.mark.parametrize("budget", [20, 21, 500])
def test_a_row_that_fits_is_kept_whole(budget: int) -> None:
    assert kept_tokens(20, budget, small(4), small(11)) == positions((0, 20))


@pytest.mark.parametrize(
    ("length", "budget", "first", "second", "kept"),
    [
        pytest.param(20, 10, small(0), small(5), (0, 10), id="an entity at the start"),
        pytest.param(20, 10, small(12), small(17), (10, 20), id="an entity at the end"),
        pytest.param(20, 11, small(6), small(10), (4, 15), id="context shared evenly"),
        pytest.param(20, 10, small(6), small(10), (5, 15), id="the odd token goes right"),
        pytest.param(20, 12, small(1), small(5), (0, 12), id="what the left lacks goes right"),
        pytest.param(20, 12, small(12), small(16), (8, 20), id="what the right lacks goes left"),
        pytest.param(20, 7, small(6), small(10), (6, 13), id="what is between them just fits"),
        pytest.param(20, 6, small(6), small(9), (6, 12), id="adjacent, no room for context"),
        pytest.param(20, 8, small(6), small(9), (5, 13), id="adjacent, with context"),
    ],
)
def test_one_piece(
    length: int, budget: int, first: TokenEntity, second: TokenEntity, kept: tuple[int, int]
) -> None:
    assert kept_tokens(length, budget, first, second) == positions(kept)
    assert kept_tokens(length, budget, second, first) == positions(kept)  # roles do not matter


@pytest.mark.parametrize(
    ("length", "budget", "first", "second", "left", "right"),
    [
        pytest.param(100, 16, small(10), small(80), (8, 16), (78, 86), id="inside"),
        pytest.param(100, 16, small(0), small(97), (0, 8), (92, 100), id="at both ends"),
        pytest.param(100, 6, small(10), small(80), (10, 13), (80, 83), id="no room for context"),
        pytest.param(100, 7, small(10), small(80), (10, 13), (80, 84), id="one token of context"),
        pytest.param(13, 12, small(0), small(10), (0, 6), (7, 13), id="one token too far"),
    ],
)
def test_a_piece_around_each(
    length: int,
    budget: int,
    first: TokenEntity,
    second: TokenEntity,
    left: tuple[int, int],
    right: tuple[int, int],
) -> None:
    assert kept_tokens(length, budget, first, second) == positions(left, right)
    assert kept_tokens(length, budget, second, first) == positions(left, right)


def test_what_a_short_right_side_leaves_goes_to_the_left_piece() -> None:
    # The second entity fills all from 30 on but two tokens; 40 tokens lie before the first one.
    first, second = small(40), entity(50, 51, 59, 60)
    # Budget 18, 13 of them entities: each piece is due 2 tokens of context, the right also the odd
    # one. Nothing lies right of the second entity, so that its context is all on the left.
    assert kept_tokens(60, 18, first, second) == positions((39, 44), (47, 60))


@pytest.mark.parametrize(
    ("budget", "first", "second", "kept"),
    [
        pytest.param(
            12,
            entity(2, 3, 51, 52),
            entity(60, 61, 62, 63),
            [(2, 10), (51, 52), (60, 63)],
            id="the first is too long, the second leaves it its room",
        ),
        pytest.param(
            12,
            entity(2, 3, 4, 5),
            entity(10, 11, 68, 69),
            [(2, 5), (10, 18), (68, 69)],
            id="the second is too long, the first leaves it its room",
        ),
        pytest.param(
            11,
            entity(0, 1, 29, 30),
            entity(40, 42, 79, 80),
            [(0, 4), (29, 30), (40, 45), (79, 80)],
            id="both too long, the room is halved",
        ),
        pytest.param(
            7,
            entity(0, 1, 29, 30),
            entity(40, 42, 79, 80),
            [(0, 2), (29, 30), (40, 43), (79, 80)],
            id="one token of each and all markers",
        ),
        pytest.param(
            4,
            entity(0, 0, 30, 30),
            entity(30, 30, 80, 80),
            [(0, 2), (30, 32)],
            id="adjacent and without markers",
        ),
    ],
)
def test_entities_longer_than_the_row(
    budget: int, first: TokenEntity, second: TokenEntity, kept: list[tuple[int, int]]
) -> None:
    assert kept_tokens(90, budget, first, second) == positions(*kept)
    assert kept_tokens(90, budget, second, first) == positions(*kept)


def test_two_entities_within_one_token() -> None:
    """As in an unknown word that holds both; without markers the spans are the same."""
    assert kept_tokens(30, 4, entity(9, 9, 10, 10), entity(9, 9, 10, 10)) == [8, 9, 10, 11]


def test_markers_that_do_not_fit_are_refused() -> None:
    first, second = entity(0, 1, 29, 30), entity(40, 42, 79, 80)  # 5 markers, 2 tokens: 7
    with pytest.raises(ValueError, match="6 tokens cannot hold the markers"):
        kept_tokens(90, 6, first, second)


def test_spans_counted_in_the_kept_tokens() -> None:
    kept = [0, 1, 29, 40, 41, 42, 79]
    assert moved(Span(0, 30), kept) == Span(0, 3)
    assert moved(Span(40, 80), kept) == Span(3, 7)
    assert moved(Span(42, 79), kept) == Span(5, 6)


@st.composite
def rows(draw: st.DrawFn) -> tuple[int, TokenEntity, TokenEntity]:
    """A row's length and two entities that share no token."""
    gaps, sizes = st.integers(0, 40), st.integers(1, 40)
    markers = st.integers(0, 4)
    entities, position = [], 0
    for _ in range(2):
        start = position + draw(gaps)
        inner_start = start + draw(markers)
        inner_end = inner_start + draw(sizes)
        position = inner_end + draw(markers)
        entities.append(entity(start, inner_start, inner_end, position))
    if draw(st.booleans()):
        entities.reverse()
    return position + draw(gaps), entities[0], entities[1]


@given(row=rows(), budget=st.integers(2, 150))
def test_any_row_is_used_fully_and_keeps_entities_and_markers(
    row: tuple[int, TokenEntity, TokenEntity], budget: int
) -> None:
    length, *entities = row
    markers = {
        position
        for outer, inner in entities
        for position in [*range(outer.start, inner.start), *range(inner.end, outer.end)]
    }
    if len(markers) + 2 > budget and length > budget:
        with pytest.raises(ValueError, match="cannot hold"):
            kept_tokens(length, budget, *entities)
        return
    kept = kept_tokens(length, budget, *entities)
    assert kept == sorted(set(kept))
    assert len(kept) == min(length, budget)  # never over the budget, and no context given away
    assert kept[0] >= 0
    assert kept[-1] < length
    assert markers <= set(kept)
    inner_size = sum(inner.end - inner.start for _, inner in entities)
    whole = len(markers) + inner_size <= budget
    for outer, inner in entities:
        survivors = set(kept) & set(range(*inner))
        assert inner.start in survivors
        if whole:
            assert len(survivors) == inner.end - inner.start
        start, end = moved(outer, kept)
        assert set(kept[start:end]) == set(kept) & set(range(*outer))
