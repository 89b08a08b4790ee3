"""Characters and their tokens: composed, cut to windows, none lost and none read twice."""

from __future__ import annotations

import unicodedata

import pytest
import torch
from tests.builders import EXAMPLES

from kore.common.errors import UnfitError
from kore.data.schema import Span
from kore.data.tagging import BETWEEN, EncodedWindow, TextBatch, TextEncoder, composed
from kore.network import mini


@pytest.fixture(scope="module")
def tokenizer():
    return mini.learn_tokenizer([row.sentence for row in EXAMPLES] * 2, 200)


@pytest.mark.parametrize(
    "text",
    [
        "이순신은",
        "Café 서울",
        "\N{WOMAN}\u200d\N{PERSONAL COMPUTER} 한글",
        "a\u0301b",
        "\u1100\u119e\u11bc",
        "",
        "e\u0323\u0302x",
        "\u0301a",
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_composed_characters_know_where_they_stand(text: str, form) -> None:
    given = unicodedata.normalize(form, text)
    made = composed(given)
    assert made.text == unicodedata.normalize("NFC", text)
    assert len(made.starts) == len(made.text) + 1
    for place in range(len(made.text)):
        own = made.in_input(Span(place, place + 1))
        if not unicodedata.combining(made.text[place]):
            cut = unicodedata.normalize("NFC", given[own.start : own.end])
            assert cut.startswith(made.text[place])
        assert made.in_composed(own) == Span(place, place + 1)


def test_a_decomposed_name_has_the_same_span() -> None:
    made = composed(unicodedata.normalize("NFD", "나는 이순신"))
    assert made.in_input(Span(3, 6)) == Span(6, 14)  # 이 has 2 letters, 순 and 신 have 3
    assert made.in_composed(Span(6, 14)) == Span(3, 6)
    assert made.in_composed(Span(7, 13)) == Span(3, 6)  # what begins inside a letter is that letter


def test_every_character_has_its_token_and_place(tokenizer) -> None:
    text = EXAMPLES[0].sentence
    ((window,),) = TextEncoder(tokenizer, 32).encode([text])
    tokens = tokenizer.convert_ids_to_tokens(window.input_ids)
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")
    for place, letter in enumerate(text):
        piece = tokens[window.tokens[place]].removeprefix("##")
        if letter == " ":
            assert window.places[place] == BETWEEN
            assert window.tokens[place] == window.tokens[place + 1]  # the next token
        else:
            assert piece[window.places[place] - 1] == letter


def test_what_no_token_holds_goes_to_the_end(tokenizer) -> None:
    ((window,),) = TextEncoder(tokenizer, 32).encode(["해담 \u200b"])
    assert window.tokens[-2:] == [len(window.input_ids) - 1] * 2  # [SEP]
    assert window.places[-2:] == [BETWEEN, BETWEEN]
    ((empty,),) = TextEncoder(tokenizer, 32).encode(["\u200b"])
    assert empty.input_ids == [tokenizer.cls_token_id, tokenizer.sep_token_id]
    assert (empty.tokens, empty.places) == ([1], [BETWEEN])
    encoder = TextEncoder(tokenizer, 32)
    ((nothing,),) = encoder.encode([""])
    assert nothing.tokens == []
    assert encoder.collate([nothing]).tokens.dtype == torch.long


def test_a_word_of_many_characters_takes_several_windows(tokenizer) -> None:
    """It may be one [UNK]: its characters take memory, whatever its tokens do."""
    text = "x" * 5_000
    (windows,) = TextEncoder(tokenizer, 32).encode([text])
    assert [len(window.tokens) for window in windows] == [2_048, 2_048, 904]
    assert [window.first for window in windows] == [0, 2_048, 4_096]
    assert [window.length for window in windows] == [2_048, 2_048, 904]
    assert len({tuple(window.input_ids) for window in windows}) == 1


def test_a_character_that_composing_expands_stays_whole() -> None:
    made = composed("\u0958a")  # NFC writes it as two
    assert len(made.text) == 3
    for place in range(3):
        own = made.in_input(Span(place, place + 1))
        assert own.start < own.end <= 2


@pytest.mark.parametrize("max_length", [6, 7, 10, 18, 100])
@pytest.mark.parametrize("repeats", [1, 2, 7, 30])
def test_windows_read_every_character_once_with_text_around_it(
    tokenizer, max_length: int, repeats: int
) -> None:
    text = EXAMPLES[2].sentence * repeats
    whole = TextEncoder(tokenizer, 10_000).encode([text])[0][0]
    windows = TextEncoder(tokenizer, max_length).encode([text])[0]
    assert [window.first for window in windows] == [
        sum(len(earlier.tokens) for earlier in windows[:number]) for number in range(len(windows))
    ]
    read = [
        (window.input_ids[token], place)
        for window in windows
        for token, place in zip(window.tokens, window.places, strict=True)
    ]
    expected = zip(whole.tokens, whole.places, strict=True)
    assert read == [(whole.input_ids[token], place) for token, place in expected]
    room = max_length - 2
    for number, window in enumerate(windows):
        assert len(window.input_ids) <= max_length
        margin = room // 4 // 2  # half of what two windows share
        if number:
            assert window.tokens[0] >= 1 + margin
        if number < len(windows) - 1:
            assert window.tokens[-1] <= room - margin


def test_batches_are_padded() -> None:
    rows = [EncodedWindow([2, 5, 6, 3], [1, 2], [1, 0], 0), EncodedWindow([2, 3], [1], [0], 0)]
    batch = TextBatch.collate(rows, 9, targets=[[4, 1], [2]], length=5)
    assert batch.input_ids.tolist() == [[2, 5, 6, 3, 9], [2, 3, 9, 9, 9]]
    assert batch.attention_mask.sum(dim=1).tolist() == [4, 2]
    empty = [0] * 14  # to 16 characters
    assert batch.tokens.tolist() == [[1, 2, *empty], [1, 0, *empty]]
    assert batch.places.tolist() == [[1, 0, *empty], [0, 0, *empty]]
    assert batch.targets is not None
    assert batch.targets.tolist() == [[4, 1, *empty], [2, 0, *empty]]
    assert batch.num_tokens == 6
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.input_ids, batch.input_ids)


def test_a_window_of_nothing_is_refused(tokenizer) -> None:
    with pytest.raises(UnfitError, match="`max_length` is 5"):
        TextEncoder(tokenizer, 5)
