"""The vocabulary of an encoder: learned from texts, and given to one that had another."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import cast

import torch
from tokenizers.models import WordPiece
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kore.common.errors import UserError
from kore.data import morphemes
from kore.data.markers import marker_text
from kore.data.morphemes import MORPHEMES, WORDS
from kore.network import mini

_INNER = "##"
# Of the texts: more take minutes and change little. Kiwi reads 50,000 characters a second.
_MOST_CHARACTERS = {WORDS: 20_000_000, MORPHEMES: 5_000_000}
# Rare in texts: "@" and "^", with which training marks entities, come after 2,400 others.
NEEDED_LETTERS = marker_text() + string.punctuation + string.digits + string.ascii_letters
_MOST_LETTERS = 2_400  # 0.16 % of the tokens of KLUE-RE become [UNK], see benchmarks/LOG.md


def learn_vocabulary(texts: Sequence[str], size: int, units: str) -> PreTrainedTokenizerBase:
    """A WordPiece tokenizer of `size` pieces.

    Args:
        units: what pieces may be parts of: WORDS, or MORPHEMES, so that a particle is no part of
            the noun before it (이순신 ##은), as in klue's vocabularies (Park et al. 2021, KLUE).

    Raises:
        UserError: morphemes are asked for and kiwipiepy is not installed.
    """
    texts = [*mini.bounded_sample(texts, _MOST_CHARACTERS[units]), *[marker_text()] * 2]
    joint = ""
    if units == MORPHEMES:
        texts = list(morphemes.split_words(texts, f"`learn_vocab` {MORPHEMES}"))
        joint = morphemes.JOINT
    return mini.learn_tokenizer(texts, size, _MOST_LETTERS, NEEDED_LETTERS, joint)


def replace_vocabulary(
    whole: PreTrainedModel, old: PreTrainedTokenizerBase, new: PreTrainedTokenizerBase
) -> None:
    """Gives an encoder with its language-modelling head the pieces of `new` in place of `old`'s.

    A piece that both have keeps its embedding; any other begins as the mean of the old pieces that
    it is made of (Gee et al. 2022, "Fast Vocabulary Transfer for Language Model Compression").

    Raises:
        UserError: the encoder has other special tokens than those that pretraining makes.
    """
    expected = list(range(len(mini.SPECIAL_TOKENS)))
    if old.convert_tokens_to_ids(mini.SPECIAL_TOKENS) != expected:
        raise UserError(
            "`learn_vocab` needs an encoder that was made by pretraining mini: "
            f"{' '.join(mini.SPECIAL_TOKENS)} are its first tokens"
        )
    rows = _rows_of_pieces(old.get_vocab(), new.get_vocab())
    with torch.no_grad():
        before = [parameter.clone() for parameter in _of_pieces(whole)]
        whole.resize_token_embeddings(len(new), mean_resizing=False)
        for parameter, values in zip(_of_pieces(whole), before, strict=True):
            parameter.copy_(torch.stack([values[numbers].mean(dim=0) for numbers in rows]))


def _of_pieces(whole: PreTrainedModel) -> list[torch.Tensor]:
    """What has a row a piece: the embeddings, which the head shares, and the head's bias (V,)."""
    head = cast(torch.nn.Linear, whole.get_output_embeddings())
    return [cast(torch.nn.Embedding, whole.get_input_embeddings()).weight, head.bias]


def _rows_of_pieces(old: dict[str, int], new: dict[str, int]) -> list[list[int]]:
    """For every new piece in the order of its number, the old pieces that it is made of."""
    unknown = old["[UNK]"]
    inner = {piece[len(_INNER) :]: n for piece, n in old.items() if piece.startswith(_INNER)}
    parts = WordPiece({"": unknown, **inner}, unk_token="", continuing_subword_prefix="")
    whole = WordPiece(old, unk_token="[UNK]")
    rows = []
    for piece in sorted(new, key=new.__getitem__):
        if piece in old:
            rows.append([old[piece]])
        elif piece.startswith(_INNER):
            rows.append([token.id for token in parts.tokenize(piece[len(_INNER) :])])
        else:
            rows.append([token.id for token in whole.tokenize(piece)])
    return rows
