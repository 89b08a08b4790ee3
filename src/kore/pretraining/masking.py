"""Passages -> rows of packed tokens, some of them masked, for a masked language model to find.

Rows are full. Either passages follow each other with [SEP] between them and attend to each other
(FULL-SENTENCES of Liu et al. 2019, "RoBERTa"), or each is a text of its own, [CLS] … [SEP], and
attends to itself alone.

Whole words are masked (Cui et al. 2021, "Pre-Training With Whole Word Masking"), and entities
whole, however many words they are; or single tokens, from which a new encoder learns sooner.

All draws are made by the generators that are handed in, so that a resumed run draws the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from kore.common.progress import progress_bar
from kore.data.dataset import ENCODING_CHUNK, tokenized
from kore.pretraining.passages import Passage

NO_UNIT = -1  # of [CLS] and [SEP], which are never masked
REPLACED, RANDOM = 0.8, 0.1  # shares of the chosen tokens (Devlin et al. 2019); the rest stays

Ids = NDArray[np.integer[Any]]


class TokenRow(NamedTuple):
    """Tokens of a passage, or of packed rows (R, T).

    units: tokens of one number are masked together, NO_UNIT never; None where every token but
        [CLS] and [SEP] is masked by itself.
    """

    ids: Ids
    units: Ids | None


class MaskedRows(NamedTuple):
    """input_ids (B, T) as the model sees them, and which of them (B, T) it has to find."""

    input_ids: NDArray[np.int64]
    is_masked: NDArray[np.bool_]


@dataclass(frozen=True)
class TokenTexts:
    """Tokens of all passages, one after the other, in few bytes.

    ids, units: (N,), see `TokenRow`.
    starts, ends: (P,) of each passage in them.
    times: (P,) how often each is learned from.
    """

    ids: Ids
    units: Ids | None
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    times: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> TokenRow:
        place = slice(self.starts[number], self.ends[number])
        return TokenRow(self.ids[place], None if self.units is None else self.units[place])

    def __iter__(self) -> Iterator[TokenRow]:
        return (self[number] for number in range(len(self)))

    @property
    def num_tokens(self) -> int:
        """Of all its passages together."""
        return int((self.ends - self.starts).sum())

    def select(self, numbers: NDArray[np.int64]) -> TokenTexts:
        """The passages of those numbers, in that order; the tokens are shared."""
        starts, ends, times = (part[numbers] for part in (self.starts, self.ends, self.times))
        return replace(self, starts=starts, ends=ends, times=times)

    def repeated(self) -> TokenTexts:
        """Each passage as often as it is learned from."""
        return self.select(np.repeat(np.arange(len(self)), self.times))


def tokenize(
    passages: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, whole_words: bool = True
) -> TokenTexts:
    """The tokens of every passage, without [CLS] and [SEP]; one without a token is left out.

    Without `whole_words` every token is masked by itself.
    """
    dtype = np.uint16 if len(tokenizer) <= np.iinfo(np.uint16).max else np.int32
    ids: list[Ids] = []
    units: list[Ids] = [np.empty(0, np.int32)]
    lengths: list[int] = []
    with progress_bar(total=len(passages), desc="encoding", unit=" texts") as progress:
        for start in range(0, len(passages), ENCODING_CHUNK):
            chunk = passages[start : start + ENCODING_CHUNK]
            encoded = tokenized(tokenizer, [passage.text for passage in chunk], offsets=whole_words)
            rows = encoded["input_ids"]
            lengths += [len(row) for row in rows]
            ids.append(np.asarray([token for row in rows for token in row], dtype))
            if whole_words:
                units += [
                    _units(passage, encoded.word_ids(number), encoded["offset_mapping"][number])
                    for number, passage in enumerate(chunk)
                    if rows[number]
                ]
            progress.update(len(chunk))
    ends = np.cumsum(lengths, dtype=np.int64)
    times = np.asarray([passage.times for passage in passages])
    flat_units = np.concatenate(units) if whole_words else None
    texts = TokenTexts(np.concatenate(ids), flat_units, ends - lengths, ends, times)
    return texts.select(np.flatnonzero(lengths))


def _units(
    passage: Passage, words: Sequence[int | None], offsets: Sequence[tuple[int, int]]
) -> Ids:
    """(T,) the word of each token, or the entity it belongs to."""
    units = np.asarray([NO_UNIT if word is None else word for word in words], dtype=np.int32)
    first_entity = units.max(initial=NO_UNIT) + 1
    starts, ends = np.asarray(offsets).T
    for number, span in enumerate(passage.entities, start=first_entity):
        units[(starts < span.end) & (ends > span.start)] = number
    return units


def pack(
    passages: TokenTexts,
    row_length: int,
    tokenizer: PreTrainedTokenizerBase,
    generator: np.random.Generator,
    separate: bool = False,
) -> TokenRow:
    """Full rows (R, row_length) of all passages in a random order.

    The last row is filled up from the beginning, so that no token is left out and none is padding.

    Args:
        separate: each passage has a [CLS] of its own; else each row has one.
    """
    before = [tokenizer.cls_token_id] if separate else []
    order = generator.permutation(len(passages))
    first, last = (
        np.asarray(ids, passages.ids.dtype) for ids in (before, [tokenizer.sep_token_id])
    )
    ids = [part for number in order for part in (first, passages[number].ids, last)]
    rows = _in_rows(ids, row_length, None if separate else tokenizer.cls_token_id)
    if passages.units is None:
        return TokenRow(rows, None)
    units = []
    next_unit = 0
    for number in order:
        own = passages[number].units
        assert own is not None
        shifted = np.where(own == NO_UNIT, NO_UNIT, own + next_unit)
        units.append(np.pad(shifted, (len(before), 1), constant_values=NO_UNIT))
        next_unit += int(own.max(initial=NO_UNIT)) + 1
    return TokenRow(rows, _in_rows(units, row_length, None if separate else NO_UNIT))


def _in_rows(parts: Sequence[Ids], row_length: int, first: int | None) -> Ids:
    """All parts one after the other, in rows (R, row_length) that begin with `first`, if any."""
    stream = np.concatenate(parts)
    width = row_length if first is None else row_length - 1
    rows = np.resize(stream, (-(-len(stream) // width), width))
    return rows if first is None else np.insert(rows, 0, first, axis=1)


def mask(
    rows: TokenRow, ratio: float, tokenizer: PreTrainedTokenizerBase, generator: np.random.Generator
) -> MaskedRows:
    """Hides about `ratio` of the tokens of packed rows (B, T), unit by unit; at least one token,
    unless all are special.

    [UNK] is never one of them: a model that learns to predict it finds it wherever a rare letter
    may stand.
    """
    ids = rows.ids.astype(np.int64)
    can_be_masked = ~np.isin(ids, tokenizer.all_special_ids)
    if rows.units is None:
        chances = generator.random(ids.shape)
    else:
        can_be_masked &= rows.units != NO_UNIT
        _, unit_of_token = np.unique(rows.units, return_inverse=True)
        chances = generator.random(unit_of_token.max() + 1)[unit_of_token].reshape(ids.shape)
    chances[~can_be_masked] = 1.0
    is_masked = chances < max(ratio, chances.min() + 1e-12)
    is_masked &= can_be_masked
    ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)
    draws = generator.random(ids.shape)
    others = generator.choice(ordinary, ids.shape)
    input_ids = np.where(is_masked & (draws < REPLACED), tokenizer.mask_token_id, ids)
    is_random = is_masked & (draws >= REPLACED) & (draws < REPLACED + RANDOM)
    return MaskedRows(np.where(is_random, others, input_ids), is_masked)
