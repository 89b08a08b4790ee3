"""N-grams of an example: each field apart, the same on every machine."""

from __future__ import annotations

import numpy as np
from tests.builders import EXAMPLES, make_bert_tokenizer, make_example, make_scheme

from kore.data.dataset import EncodedExample, InputEncoder, padded_ngrams
from kore.data.ngrams import NUM_FIELDS, ngrams_of
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
