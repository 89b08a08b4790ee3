"""Examples -> token ids and spans -> Batch: the one encoding path of every command.

    CSV / JSON row   --rows.read_examples-->  Example
    Example          --markers.mark-------->  MarkedText: markers and character spans
    MarkedText       --InputEncoder-------->  EncodedExample: token ids and spans, cut to max_length
    EncodedExamples  --Batch.collate------->  Batch: padded tensors
    Batch            --model--------------->  logits

Training, validation and inference all call `InputEncoder.encode` with the marker scheme and
max_length that the checkpoint carries.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import BatchEncoding, PreTrainedTokenizerBase

from kore.common.errors import UnfitError, UserError
from kore.common.progress import progress_bar
from kore.data.levitated import PAIR_MARKERS, TextWithPairs, levitated_inputs
from kore.data.markers import (
    LEVITATED,
    MarkedEntity,
    MarkedText,
    MarkerScheme,
    levitated_markers,
    mark,
)
from kore.data.ngrams import ngrams_of
from kore.data.schema import Entity, Example, Span
from kore.data.window import TokenEntity, kept_tokens, moved

ENCODING_CHUNK = 2_000  # examples a call of the tokenizer: enough to keep its threads busy


class EncodedExample(NamedTuple):
    """One example as the model reads it; spans are half-open token positions, markers included."""

    input_ids: list[int]
    subject_span: Span
    object_span: Span
    was_cut: bool
    entity_types: tuple[int, int] = (0, 0)  # of subject and object, from 1; 0 = not known
    ngrams: NDArray[np.int32] | None = None  # see ngrams.ngrams_of; None = the model reads none
    borders: tuple[int, ...] = ()  # positions of the last tokens, which are levitated markers

    @property
    def length(self) -> int:
        """What it takes in a batch, in tokens."""
        return len(self.input_ids)


@dataclass(frozen=True)
class Batch:
    """Examples padded to one length.

    Shapes, with B examples and T tokens:
        input_ids: (B, T), int64.
        attention_mask: (B, T), bool, False on padding.
        subject_span, object_span: (B, 2), int64, half-open token positions.
        labels: (B,), int64, or None where they are not known.
        num_tokens: sum of attention_mask, known without asking a GPU; 0 = not counted.
        entity_types: (B, 2), int64, of subject and object from 1, 0 = not known; None = none are.
        ngrams: (B, F), int64, numbers of n-grams from 1, 0 on padding; None = not read.
        borders: (B, 4 P), int64, the positions of the last 4 P tokens, which are levitated
            markers of P pairs; None = markers stand in the text. All that is said of examples
            (spans, labels, types, n-grams) then has B * P rows.
    """

    input_ids: Tensor
    attention_mask: Tensor
    subject_span: Tensor
    object_span: Tensor
    labels: Tensor | None = None
    num_tokens: int = 0
    entity_types: Tensor | None = None
    ngrams: Tensor | None = None
    borders: Tensor | None = None

    @property
    def inputs(
        self,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, int, Tensor | None, Tensor | None, Tensor | None]:
        """What the model takes, in its order."""
        return (
            self.input_ids,
            self.attention_mask,
            self.subject_span,
            self.object_span,
            self.num_tokens,
            self.entity_types,
            self.ngrams,
            self.borders,
        )

    @classmethod
    def collate(
        cls,
        rows: Sequence[EncodedExample],
        pad_id: int,
        labels: Sequence[int] | None = None,
        length: int | None = None,
    ) -> Batch:
        """Examples padded to `length` tokens, by default to the longest of them."""
        if rows[0].borders:
            batch = cls.of_texts([TextWithPairs([row]) for row in rows], pad_id, length or 0)
            return replace(batch, labels=None if labels is None else torch.tensor(labels))
        length = length or max(len(row.input_ids) for row in rows)
        padded = [row.input_ids + [pad_id] * (length - len(row.input_ids)) for row in rows]
        lengths = torch.tensor([len(row.input_ids) for row in rows])
        return cls(
            input_ids=torch.tensor(padded),
            attention_mask=torch.arange(length) < lengths[:, None],
            subject_span=torch.tensor([row.subject_span for row in rows]),
            object_span=torch.tensor([row.object_span for row in rows]),
            labels=None if labels is None else torch.tensor(labels),
            num_tokens=sum(len(row.input_ids) for row in rows),
            entity_types=torch.tensor([row.entity_types for row in rows]),
            ngrams=padded_ngrams(rows),
        )

    @classmethod
    def of_texts(cls, texts: Sequence[TextWithPairs], pad_id: int, length: int = 0) -> Batch:
        """Texts with levitated markers of any number of pairs, at least `length` tokens long."""
        inputs = levitated_inputs(texts, pad_id, length)
        return cls(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            subject_span=torch.tensor([row.subject_span for row in inputs.examples]),
            object_span=torch.tensor([row.object_span for row in inputs.examples]),
            num_tokens=sum(text.length for text in texts),
            entity_types=torch.tensor([row.entity_types for row in inputs.examples]),
            ngrams=padded_ngrams(inputs.examples),
            borders=inputs.borders,
        )

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device; a GPU copies it while the CPU continues."""

        def moved_tensor(tensor: Tensor) -> Tensor:
            if device.type == "cuda":
                return tensor.pin_memory().to(device, non_blocking=True)
            return tensor.to(device)

        return Batch(
            input_ids=moved_tensor(self.input_ids),
            attention_mask=moved_tensor(self.attention_mask),
            subject_span=moved_tensor(self.subject_span),
            object_span=moved_tensor(self.object_span),
            labels=None if self.labels is None else moved_tensor(self.labels),
            num_tokens=self.num_tokens,
            entity_types=None if self.entity_types is None else moved_tensor(self.entity_types),
            ngrams=None if self.ngrams is None else moved_tensor(self.ngrams),
            borders=None if self.borders is None else moved_tensor(self.borders),
        )

    def twice(self) -> Batch:
        """Every example two times, the second ones behind all of the first."""
        doubled: dict[str, Any] = {
            name: torch.cat([value, value])
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, num_tokens=2 * self.num_tokens, **doubled)


