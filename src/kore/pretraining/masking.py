"""Passages -> rows of packed tokens, some of them masked, for a masked language model to find.

Rows are full: passages follow each other with [SEP] between them (FULL-SENTENCES of Liu et al.
2019, "RoBERTa"). Whole words are masked (Cui et al. 2021, "Pre-Training With Whole Word Masking"),
and entities whole, however many words they are; or single tokens, from which a new encoder learns
sooner.

All draws are made by the generators that are handed in, so that a resumed run draws the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from kore.common.progress import progress_bar
from kore.data.dataset import ENCODING_CHUNK
from kore.pretraining.passages import Passage

NO_UNIT = -1  # of [CLS] and [SEP], which are never masked
REPLACED, RANDOM = 0.8, 0.1  # shares of the chosen tokens (Devlin et al. 2019); the rest stays

Ids = NDArray[np.int64]


class TokenRow(NamedTuple):
    """Tokens of a passage, or of packed rows (R, T).

    units: tokens of one number are masked together, NO_UNIT never.
    """

    ids: Ids
    units: Ids


class MaskedRows(NamedTuple):
    """input_ids (B, T) as the model sees them, and which of them (B, T) it has to find."""

    input_ids: Ids
    is_masked: NDArray[np.bool_]


def tokenize(
    passages: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, whole_words: bool = True
) -> list[TokenRow]:
    """The tokens of every passage, without [CLS] and [SEP]; one without a token is left out.

    Without `whole_words` every token is a unit of its own.
    """
    rows = []
    with progress_bar(total=len(passages), desc="encoding", unit=" texts") as progress:
        for start in range(0, len(passages), ENCODING_CHUNK):
            chunk = passages[start : start + ENCODING_CHUNK]
            encoded = tokenizer(
                [passage.text for passage in chunk],
                add_special_tokens=False,
                split_special_tokens=True,
                return_offsets_mapping=True,
                verbose=False,
            )
            for number, passage in enumerate(chunk):
                ids = np.asarray(encoded["input_ids"][number], dtype=np.int64)
                if len(ids):
                    offsets = encoded["offset_mapping"][number]
                    words = encoded.word_ids(number)
                    units = _units(passage, words, offsets) if whole_words else np.arange(len(ids))
                    rows.append(TokenRow(ids, units))
            progress.update(len(chunk))
    return rows


def _units(
    passage: Passage, words: Sequence[int | None], offsets: Sequence[tuple[int, int]]
) -> Ids:
    """(T,) the word of each token, or the entity it belongs to."""
    units = np.asarray([NO_UNIT if word is None else word for word in words], dtype=np.int64)
    first_entity = units.max(initial=NO_UNIT) + 1
    starts, ends = np.asarray(offsets).T
    for number, span in enumerate(passage.entities, start=first_entity):
        units[(starts < span.end) & (ends > span.start)] = number
    return units


def pack(
    passages: Sequence[TokenRow],
    row_length: int,
    tokenizer: PreTrainedTokenizerBase,
    generator: np.random.Generator,
) -> TokenRow:
    """Full rows (R, row_length) of all passages in a random order.

    The last row is filled up from the beginning, so that no token is left out and none is padding.
    """
    ids: list[Ids] = []
    units: list[Ids] = []
    next_unit = 0
    for number in generator.permutation(len(passages)):
        passage = passages[number]
        ids += [passage.ids, np.asarray([tokenizer.sep_token_id])]
        shifted = np.where(passage.units == NO_UNIT, NO_UNIT, passage.units + next_unit)
        units += [shifted, np.asarray([NO_UNIT])]
        next_unit += passage.units.max(initial=NO_UNIT) + 1
    width = row_length - 1  # [CLS] stands before
    rows = -(-sum(len(part) for part in ids) // width)

    def in_rows(parts: list[Ids], first: int) -> Ids:
        filled = np.resize(np.concatenate(parts), (rows, width))
        return np.insert(filled, 0, first, axis=1)

    return TokenRow(in_rows(ids, tokenizer.cls_token_id), in_rows(units, NO_UNIT))


def mask(
    rows: TokenRow, ratio: float, tokenizer: PreTrainedTokenizerBase, generator: np.random.Generator
) -> MaskedRows:
    """Hides about `ratio` of the tokens of packed rows (B, T), unit by unit; at least one token."""
    _, unit_of_token = np.unique(rows.units, return_inverse=True)
    can_be_masked = rows.units != NO_UNIT
    chances = generator.random(unit_of_token.max() + 1)[unit_of_token].reshape(rows.units.shape)
    chances[~can_be_masked] = 1.0
    is_masked = chances < max(ratio, chances.min() + 1e-12)
    is_masked &= can_be_masked
    ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)
    draws = generator.random(rows.ids.shape)
    others = generator.choice(ordinary, rows.ids.shape)
    input_ids = np.where(is_masked & (draws < REPLACED), tokenizer.mask_token_id, rows.ids)
    is_random = is_masked & (draws >= REPLACED) & (draws < REPLACED + RANDOM)
    return MaskedRows(np.where(is_random, others, input_ids), is_masked)
