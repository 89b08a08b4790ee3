"""Texts -> windows of tokens in which every character has its place: the encoding path of taggers.

    text           --composed------>  the text in NFC, and where its characters stand in the input
    composed text  --TextEncoder--->  EncodedWindows: token ids, and the token of each character
    EncodedWindow  --TextBatch----->  padded tensors

A tag belongs to a character, not to a token: an entity may begin or end inside a token ("이순신은"
may be "이순", "##신은").
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from kore.common.errors import UnfitError
from kore.common.progress import progress_bar
from kore.data.dataset import ENCODING_CHUNK, check_tokenizer, tokenized
from kore.data.ngrams import ngrams_around, surroundings
from kore.data.schema import Span

MOST_PLACES = 16  # of a character in its token; later ones share the last
BETWEEN = 0  # the place of a character that no token holds, as a space: before the token named
UNKNOWN = 0  # the target of a character of which nothing is known, and of padding
_CHARACTER_STEP = 16  # characters of a batch are padded to a multiple of it
_MOST_CHARACTERS = 2_048  # of a window: a word without a space may be one token
_OVERLAP = 4  # a window shares a part as large as 1 / so much of it with the next


class Composed(NamedTuple):
    """A text in NFC; its character i is the input's characters starts[i] to starts[i + 1]."""

    text: str
    starts: Sequence[int]

    def in_input(self, span: Span) -> Span:
        """A span of the composed text as one of the input; at least a character."""
        start = self.starts[span.start]
        return Span(start, max(start + 1, self.starts[span.end]))

    def in_composed(self, span: Span) -> Span:
        """The characters that hold a span of the input."""
        start = bisect_left(self.starts, span.start + 1) - 1
        return Span(start, max(start + 1, bisect_left(self.starts, span.end)))


def composed(text: str) -> Composed:
    """A text whose letters are composed, as a vocabulary knows them: macOS writes "가" as two."""
    if unicodedata.is_normalized("NFC", text):
        return Composed(text, range(len(text) + 1))
    parts: list[str] = []
    starts: list[int] = []
    place = 0
    while place < len(text):
        end = place + 1
        while end < len(text) and _joins(text[place:end], text[end]):
            end += 1
        whole = unicodedata.normalize("NFC", text[place:end])
        parts.append(whole)
        starts += [min(place + number, end - 1) for number in range(len(whole))]
        place = end
    return Composed("".join(parts), [*starts, len(text)])


def _joins(before: str, character: str) -> bool:
    """Whether NFC treats a character together with those before it."""
    if unicodedata.combining(character):
        return True
    alone = unicodedata.normalize("NFC", before) + unicodedata.normalize("NFC", character)
    return unicodedata.normalize("NFC", before + character) != alone


class EncodedWindow(NamedTuple):
    """Tokens of a part of a text, and the characters whose tags are read from them.

    tokens: position in `input_ids` of each of these characters. places: which of the token's
    characters it is, from 1; BETWEEN where no token holds it. first: the text's character that the
    first of them is. surroundings: the characters and what is near them, see `ngrams_around`; "" =
    the model reads no n-grams.
    """

    input_ids: list[int]
    tokens: list[int]
    places: list[int]
    first: int
    surroundings: str = ""

    @property
    def length(self) -> int:
        """What it takes in a batch: the head reads characters, which may be more than tokens."""
        return max(len(self.input_ids), len(self.tokens))