def check_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises UserError where it gives no character offsets, or has no [CLS], [SEP] or padding."""
    if not tokenizer.is_fast:
        raise UserError(
            f"the tokenizer {type(tokenizer).__name__} gives no character offsets; "
            "use an encoder that ships a tokenizer.json"
        )
    needed = ("cls_token_id", "sep_token_id", "pad_token_id")
    missing = [name[:3] for name in needed if getattr(tokenizer, name) is None]
    if missing:
        raise UserError(
            f"the tokenizer has no {', '.join(missing)} token; use an encoder of the BERT kind"
        )


def tokenized(
    tokenizer: PreTrainedTokenizerBase, texts: list[str], *, offsets: bool = False
) -> BatchEncoding:
    """`input_ids` of each text without [CLS] and [SEP], and where asked for `offset_mapping`.

    What looks like a special token in a text is text.
    """
    if not texts:
        return BatchEncoding({"input_ids": [], "offset_mapping": []})
    tokens = tokenizer(
        texts,
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        return_offsets_mapping=offsets,
        split_special_tokens=True,
        verbose=False,
    )
    unknown, special = tokenizer.unk_token_id, set(tokenizer.all_special_ids)
    if unknown is not None:  # a Unigram vocabulary lists its "[SEP]" and finds it even so
        for ids in tokens["input_ids"]:
            if not special.isdisjoint(ids):
                ids[:] = [unknown if token in special else token for token in ids]
    return tokens


def padded_ngrams(rows: Sequence[EncodedExample]) -> Tensor | None:
    """(B, F), int64: the n-grams of rows, 0 on padding; None where they have none."""
    lists = [row.ngrams for row in rows if row.ngrams is not None]
    if len(lists) < len(rows):
        return None
    padded = np.zeros((len(lists), max(map(len, lists))), dtype=np.int64)
    for number, ngrams in enumerate(lists):
        padded[number, : len(ngrams)] = ngrams
    return torch.from_numpy(padded)


class InputEncoder:
    """Turns examples into token ids and spans, always in the same way.

    Args:
        ngram_buckets: numbers of a field of n-grams; 0 = the model reads no n-grams.

    Raises:
        UserError: the tokenizer has no [CLS]/[SEP] or no character offsets, or `max_length`
            cannot hold the markers.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        scheme: MarkerScheme,
        max_length: int,
        ngram_buckets: int = 0,
    ) -> None:
        check_tokenizer(tokenizer)
        self.tokenizer = tokenizer
        self.scheme = scheme
        self.max_length = max_length
        self.ngram_buckets = ngram_buckets
        self.pad_id: int = tokenizer.pad_token_id
        self._type_numbers = {name: number for number, name in enumerate(scheme.types, start=1)}
        self.is_levitated = scheme.use_markers and scheme.style == LEVITATED
        self._marker_ids: dict[str, int] = tokenizer.get_added_vocab() if self.is_levitated else {}
        self._check_max_length()

    def encode(self, examples: Sequence[Example], quiet: bool = False) -> list[EncodedExample]:
        """The examples in their order; none is dropped, whatever its length.

        `quiet` leaves out the progress bar, where the caller has one.
        """
        rows: list[EncodedExample] = []
        with progress_bar(
            total=len(examples), desc="encoding", unit=" rows", quiet=quiet
        ) as progress:
            for start in range(0, len(examples), ENCODING_CHUNK):
                chunk = examples[start : start + ENCODING_CHUNK]
                encoded = self._encode_marked([mark(example, self.scheme) for example in chunk])
                if self.is_levitated:
                    encoded = [
                        self._with_markers(row, example)
                        for row, example in zip(encoded, chunk, strict=True)
                    ]
                if self._type_numbers:
                    encoded = [
                        row._replace(entity_types=self._types_of(example))
                        for row, example in zip(encoded, chunk, strict=True)
                    ]
                if self.ngram_buckets:
                    encoded = [
                        row._replace(ngrams=ngrams_of(example, self.ngram_buckets))
                        for row, example in zip(encoded, chunk, strict=True)
                    ]
                rows += encoded
                progress.update(len(chunk))
        return rows

    def collate(
        self, rows: Sequence[EncodedExample] | Sequence[TextWithPairs], length: int | None = None
    ) -> Batch:
        """The rows as a batch without labels; see `Batch.collate` and `Batch.of_texts`."""
        if isinstance(rows[0], TextWithPairs):
            return Batch.of_texts(cast(Sequence[TextWithPairs], rows), self.pad_id, length or 0)
        return Batch.collate(cast(Sequence[EncodedExample], rows), self.pad_id, length=length)

    def locate(self, example: Example) -> tuple[str, list[Span]]:
        """The text that `example` is read from, and each token's characters in it.

        The text is the marked one, with its leading segments before it; one span stands for each
        of the example's `input_ids`, and those of [CLS] and [SEP] are empty.
        """
        marked = mark(example, self.scheme)
        spans = [Span(0, 0)]  # [CLS]
        start = 0
        leads = self._tokenize(list(marked.lead), offsets=True).get("offset_mapping", [])
        for part, lead_offsets in zip(marked.lead, self._cut_leads(leads), strict=True):
            spans += [Span(start + first, start + end) for first, end in lead_offsets]
            start += len(part)
            spans.append(Span(start, start))  # [SEP]
            start += 1  # a space
        offsets = self._tokenize([marked.text], offsets=True)["offset_mapping"][0]
        # Their numbers in place of ids tell which tokens the window keeps.
        lead = [0] * (len(spans) - 1)
        row = self._windowed(marked, lead, list(range(len(offsets))), offsets)
        for number in row.input_ids[len(spans) : -1]:
            first, end = offsets[number]
            spans.append(Span(start + first, start + end))
        text = " ".join((*marked.lead, marked.text))
        return text, [*spans, Span(len(text), len(text))]

    def _types_of(self, example: Example) -> tuple[int, int]:
        numbers = self._type_numbers
        return numbers.get(example.subject.type, 0), numbers.get(example.object.type, 0)

    def _with_markers(self, row: EncodedExample, example: Example) -> EncodedExample:
        """The row of an unmarked text with the markers behind it; the spans are now theirs."""
        markers = levitated_markers(example, self.scheme)
        ids = [self._marker_ids[token] for token in markers]
        start, half = len(row.input_ids), PAIR_MARKERS // 2
        spans = (row.subject_span, row.object_span)
        return row._replace(
            input_ids=[*row.input_ids, *ids],
            subject_span=Span(start, start + half),
            object_span=Span(start + half, start + PAIR_MARKERS),
            borders=tuple(place for span in spans for place in (span.start, span.end - 1)),
        )

    def _encode_marked(self, marked: list[MarkedText]) -> list[EncodedExample]:
        # Pairs of one text share it where markers are levitated: it is tokenized once.
        numbers = {text: n for n, text in enumerate(dict.fromkeys(row.text for row in marked))}
        texts = self._tokenize(list(numbers), offsets=True)
        leads = iter(self._tokenize([part for row in marked for part in row.lead])["input_ids"])
        rows = []
        for row in marked:
            number = numbers[row.text]
            ids, offsets = texts["input_ids"][number], texts["offset_mapping"][number]
            lead = self._lead_ids([next(leads) for _ in row.lead])
            rows.append(self._windowed(row, lead, ids, offsets))
        return rows

    def _tokenize(self, texts: list[str], offsets: bool = False) -> BatchEncoding:
        return tokenized(self.tokenizer, texts, offsets=offsets)

    def _lead_ids(self, segments: list[list[int]]) -> list[int]:
        """The leading segments, each closed by [SEP]."""
        sep_id = self.tokenizer.sep_token_id
        return [token for ids in self._cut_leads(segments) for token in [*ids, sep_id]]

    def _cut_leads(self, segments: list[list[Any]]) -> list[list[Any]]:
        """Together with a [SEP] each, the segments take at most a third of the example."""
        room = max(1, (self.max_length - 2) // 3 // max(1, len(segments)) - 1)
        return [segment[:room] for segment in segments]

    def _windowed(
        self,
        marked: MarkedText,
        lead: list[int],
        ids: list[int],
        offsets: list[tuple[int, int]],
    ) -> EncodedExample:
        starts = [start for start, _ in offsets]
        ends = [end for _, end in offsets]
        subject = token_entity(marked.subject, starts, ends)
        object_ = token_entity(marked.object, starts, ends)
        budget = self.max_length - 2 - len(lead) - (PAIR_MARKERS if self.is_levitated else 0)
        kept = kept_tokens(len(ids), budget, subject, object_)
        before = 1 + len(lead)

        def in_row(span: Span) -> Span:
            start, end = moved(span, kept)
            return Span(before + start, before + max(end, start + 1))  # [SEP] for an empty text

        cls_id, sep_id = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        return EncodedExample(
            input_ids=[cls_id, *lead, *(ids[position] for position in kept), sep_id],
            subject_span=in_row(subject.outer),
            object_span=in_row(object_.outer),
            was_cut=len(kept) < len(ids),
        )

    def _check_max_length(self) -> None:
        """Refuses a max_length that the longest markers and a token of each entity do not fit."""
        longest = 0
        for name in ("", *self.scheme.types):  # "" stands for a type never seen in training
            example = Example(
                "", "가 나", Entity("가", Span(0, 1), name), Entity("나", Span(2, 3), name)
            )
            marked = mark(example, self.scheme)
            length = len(self._tokenize([marked.text])["input_ids"][0])
            lead = self._lead_ids(self._tokenize(list(marked.lead))["input_ids"])
            markers = PAIR_MARKERS if self.is_levitated else 0
            longest = max(longest, 2 + len(lead) + length + markers)
        if longest > self.max_length:
            raise UnfitError(
                f"`max_length` {self.max_length} is too small: the markers and two entities of a "
                f"syllable take {longest} tokens already; pass at least {longest}"
            )


def token_entity(entity: MarkedEntity, starts: list[int], ends: list[int]) -> TokenEntity:
    """The tokens of an entity, of the first and the last character of each token."""
    outer = _token_span(entity.outer, starts, ends)
    if outer.start >= outer.end:  # every character was dropped by the tokenizer's normalisation
        start = max(0, min(outer.start, len(starts) - 1))
        outer = Span(start, min(start + 1, len(starts)))
    inner = _token_span(entity.inner, starts, ends)
    start = min(max(inner.start, outer.start), outer.end)
    return TokenEntity(outer, Span(start, max(start, min(inner.end, outer.end))))


def _token_span(span: Span, starts: list[int], ends: list[int]) -> Span:
    """Tokens that hold at least one character of `span`."""
    return Span(bisect_right(ends, span.start), bisect_left(starts, span.end))
