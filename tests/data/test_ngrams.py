"""N-grams of an example: each field apart, the same on every machine."""

from __future__ import annotations

import numpy as np
from tests.builders import EXAMPLES, make_bert_tokenizer, make_example, make_scheme

from kore.data.dataset import EncodedExample, InputEncoder, padded_ngrams
from kore.data.ngrams import NUM_FIELDS, REACH, ngrams_around, ngrams_of, surroundings
from kore.data.schema import Span

BUCKETS = 100_000
NUMBERS = [
    4,
    17,
    32,
    37,
    44,
    48,
    53,
    54,
    65,
    66,
    82,
    92,
    101,
    111,
    125,
    130,
    144,
    149,
    151,
    166,
    170,
    175,
    188,
    194,
    201,
    211,
    217,
    225,
    249,
    262,
    263,
    268,
    283,
]
AROUND = [31, 48, 20, 0, 27, 6, 20, 9, 42, 3, 30, 21, 38, 9, 32, 33, 16, 5, 33, 27, 37, 5, 12, 30]
AROUND += [16, 14, 1, 18, 20, 31, 38, 11, 28]


def fields(ngrams: np.ndarray) -> list[set[int]]:
    """The numbers of each field, counted from 0."""
    return [
        {int(n) - 1 - BUCKETS * f for n in ngrams if (n - 1) // BUCKETS == f}
        for f in range(NUM_FIELDS)
    ]


def test_numbers_are_those_of_yesterday() -> None:
    """A checkpoint depends on them: they must never change."""
    found = ngrams_of(make_example("a", "가 나", "가", "나", types=("PER", "ORG")), 50)
    assert found.tolist() == NUMBERS
    assert found.dtype == np.int32


def test_every_substring_of_up_to_four_characters_counts_once() -> None:
    row = make_example("a", "가나가나 마 바", "가나가나", "바")
    subject, object_, *_ = fields(ngrams_of(row, BUCKETS))
    # "^가나가나$": 4 letters, 4 pairs (^가 가나 나가 나$), and so on
    text = "^가나가나$"
    distinct = {text[i : i + n] for n in range(1, 5) for i in range(len(text) - n + 1)}
    assert len(subject) == len(distinct)
    assert len(object_) == 6  # ^ 바 $ ^바 바$ ^바$


def test_fields_differ_by_what_they_read() -> None:
    one = fields(ngrams_of(make_example("a", "가나 다 라마", "가나", "라마"), BUCKETS))
    swapped = fields(ngrams_of(make_example("a", "가나 다 라마", "라마", "가나"), BUCKETS))
    assert (one[0], one[1]) == (swapped[1], swapped[0])  # the same words, in the other role
    assert one[2] != swapped[2]  # what lies between names its ends
    assert one[5] != swapped[5]
    other = fields(
        ngrams_of(make_example("a", "가나 다 라마", "가나", "라마", types=("PER", "LOC")), BUCKETS)
    )
    assert [a == b for a, b in zip(one, other, strict=True)] == [True] * 5 + [False]
    longer = fields(ngrams_of(make_example("a", "가나 다 라마바", "가나", "라마"), BUCKETS))
    same = [a == b for a, b in zip(one, longer, strict=True)]
    assert same == [True, True, True, False, False, True]  # what surrounds them has changed


def test_text_far_from_both_entities_does_not_count() -> None:
    near = "가나 다 라마" + "바" * 10
    one, other = (
        ngrams_of(make_example("a", f"{near}{end}", "가나", "라마"), BUCKETS)
        for end in ("", "사아")
    )
    assert one.tolist() == other.tolist()


def test_the_encoder_gives_them_where_the_model_reads_them() -> None:
    tokenizer, scheme = make_bert_tokenizer(), make_scheme()
    rows = InputEncoder(tokenizer, scheme, 64, BUCKETS).encode(EXAMPLES)
    for row, example in zip(rows, EXAMPLES, strict=True):
        assert row.ngrams is not None
        assert row.ngrams.tolist() == ngrams_of(example, BUCKETS).tolist()
    padded = padded_ngrams(rows)
    assert padded is not None
    assert padded[0][padded[0] > 0].tolist() == ngrams_of(EXAMPLES[0], BUCKETS).tolist()
    plain = InputEncoder(tokenizer, scheme, 64).encode(EXAMPLES)
    assert padded_ngrams(plain) is None
    assert padded_ngrams([EncodedExample([1], Span(0, 1), Span(0, 1), False)]) is None


def around(text: str, buckets: int = 10**8) -> np.ndarray:
    return ngrams_around(surroundings(text, 0, len(text)), buckets)


def test_numbers_around_a_character_are_those_of_yesterday() -> None:
    found = around("가 나", 50)
    assert found.dtype == np.int32
    assert found.shape == (3, 33)
    assert found[1].tolist() == AROUND


def test_what_is_around_a_character_decides_its_numbers() -> None:
    """9 letters and 8 pairs within four characters; 3 to 5 characters that hold it or adjoin it."""
    text = "가나다라마바사아자차카"
    middle = around(text)[5]
    assert len(set(middle.tolist())) == len(middle)
    moved = around(f"파{text}하")[6]
    assert moved.tolist() == middle.tolist()
    far = around(f"파{text[1:-1]}하")[5]  # what is five characters away does not count
    assert far.tolist() == middle.tolist()
    for place in range(1, 10):
        changed = around(f"{text[:place]}파{text[place + 1 :]}")[5]
        # Its letter and two pairs, one at the edge, and of the longer ones those that hold it.
        assert 2 <= (changed != middle).sum() < len(middle)
    assert (around(text[:6] + "파" + text[7:])[5] != middle).sum() > 12


def test_the_same_letter_has_other_numbers_in_another_place() -> None:
    one, other = around("가" * 9)[3:5]
    assert one.tolist() != other.tolist()  # it is nearer to the beginning
    assert len(set(other[:9].tolist())) == 9


def test_a_part_of_a_text_knows_what_is_around_it() -> None:
    text = "이순신은 조선의 장군이다."
    whole = around(text)
    part = ngrams_around(surroundings(text, 3, 7), 10**8)
    assert part.tolist() == whole[3:7].tolist()
    assert len(surroundings(text, 3, 7)) == 4 + 2 * REACH
    assert ngrams_around(surroundings("", 0, 0), 50).shape == (0, 33)
