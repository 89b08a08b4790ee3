"""Examples -> token ids and spans -> Batch, by hand and for whatever a sentence may hold.

The tokenizers are of the three kinds that encoders come with, each learned from a few sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders import make_example
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.trainers import BpeTrainer, UnigramTrainer
from transformers import BertTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from kore.common.errors import UserError
from kore.data import dataset
from kore.data.dataset import Batch, EncodedExample, InputEncoder
from kore.data.markers import MarkedEntity, MarkerScheme, mark, marker_tokens
from kore.data.schema import Entity, Example, Span
from kore.data.tagging import TextEncoder
from kore.network.mini import SPECIAL_TOKENS, learn_tokenizer
from kore.pretraining.masking import tokenize
from kore.pretraining.passages import Passage

SENTENCE = "비틀즈의 조지 해리슨이 노래했다."
TEXTS = [
    SENTENCE,
    "@ * 단체 * 비틀즈 @의 # ^ 사람 ^ 조지 해리슨 #이 노래했다.",
    "〈Something〉는 조지 해리슨이 쓰고 비틀즈가 1969년 앨범 《Abbey Road》에 담은 노래다.",
] * 2
TYPES = ("ORG", "PER")
TYPED = MarkerScheme(True, True, "punct", TYPES)
UNTYPED = MarkerScheme(True, False, "punct", TYPES)
SPECIAL = MarkerScheme(True, True, "special", TYPES)
UNTYPED_SPECIAL = MarkerScheme(True, False, "special", TYPES)
UNMARKED = MarkerScheme(False, False, "punct", TYPES)
SCHEMES = [TYPED, UNTYPED, SPECIAL, UNTYPED_SPECIAL, UNMARKED]


def _byte_level_bpe() -> PreTrainedTokenizerFast:
    """As GPT-2's and RoBERTa's: several tokens may share one character."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=500,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return _wrapped(tokenizer)


