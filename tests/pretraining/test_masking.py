"""Packed rows without a token lost, and words and entities masked whole."""

from __future__ import annotations

import numpy as np
import pytest
from tests.builders import EXAMPLES

from kore.network import mini
from kore.pretraining.masking import NO_UNIT, TokenRow, mask, pack, tokenize
from kore.pretraining.passages import Passage

PASSAGES = [Passage(row.sentence, (row.subject.span, row.object.span)) for row in EXAMPLES]


@pytest.fixture(scope="module")
def tokenizer():
    """It knows every letter of the texts, and nothing longer."""
    return mini.learn_tokenizer([row.sentence for row in EXAMPLES] * 2, 10)


def units_of(passage: Passage, tokenizer) -> list[tuple[str, ...]]:
    """The tokens of every unit, in order."""
    (row,) = tokenize([passage], tokenizer)
    assert row.units is not None
    tokens = tokenizer.convert_ids_to_tokens(row.ids.tolist())
    order = dict.fromkeys(row.units.tolist())
    return [
        tuple(token for token, unit in zip(tokens, row.units, strict=True) if unit == wanted)
        for wanted in order
    ]


def test_words_and_entities_are_units(tokenizer):
    words = units_of(Passage(EXAMPLES[2].sentence), tokenizer)
    assert "".join(words[0]).replace("##", "") == "한결물산은"
    whole = units_of(PASSAGES[2], tokenizer)
    # The entity without its particle, and "1998년 3월" is one unit though it is two words.
    joined = ["".join(unit).replace("##", "") for unit in whole]
    assert joined[0] == "한결물산"
    assert "1998년3월" in joined


def test_single_tokens_are_units_where_that_is_asked_for(tokenizer):
    (row,) = tokenize(PASSAGES[:1], tokenizer, whole_words=False)
    assert row.units is None
    packed = pack(
        tokenize(PASSAGES * 300, tokenizer, whole_words=False),
        64,
        tokenizer,
        np.random.default_rng(0),
    )
    is_special = np.isin(packed.ids, [tokenizer.cls_token_id, tokenizer.sep_token_id])
    is_masked = mask(packed, 0.3, tokenizer, np.random.default_rng(0)).is_masked
    assert not is_masked[is_special].any()
    assert is_masked[~is_special].mean() == pytest.approx(0.3, abs=0.02)
    # By itself: beside a masked token the next is masked no more often.
    both = is_masked[:, 1:] & is_masked[:, :-1] & ~is_special[:, 1:]
    beside = is_masked[:, :-1] & ~is_special[:, 1:]
    assert both.sum() / beside.sum() == pytest.approx(0.3, abs=0.03)


def test_tokens_take_two_bytes(tokenizer):
    texts = tokenize(PASSAGES, tokenizer, whole_words=False)
    assert (texts.ids.dtype, texts.units) == (np.uint16, None)
    assert texts.num_tokens == len(texts.ids)
    assert pack(texts, 16, tokenizer, np.random.default_rng(0)).ids.dtype == np.uint16


def test_a_text_is_repeated_as_often_as_it_counts(tokenizer):
    passages = [PASSAGES[0], Passage(EXAMPLES[1].sentence, times=3)]
    texts = tokenize(passages, tokenizer).repeated()
    assert len(texts) == 4
    assert [row.ids.tolist() for row in texts][1:] == [texts[1].ids.tolist()] * 3
    assert texts[0].ids.tolist() != texts[1].ids.tolist()


def test_separate_texts_have_a_cls_each(tokenizer):
    texts = tokenize(PASSAGES, tokenizer)
    packed = pack(texts, 16, tokenizer, np.random.default_rng(1), separate=True)
    stream = packed.ids.flatten().tolist()
    order = np.random.default_rng(1).permutation(len(texts))
    framed = [
        [tokenizer.cls_token_id, *texts[number].ids.tolist(), tokenizer.sep_token_id]
        for number in order
    ]
    expected = [token for text in framed for token in text]
    assert stream[: len(expected)] == expected
    assert stream[len(expected) :] == expected[: len(stream) - len(expected)]
    is_special = np.isin(packed.ids, [tokenizer.cls_token_id, tokenizer.sep_token_id])
    assert np.array_equal(packed.units == NO_UNIT, is_special)


