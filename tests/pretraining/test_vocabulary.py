"""Vocabularies: pieces that stay within morphemes, and an encoder that is given another one."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from tests.builders import make_bert_tokenizer
from transformers import BertTokenizer

from kore.common.errors import UserError
from kore.data.morphemes import JOINT, MORPHEMES, WORDS, split_words
from kore.network import mini
from kore.pretraining.vocabulary import learn_vocabulary, replace_vocabulary

# Names that stand with particles alone: a vocabulary of words learns "부산은" as one piece.
TEXTS = ["부산은 도시이다.", "부산은 바다에 있다.", "서울은 도시이다.", "서울은 강에 있다."] * 30


def tokens_of(units: str, text: str, size: int = 600) -> list[str]:
    tokenizer = learn_vocabulary(TEXTS, size, units)
    assert len(tokenizer) <= size
    return tokenizer.tokenize(text)


def test_a_particle_is_no_part_of_the_noun_before_it() -> None:
    pytest.importorskip("kiwipiepy")
    assert tokens_of(WORDS, "부산은 도시이다.")[0] == "부산은"
    found = tokens_of(MORPHEMES, "부산은 도시이다.")
    assert found[:2] == ["부산", "##은"]
    assert found[2] == "도시"
    assert not any(JOINT in piece for piece in learn_vocabulary(TEXTS, 600, MORPHEMES).get_vocab())


def test_the_vocabulary_is_full_and_numbered_through() -> None:
    pytest.importorskip("kiwipiepy")
    size = 130  # fewer than there are to learn
    vocab = learn_vocabulary(TEXTS, size, MORPHEMES).get_vocab()
    assert sorted(vocab.values()) == list(range(size))
    assert [vocab[token] for token in mini.SPECIAL_TOKENS] == [0, 1, 2, 3, 4]


def test_contracted_morphemes_stay_together() -> None:
    """했 is 하 and 었 in one syllable: there is no border within it."""
    pytest.importorskip("kiwipiepy")
    (text,) = split_words(["그는 공부를 했다."], "this")
    assert text.replace(f" {JOINT}", "+") == "그+는 공부+를 했+다."
    (text,) = split_words([f"가{JOINT}나"], "this")  # a text's own such letter is none
    assert JOINT not in text.replace(f" {JOINT}", "")


def test_without_kiwi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kiwipiepy", None)
    with pytest.raises(UserError, match="`learn_vocab` morphemes needs the package kiwipiepy"):
        learn_vocabulary(TEXTS, 300, MORPHEMES)


def make_whole(vocab_size: int) -> Any:
    torch.manual_seed(0)
    whole = mini.make_masked_lm(vocab_size, mini.MiniSize(1, 64, 1))
    with torch.no_grad():
        whole.get_output_embeddings().bias.normal_()
    return whole


def test_known_pieces_keep_their_embeddings_and_new_ones_are_means() -> None:
    old = mini.learn_tokenizer(["서울 부산 나무 서울 부산 나무"], 80)
    new = mini.learn_tokenizer(["서울나무 서울나무 부산"], 80)
    whole = make_whole(len(old))
    before = whole.get_input_embeddings().weight.detach().clone()
    bias = whole.get_output_embeddings().bias.detach().clone()
    replace_vocabulary(whole, old, new)
    after = whole.get_input_embeddings().weight
    assert after is whole.get_output_embeddings().weight  # the head shares them
    assert len(after) == whole.config.vocab_size == len(new)
    ids, number = old.get_vocab(), new.get_vocab()
    for token in ("부", "##산", "[MASK]"):
        assert torch.equal(after[number[token]], before[ids[token]])
    # The old vocabulary has no "##나", and so not the whole word.
    for token in ("서울나무", "##나"):
        assert token not in ids
        assert torch.equal(after[number[token]], before[ids["[UNK]"]])
        assert whole.get_output_embeddings().bias[number[token]] == bias[ids["[UNK]"]]


def test_pieces_inside_words_are_made_of_those_inside_words() -> None:
    old = mini.learn_tokenizer(["가나 가다 나다"], 60)
    new = mini.learn_tokenizer(["가나다 가나다 라나다"], 60)
    ids, number = old.get_vocab(), new.get_vocab()
    whole = make_whole(len(old))
    before = whole.get_input_embeddings().weight.detach().clone()
    replace_vocabulary(whole, old, new)
    after = whole.get_input_embeddings().weight
    pieces = [piece for piece in number if piece.startswith("##") and piece not in ids]
    assert pieces
    for piece in pieces:
        parts = [ids[f"##{letter}"] for letter in piece[2:]]
        torch.testing.assert_close(after[number[piece]], before[parts].mean(dim=0))


def test_another_kind_of_encoder_is_refused() -> None:
    other = make_bert_tokenizer()
    new = mini.learn_tokenizer(TEXTS, 300)
    replace_vocabulary(make_whole(len(other)), other, new)  # klue's special tokens are these too
    order = {token: number for number, token in enumerate(reversed(mini.SPECIAL_TOKENS))}
    foreign = BertTokenizer(vocab=order)
    with pytest.raises(UserError, match="`learn_vocab` needs an encoder that was made by"):
        replace_vocabulary(make_whole(300), foreign, new)