def _unigram() -> PreTrainedTokenizerFast:
    """As XLM-R's and KoBERT's: a token may hold the space before its word."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = UnigramTrainer(
        vocab_size=120, special_tokens=SPECIAL_TOKENS, unk_token="[UNK]", show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return _wrapped(tokenizer)


def _wrapped(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    pad, unk, cls, sep, mask = SPECIAL_TOKENS
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        unk_token=unk,
        cls_token=cls,
        sep_token=sep,
        mask_token=mask,
    )


TOKENIZERS = {
    "wordpiece": lambda: learn_tokenizer(TEXTS, 400),
    "byte-level BPE": _byte_level_bpe,
    "unigram": _unigram,
}


@cache
def make_tokenizer(kind: str = "wordpiece") -> PreTrainedTokenizerBase:
    tokenizer = TOKENIZERS[kind]()
    tokens = [*marker_tokens(SPECIAL), *marker_tokens(UNTYPED_SPECIAL)]
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in tokens])
    return tokenizer


def make_encoder(
    scheme: MarkerScheme, max_length: int = 64, kind: str = "wordpiece"
) -> InputEncoder:
    return InputEncoder(make_tokenizer(kind), scheme, max_length)


def band(sentence: str = SENTENCE) -> Example:
    return make_example("1", sentence, "비틀즈", "조지 해리슨", types=("ORG", "PER"))


def tokens_of(encoder: InputEncoder, row: EncodedExample) -> list[str]:
    return list(encoder.tokenizer.convert_ids_to_tokens(row.input_ids))


def encode_one(encoder: InputEncoder, example: Example) -> EncodedExample:
    (row,) = encoder.encode([example])
    return row


# Rows by hand


@pytest.mark.parametrize(
    ("scheme", "tokens", "subject", "object_"),
    [
        (
            TYPED,
            "[CLS] @ * 단체 * 비틀즈 @ 의 # ^ 사람 ^ 조지 해리슨 # 이 노래했다 . [SEP]",
            Span(1, 7),
            Span(8, 15),
        ),
        (
            UNTYPED,
            "[CLS] @ 비틀즈 @ 의 # 조지 해리슨 # 이 노래했다 . [SEP]",
            Span(1, 4),
            Span(5, 9),
        ),
        (
            SPECIAL,
            "[CLS] [E1-ORG] 비틀즈 [/E1-ORG] 의 [E2-PER] 조지 해리슨 [/E2-PER] 이 노래했다 . [SEP]",
            Span(1, 4),
            Span(5, 9),
        ),
        (
            UNTYPED_SPECIAL,
            "[CLS] [E1] 비틀즈 [/E1] 의 [E2] 조지 해리슨 [/E2] 이 노래했다 . [SEP]",
            Span(1, 4),
            Span(5, 9),
        ),
        (
            UNMARKED,
            "[CLS] 비틀즈 [SEP] 조지 해리슨 [SEP] 비틀즈의 조지 해리슨이 노래했다 . [SEP]",
            Span(6, 7),
            Span(7, 9),
        ),
    ],
)
def test_a_row_of_every_style(
    scheme: MarkerScheme, tokens: str, subject: Span, object_: Span
) -> None:
    encoder = make_encoder(scheme)
    row = encode_one(encoder, band())
    assert tokens_of(encoder, row) == tokens.split()
    assert (row.subject_span, row.object_span) == (subject, object_)
    assert row.was_cut is False


def test_a_row_that_is_cut_keeps_its_entities_in_the_middle() -> None:
    encoder = make_encoder(UNTYPED, max_length=13)
    row = encode_one(encoder, band("노래. " * 30 + SENTENCE + " 노래." * 30))
    # 11 tokens between [CLS] and [SEP], 8 of them from the subject to the object
    expected = "[CLS] . @ 비틀즈 @ 의 # 조지 해리슨 # 이 노래했다 [SEP]"
    assert tokens_of(encoder, row) == expected.split()
    assert (row.subject_span, row.object_span) == (Span(2, 5), Span(6, 10))
    assert row.was_cut is True


def test_two_entities_too_far_apart_keep_a_piece_around_each() -> None:
    encoder = make_encoder(UNTYPED, max_length=13)
    row = encode_one(encoder, band("노래. 비틀즈. " + "노래. " * 30 + "조지 해리슨. 노래."))
    expected = "[CLS] . @ 비틀즈 @ . . # 조지 해리슨 # . [SEP]"
    assert tokens_of(encoder, row) == expected.split()
    assert (row.subject_span, row.object_span) == (Span(2, 5), Span(7, 11))
    assert row.was_cut is True


def test_leads_take_at_most_a_third_of_the_row() -> None:
    encoder = make_encoder(UNMARKED, max_length=26)
    subject, object_ = "비틀즈 " * 20, "노래했다 " * 20
    sentence = f"{subject}, {object_}."
    row = encode_one(encoder, make_example("1", sentence, subject, object_))
    tokens = tokens_of(encoder, row)
    assert len(tokens) == 26
    lead = "[CLS] 비틀즈 비틀즈 비틀즈 [SEP] 노래했다 노래했다 노래했다 [SEP]"
    assert tokens[:9] == lead.split()
    # 16 tokens are left for the entities, 8 each
    assert tokens[9:] == ["비틀즈"] * 8 + ["노래했다"] * 8 + ["[SEP]"]
    assert (row.subject_span, row.object_span) == (Span(9, 17), Span(17, 25))


def test_a_word_nobody_knows_may_hold_both_entities() -> None:
    """WordPiece makes one [UNK] of a word of more than 100 characters."""
    sentence = "가" * 50 + "비틀즈" + "가" * 50 + "조지 해리슨"
    encoder = make_encoder(UNMARKED)
    row = encode_one(encoder, make_example("1", sentence, "비틀즈", "가" * 9))
    assert row.subject_span == row.object_span
    assert tokens_of(encoder, row)[slice(*row.subject_span)] == ["[UNK]"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_entities_and_sentences_that_vanish_in_normalisation(scheme: MarkerScheme) -> None:
    """A BERT tokenizer drops control and zero-width characters."""
    encoder = make_encoder(scheme)
    example = Example(
        "1", "\x07\u200b", Entity("\x07", Span(0, 1), "X"), Entity("\u200b", Span(1, 2), "X")
    )
    row = encode_one(encoder, example)
    for span in (row.subject_span, row.object_span):
        assert 0 < span.start < span.end <= len(row.input_ids)


def test_an_entity_that_vanishes_points_to_its_neighbour() -> None:
    encoder = make_encoder(UNMARKED)
    row = encode_one(encoder, make_example("1", "비틀즈의\u200b", "비틀즈", "\u200b"))
    assert tokens_of(encoder, row) == ["[CLS]", "비틀즈", "[SEP]", "[SEP]", "비틀즈의", "[SEP]"]
    assert (row.subject_span, row.object_span) == (Span(4, 5), Span(4, 5))


# What a user writes is text


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_names_of_special_tokens_in_a_sentence_are_ordinary_text(
    kind: str, scheme: MarkerScheme
) -> None:
    sentence = "[CLS]비틀즈[SEP]의 [MASK] 조지 해리슨[PAD] [SEP]"
    encoder = make_encoder(scheme, kind=kind)
    words = make_example("1", sentence, "[MASK]", "[SEP]", types=("ORG", "PER"))
    for example in (band(sentence), words):
        tokens = tokens_of(encoder, encode_one(encoder, example))
        assert tokens[0] == "[CLS]"
        assert tokens[-1] == "[SEP]"
        # without markers, each of the two leading words ends in a [SEP]
        separators = 3 if scheme == UNMARKED else 1
        counts = [tokens.count(name) for name in ("[CLS]", "[SEP]", "[MASK]", "[PAD]")]
        assert counts == [1, separators, 0, 0]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_they_are_ordinary_text_for_a_tagger_and_in_pretraining(kind: str) -> None:
    sentence = "[CLS]비틀즈[SEP]의 [MASK] 조지 해리슨[PAD] [SEP]"
    tokenizer = make_tokenizer(kind)
    ((window,),) = TextEncoder(tokenizer, 64).encode([sentence])
    special = {tokenizer.convert_tokens_to_ids(name) for name in SPECIAL_TOKENS} - {
        tokenizer.unk_token_id
    }
    assert not special.intersection(window.input_ids[1:-1])
    for whole_words in (True, False):
        texts = tokenize([Passage(sentence)], tokenizer, whole_words)
        assert texts.ids.tolist() == window.input_ids[1:-1]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_special_markers_are_single_tokens(kind: str) -> None:
    encoder = make_encoder(SPECIAL, kind=kind)
    tokens = tokens_of(encoder, encode_one(encoder, band()))
    for marker in ("[E1-ORG]", "[/E1-ORG]", "[E2-PER]", "[/E2-PER]"):
        assert tokens.count(marker) == 1


# Whatever a sentence holds

PIECES = [
    "👩‍👩‍👧",
    "🇰🇷",
    "漢字",
    "ᄒᆞᆫ글",
    "\u1112\u1161\u11ab",  # 한 in pieces
    "\u200b",
    "\u200d",
    "\ufeff",
    "e\u0301",
    "\u0301",
    "\u3099",
    "\x00",
    "\x07",
    "\x85",
    "\n",
    "\r",
    "\t",
    "\u3000",
    "ﷺ",  # 18 characters under NFKC
    "㈜",
    "[SEP]",
    "[MASK]",
    "[E1-ORG]",
    "[/E2]",
    "@ * 단체 * ",
    "#",
    "^",
    "▁",
    "##이",
    "Ġ",
    "비틀즈",
    "조지 해리슨",
    "Abbey Road",
    " ",
    "  ",
    ".",
]
TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=6).map("".join)
WORD = TEXT.filter(bool)
TYPE = st.sampled_from(["ORG", "PER", "unseen"])


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Sentences of up to a few thousand characters with two separate entities."""
    repeats = st.sampled_from([1, 1, 1, 1, 40, 500])
    before, first, between, second, after = (
        draw(text) * draw(repeats) for text in (TEXT, WORD, TEXT, WORD, TEXT)
    )
    starts = (len(before), len(before) + len(first) + len(between))
    entities = [
        Entity(word, Span(start, start + len(word)), draw(TYPE))
        for start, word in zip(starts, (first, second), strict=True)
    ]
    subject, object_ = entities if draw(st.booleans()) else reversed(entities)
    return Example("1", before + first + between + second + after, subject, object_)