def test_a_text_without_a_token_is_left_out(tokenizer):
    assert len(tokenize([Passage("​"), PASSAGES[0]], tokenizer)) == 1


def test_packing_loses_no_token(tokenizer):
    rows = tokenize(PASSAGES, tokenizer)
    packed = pack(rows, 16, tokenizer, np.random.default_rng(1))
    assert rows.units is not None
    assert packed.units is not None
    assert packed.ids.shape == packed.units.shape
    assert packed.ids.shape[1] == 16
    assert (packed.ids[:, 0] == tokenizer.cls_token_id).all()
    assert (packed.units[:, 0] == NO_UNIT).all()
    stream = packed.ids[:, 1:].flatten().tolist()
    text = [token for row in rows for token in row.ids.tolist()]
    length = len(text) + len(rows)  # a [SEP] each
    assert len(stream) - length < 15
    assert stream[length:] == stream[: len(stream) - length]  # filled from the beginning
    without_sep = [token for token in stream[:length] if token != tokenizer.sep_token_id]
    assert sorted(without_sep) == sorted(text)
    assert (packed.units[packed.ids == tokenizer.sep_token_id] == NO_UNIT).all()
    # Units of different texts never have one number.
    assert len(np.unique(packed.units)) == 1 + sum(
        len(np.unique(rows.units[start:end]))
        for start, end in zip(rows.starts, rows.ends, strict=True)
    )


def test_the_order_is_drawn_by_the_generator(tokenizer):
    rows = tokenize(PASSAGES, tokenizer)
    first, again, other = (
        pack(rows, 16, tokenizer, np.random.default_rng(seed)).ids.tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def many_rows(tokenizer) -> TokenRow:
    return pack(tokenize(PASSAGES * 300, tokenizer), 64, tokenizer, np.random.default_rng(0))


def test_units_are_masked_whole_and_as_many_as_wanted(tokenizer):
    rows = many_rows(tokenizer)
    masked = mask(rows, 0.2, tokenizer, np.random.default_rng(0))
    share = masked.is_masked.mean()
    assert rows.units is not None
    assert 0.17 < share < 0.22  # [CLS] and [SEP] are never chosen
    assert not masked.is_masked[rows.units == NO_UNIT].any()
    for unit in np.unique(rows.units)[1:200]:
        assert len(set(masked.is_masked[rows.units == unit].tolist())) == 1


def test_what_stands_in_place_of_chosen_tokens(tokenizer):
    rows = many_rows(tokenizer)
    masked = mask(rows, 0.3, tokenizer, np.random.default_rng(0))
    chosen = masked.is_masked
    assert (masked.input_ids[~chosen] == rows.ids[~chosen]).all()
    shares = {
        "masked": (masked.input_ids[chosen] == tokenizer.mask_token_id).mean(),
        "kept": (masked.input_ids[chosen] == rows.ids[chosen]).mean(),
    }
    assert shares["masked"] == pytest.approx(0.8, abs=0.02)
    assert shares["kept"] == pytest.approx(0.1, abs=0.02)
    others = set(masked.input_ids[chosen].tolist()) - {tokenizer.mask_token_id}
    assert others.isdisjoint(tokenizer.all_special_ids)


def test_a_row_always_has_something_to_find(tokenizer):
    rows = pack(tokenize(PASSAGES[:1], tokenizer), 64, tokenizer, np.random.default_rng(0))
    for seed in range(5):
        assert mask(rows, 1e-9, tokenizer, np.random.default_rng(seed)).is_masked.any()


@pytest.mark.parametrize("whole_words", [False, True])
def test_a_letter_that_is_unknown_is_never_to_be_found(tokenizer, whole_words):
    texts = tokenize([Passage("한결물산 㿺 1998년 3월")] * 200, tokenizer, whole_words)
    rows = pack(texts, 32, tokenizer, np.random.default_rng(0))
    is_unknown = rows.ids == tokenizer.unk_token_id
    assert is_unknown.any()
    masked = mask(rows, 0.5, tokenizer, np.random.default_rng(0))
    assert not masked.is_masked[is_unknown].any()
    assert (masked.input_ids[is_unknown] == tokenizer.unk_token_id).all()