@dataclass(frozen=True)
class TextBatch:
    """Windows padded to one length.

    Shapes, with B windows, T tokens and S characters:
        input_ids: (B, T), int64. attention_mask: (B, T), bool.
        tokens, places: (B, S), int64; 0 on padding.
        targets: (B, S), int64, see `network.tagger.TagSets`; UNKNOWN on padding. None = not known.
        num_tokens: sum of attention_mask.
        ngrams: (B, S, F), int64, of `ngrams_around`; None = not read.
    """

    input_ids: Tensor
    attention_mask: Tensor
    tokens: Tensor
    places: Tensor
    num_tokens: int
    targets: Tensor | None = None
    ngrams: Tensor | None = None

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor, int, Tensor | None]:
        """What a tagger takes, in its order."""
        characters = (self.tokens, self.places, self.num_tokens)
        return self.input_ids, self.attention_mask, *characters, self.ngrams

    @classmethod
    def collate(
        cls,
        windows: Sequence[EncodedWindow],
        pad_id: int,
        targets: Sequence[Sequence[int]] | None = None,
        length: int = 0,
        ngram_buckets: int = 0,
    ) -> TextBatch:
        """Windows padded to the longest of them, or to `length` tokens where that is more.

        Args:
            ngram_buckets: the numbers of n-grams; 0 = the batch has none.
        """
        lengths = torch.tensor([len(window.input_ids) for window in windows])
        input_ids = _padded([window.input_ids for window in windows], pad_id, length)
        # Few shapes, for the same reason as in `batching.padded_length`.
        longest = max(len(window.tokens) for window in windows)
        characters = -(-longest // _CHARACTER_STEP) * _CHARACTER_STEP
        return cls(
            input_ids=input_ids,
            attention_mask=torch.arange(input_ids.shape[1]) < lengths[:, None],
            tokens=_padded([window.tokens for window in windows], 0, characters),
            places=_padded([window.places for window in windows], 0, characters),
            num_tokens=int(lengths.sum()),
            targets=None if targets is None else _padded(targets, UNKNOWN, characters),
            ngrams=character_ngrams(windows, ngram_buckets, characters) if ngram_buckets else None,
        )

    def to(self, device: torch.device) -> TextBatch:
        """The same batch on another device."""
        return TextBatch(
            self.input_ids.to(device),
            self.attention_mask.to(device),
            self.tokens.to(device),
            self.places.to(device),
            self.num_tokens,
            None if self.targets is None else self.targets.to(device),
            None if self.ngrams is None else self.ngrams.to(device),
        )


def _padded(rows: Sequence[Sequence[int]], value: int, length: int = 0) -> Tensor:
    length = max(length, *map(len, rows))
    padded = [[*row, *[value] * (length - len(row))] for row in rows]
    return torch.tensor(padded, dtype=torch.long)


def character_ngrams(windows: Sequence[EncodedWindow], buckets: int, characters: int) -> Tensor:
    """(B, S, F), with S `characters`; 0 on padding, where what a model says is not read."""
    rows = [torch.from_numpy(ngrams_around(window.surroundings, buckets)) for window in windows]
    padded = torch.zeros(len(rows), characters, rows[0].shape[1], dtype=torch.long)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


class TextEncoder:
    """Turns texts into windows, always in the same way.

    Args:
        ngram_buckets: numbers of n-grams; 0 = the model reads none.

    Raises:
        UserError: the tokenizer has no [CLS], [SEP] or padding token, or no character offsets.
        UnfitError: `max_length` is too small for a window.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, max_length: int, ngram_buckets: int = 0
    ) -> None:
        check_tokenizer(tokenizer)
        if max_length < 2 + _OVERLAP:
            raise UnfitError(f"`max_length` is {max_length}, expected at least {2 + _OVERLAP}")
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.ngram_buckets = ngram_buckets
        self.pad_id: int = tokenizer.pad_token_id

    def encode(self, texts: Sequence[str], quiet: bool = False) -> list[list[EncodedWindow]]:
        """The windows of each text, which must be composed; one alone where it fits.

        Windows overlap, and each character is read where it has most text on both sides.
        """
        rows: list[list[EncodedWindow]] = []
        bar = progress_bar(total=len(texts), desc="encoding", unit=" texts", quiet=quiet)
        with bar as progress:
            for start in range(0, len(texts), ENCODING_CHUNK):
                chunk = list(texts[start : start + ENCODING_CHUNK])
                encoded = tokenized(self.tokenizer, chunk, offsets=True)
                for text, ids, offsets in zip(
                    chunk, encoded["input_ids"], encoded["offset_mapping"], strict=True
                ):
                    rows.append(self._windows(text, ids, *_places(len(text), offsets)))
                progress.update(len(chunk))
        return rows

    def collate(self, rows: Sequence[EncodedWindow], length: int | None = None) -> TextBatch:
        """The rows as a batch without targets; see `TextBatch.collate`."""
        return TextBatch.collate(
            rows, self.pad_id, length=length or 0, ngram_buckets=self.ngram_buckets
        )

    def _windows(
        self, text: str, ids: list[int], tokens: list[int], places: list[int]
    ) -> list[EncodedWindow]:
        """Overlapping windows; a character belongs to the one that its token belongs to."""
        room = self.max_length - 2
        overlap = room // _OVERLAP
        starts = range(0, max(1, len(ids) - overlap), room - overlap)
        windows = []
        first = 0
        for number, start in enumerate(starts):
            is_last = number == len(starts) - 1
            owned_to = len(ids) if is_last else start + room - overlap // 2
            end = len(tokens) if is_last else bisect_left(tokens, owned_to)
            own = [
                self.tokenizer.cls_token_id,
                *ids[start : start + room],
                self.tokenizer.sep_token_id,
            ]
            for place in range(first, max(end, first + 1), _MOST_CHARACTERS):
                part = slice(place, min(end, place + _MOST_CHARACTERS))
                near = surroundings(text, part.start, part.stop) if self.ngram_buckets else ""
                windows.append(
                    EncodedWindow(
                        input_ids=own,
                        tokens=[1 + token - start for token in tokens[part]],
                        places=places[part],
                        first=place,
                        surroundings=near,
                    )
                )
            first = end
        return windows


def _places(length: int, offsets: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """The token of each of `length` characters, ascending, and its place in it.

    A character that no token holds goes to the next one, and at the end to the [SEP] behind all.
    """
    tokens: list[int] = []
    places: list[int] = []
    token = 0
    for character in range(length):
        while token < len(offsets) and offsets[token][1] <= character:
            token += 1
        tokens.append(token)
        start = offsets[token][0] if token < len(offsets) else length
        places.append(BETWEEN if character < start else min(1 + character - start, MOST_PLACES))
    return tokens, places