def plain_tokens(
    tokenizer: PreTrainedTokenizerBase, text: str
) -> tuple[list[int], list[tuple[int, int]]]:
    """Ids and character offsets as the tokenizer alone gives them, nothing cut."""
    encoded = tokenizer(
        text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True
    )
    return encoded["input_ids"], encoded["offset_mapping"]


def touching(offsets: Sequence[tuple[int, int]], span: Span) -> list[int]:
    """Tokens that hold a character of `span`, one by one."""
    return [
        position
        for position, (start, end) in enumerate(offsets)
        if max(start, span.start) < min(end, span.end)
    ]


def assert_covers(
    row: EncodedExample, span: Span, offsets: list[tuple[int, int]], outer: Span
) -> None:
    """In a row that is not cut, `span` runs from the first to the last token of the entity."""
    before = len(row.input_ids) - 1 - len(offsets)  # [CLS] and what leads
    expected = touching(offsets, outer)
    if expected:
        assert span == (before + expected[0], before + expected[-1] + 1)
    assert 0 < span.start < span.end <= len(row.input_ids)


def assert_keeps(
    full: list[int], cut: list[int], offsets: list[tuple[int, int]], entity: MarkedEntity
) -> None:
    """A cut entity is its head and its end, and no marker is missing.

    `full`, `cut`: ids of the entity's span in the whole row and in the one that was cut.
    """
    if not touching(offsets, entity.outer):
        return
    head = touching(offsets, Span(entity.outer.start, entity.inner.start))
    tail = touching(offsets, Span(entity.inner.end, entity.outer.end))
    inside = set(touching(offsets, entity.inner))
    opening = len([token for token in head if token not in inside])
    closing = len([token for token in tail if token not in inside])
    assert cut[:opening] == full[:opening]
    assert cut[len(cut) - closing :] == full[len(full) - closing :]
    assert len(cut) > opening + closing or not inside
    assert any(cut == full[:n] + full[len(full) - len(cut) + n :] for n in range(len(cut) + 1))


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=100)
@given(example=examples(), scheme=st.sampled_from(SCHEMES), max_length=st.integers(40, 200))
@with_example(band(SENTENCE + "가" * 4000), TYPED, 60)
@with_example(band("\u0301" * 4000 + SENTENCE), UNMARKED, 60)
def test_spans_cover_the_entities_of_any_sentence(
    kind: str, example: Example, scheme: MarkerScheme, max_length: int
) -> None:
    marked = mark(example, scheme)
    tokenizer = make_tokenizer(kind)
    ids, offsets = plain_tokens(tokenizer, marked.text)
    whole = encode_one(make_encoder(scheme, 100_000, kind), example)
    assert whole.was_cut is False
    special = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id}
    kept_ids = [tokenizer.unk_token_id if token in special else token for token in ids]
    assert whole.input_ids[len(whole.input_ids) - 1 - len(ids) : -1] == kept_ids
    cut = encode_one(make_encoder(scheme, max_length, kind), example)
    assert len(cut.input_ids) <= max_length
    if cut.was_cut:  # all room is used, but for a token that both entities share
        assert max_length - 1 <= len(cut.input_ids) < len(whole.input_ids)
    else:
        assert cut.input_ids[len(cut.input_ids) - 1 - len(ids) : -1] == kept_ids
    for name, entity in (("subject_span", marked.subject), ("object_span", marked.object)):
        assert_covers(whole, getattr(whole, name), offsets, entity.outer)
        start, end = getattr(cut, name)
        assert 0 < start < end <= len(cut.input_ids)
        full_ids = whole.input_ids[slice(*getattr(whole, name))]
        assert_keeps(full_ids, cut.input_ids[start:end], offsets, entity)


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=40)
@given(example=examples(), scheme=st.sampled_from(SCHEMES))
def test_any_sentence_fits_the_smallest_row_that_is_allowed(
    kind: str, example: Example, scheme: MarkerScheme
) -> None:
    smallest = smallest_max_length(kind, scheme)
    row = encode_one(make_encoder(scheme, smallest, kind), example)
    assert len(row.input_ids) <= smallest
    for start, end in (row.subject_span, row.object_span):
        assert 0 < start < end <= len(row.input_ids)


@cache
def smallest_max_length(kind: str, scheme: MarkerScheme) -> int:
    """What the message about a row that is too small advises; never under the flag's own 8."""
    try:
        make_encoder(scheme, 8, kind)
    except UserError as error:
        (advised,) = re.findall(r"pass at least (\d+)", str(error))
        with pytest.raises(UserError, match="is too small"):
            make_encoder(scheme, int(advised) - 1, kind)
        return int(advised)
    return 8


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=20)
@given(chunk=st.lists(examples(), min_size=2, max_size=6), scheme=st.sampled_from(SCHEMES))
def test_a_row_is_the_same_alone_and_in_a_chunk(
    kind: str, chunk: list[Example], scheme: MarkerScheme
) -> None:
    encoder = make_encoder(scheme, 60, kind)
    assert encoder.encode(chunk) == [encode_one(encoder, example) for example in chunk]


def test_rows_of_several_chunks_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = make_encoder(UNMARKED)
    rows = [band(f"비틀즈의 조지 해리슨 {'.' * number}") for number in range(7)]
    expected = [encode_one(encoder, row) for row in rows]
    assert [len(row.input_ids) for row in expected] == [10, 11, 12, 13, 14, 15, 16]
    monkeypatch.setattr(dataset, "ENCODING_CHUNK", 3)
    assert encoder.encode(rows) == expected
    assert encoder.encode([]) == []


# What an encoder refuses


def test_a_row_too_small_for_the_markers_is_refused() -> None:
    # [CLS] @ * 단체 * 가 @ # ^ 사람 ^ 나 # [SEP], where 가 and 나 are a token each
    message = "`max_length` 13 is too small: .* take 14 tokens already; pass at least 14"
    with pytest.raises(UserError, match=message):
        make_encoder(TYPED, max_length=13)
    assert make_encoder(TYPED, max_length=14).max_length == 14


def test_a_tokenizer_that_cannot_serve_is_refused() -> None:
    bare = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "[SEP]": 1}, "a")), sep_token="[SEP]"
    )
    with pytest.raises(UserError, match="the tokenizer has no cls, pad token"):
        InputEncoder(bare, TYPED, 64)


def test_a_tokenizer_without_offsets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = learn_tokenizer(TEXTS, 400)
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    with pytest.raises(UserError, match="gives no character offsets"):
        InputEncoder(tokenizer, TYPED, 64)


# Batches

ROWS = [
    EncodedExample([2, 7, 8, 3], Span(1, 2), Span(2, 3), False),
    EncodedExample([2, 7, 8, 9, 6, 3], Span(3, 5), Span(1, 3), True),
    EncodedExample([2, 5, 3], Span(1, 2), Span(1, 2), False),
]


def test_a_batch_is_padded_to_its_longest_row() -> None:
    batch = Batch.collate(ROWS, pad_id=1, labels=[4, 0, 29])
    assert batch.input_ids.tolist() == [
        [2, 7, 8, 3, 1, 1],
        [2, 7, 8, 9, 6, 3],
        [2, 5, 3, 1, 1, 1],
    ]
    assert batch.attention_mask.tolist() == [
        [True, True, True, True, False, False],
        [True, True, True, True, True, True],
        [True, True, True, False, False, False],
    ]
    assert batch.subject_span.tolist() == [[1, 2], [3, 5], [1, 2]]
    assert batch.object_span.tolist() == [[2, 3], [1, 3], [1, 2]]
    assert batch.labels is not None
    assert batch.labels.tolist() == [4, 0, 29]
    tensors = (batch.input_ids, batch.subject_span, batch.object_span, batch.labels)
    assert {tensor.dtype for tensor in tensors} == {torch.int64}
    assert ROWS[0].input_ids == [2, 7, 8, 3]  # the rows are used again in the next epoch


def test_a_batch_of_one_row_without_label() -> None:
    batch = Batch.collate(ROWS[2:], pad_id=0)
    assert batch.input_ids.tolist() == [[2, 5, 3]]
    assert batch.attention_mask.tolist() == [[True, True, True]]
    assert batch.labels is None


@pytest.mark.parametrize("labels", [None, [0, 1, 2]])
def test_a_batch_moves_as_a_whole(labels: list[int] | None) -> None:
    batch = Batch.collate(ROWS, pad_id=0, labels=labels)
    moved = batch.to(torch.device("meta"))  # a device that every machine has
    for name in ("input_ids", "attention_mask", "subject_span", "object_span", "labels"):
        before, after = getattr(batch, name), getattr(moved, name)
        if before is None:
            assert after is None
        else:
            assert (after.device.type, after.shape) == ("meta", before.shape)
    same = batch.to(torch.device("cpu"))
    assert same.subject_span.tolist() == [[1, 2], [3, 5], [1, 2]]
    assert same.object_span.tolist() == [[2, 3], [1, 3], [1, 2]]


# Where tokens stand in the text


def located(encoder: InputEncoder, example: Example) -> list[str]:
    text, spans = encoder.locate(example)
    assert len(spans) == len(encode_one(encoder, example).input_ids)
    return [text[span.start : span.end] for span in spans]


def test_every_token_is_located_in_the_marked_text() -> None:
    expected = "@ * 단체 * 비틀즈 @ 의 # ^ 사람 ^ 조지 해리슨 # 이 노래했다 ."
    assert located(make_encoder(TYPED), band()) == ["", *expected.split(), ""]


def test_tokens_of_a_cut_row_are_located() -> None:
    sentence = "노래. 비틀즈. " + "노래. " * 30 + "조지 해리슨. 노래."
    pieces = located(make_encoder(UNTYPED, max_length=13), band(sentence))
    assert pieces == ["", ".", "@", "비틀즈", "@", ".", ".", "#", "조지", "해리슨", "#", ".", ""]


def test_leads_are_located_before_the_sentence() -> None:
    text, spans = make_encoder(UNMARKED, max_length=17).locate(band())
    assert text == "비틀즈 조지 해리슨 비틀즈의 조지 해리슨이 노래했다."
    # Of 조지 해리슨, a lead of one token at this length, the second word is cut.
    assert spans[:6] == [(0, 0), (0, 3), (3, 3), (4, 6), (10, 10), (11, 15)]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_every_row_is_located_whatever_its_tokenizer_and_length(
    kind: str, scheme: MarkerScheme
) -> None:
    sentence = "노래를 부른 비틀즈의 " + "노래, " * 20 + "조지 해리슨이 노래했다."
    for max_length in (60, 80, 400):
        encoder = make_encoder(scheme, max_length, kind)
        pieces = located(encoder, band(sentence))
        row = encode_one(encoder, band(sentence))
        for span, word in ((row.subject_span, "비틀즈"), (row.object_span, "해리슨")):
            assert word in "".join(pieces[span.start : span.end])


# The vocabulary of klue/bert and klue/roberta


def test_ids_of_klue_s_vocabulary(real_data: Path) -> None:
    lines = (real_data / "klue_vocab" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    vocabulary = {token: number for number, token in enumerate(lines)}
    tokenizer = BertTokenizer(vocab=vocabulary, do_lower_case=False)
    encoder = InputEncoder(tokenizer, UNMARKED, 128)
    row = encode_one(encoder, band(TEXTS[2]))
    # given with the vocabulary, [CLS] and [SEP] left out
    sentence = [
        *(168, 30985, 14451, 7088, 4586, 169, 793, 8373, 14113, 2234, 2052, 1363, 2088, 29830),
        *(2116, 14879, 2440, 6711, 170, 21406, 26713, 2076, 25145, 5749, 171, 1421, 818, 2073),
        *(4388, 2062, 18),
    ]  # fmt: skip
    assert row.input_ids == [2, 29830, 3, 8373, 14113, 2234, 3, *sentence, 3]
    assert row.subject_span == Span(20, 21)
    assert row.object_span == Span(14, 17)
