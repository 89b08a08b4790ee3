"""Texts with a target or none -> token ids and the target's place: the encoding path of labels.

The target is marked as a subject is, without a type: `@ 비틀즈 @`. Where there is none, the whole
text stands in its place: an encoder that was pretrained on masked words alone has nothing in [CLS].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from kore.common.errors import UnfitError
from kore.common.progress import progress_bar
from kore.data.dataset import ENCODING_CHUNK, check_tokenizer, token_entity, tokenized
from kore.data.emotion import JudgedText, cleaned
from kore.data.markers import mark_target
from kore.data.schema import Span
from kore.data.window import kept_around, moved


class EncodedTarget(NamedTuple):
    """A text as the model reads it; the span holds the target with its markers, or all of it."""

    input_ids: list[int]
    target_span: Span
    was_cut: bool = False

    @property
    def length(self) -> int:
        """What it takes in a batch, in tokens."""
        return len(self.input_ids)


@dataclass(frozen=True)
class TargetBatch:
    """Texts padded to one length.

    Shapes, with B texts, T tokens and C labels:
        input_ids: (B, T), int64. attention_mask: (B, T), bool.
        target_span: (B, 2), int64, half-open token positions.
        num_tokens: sum of attention_mask.
        labels: (B, C), float32, 1 where a label is true; None = not known.
    """

    input_ids: Tensor
    attention_mask: Tensor
    target_span: Tensor
    num_tokens: int
    labels: Tensor | None = None

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, int]:
        """What the model takes, in its order."""
        return self.input_ids, self.attention_mask, self.target_span, self.num_tokens

    @classmethod
    def collate(
        cls,
        rows: Sequence[EncodedTarget],
        pad_id: int,
        labels: Tensor | None = None,
        length: int | None = None,
    ) -> TargetBatch:
        """Texts padded to `length` tokens, by default to the longest of them."""
        length = length or max(row.length for row in rows)
        lengths = torch.tensor([row.length for row in rows])
        padded = [row.input_ids + [pad_id] * (length - row.length) for row in rows]
        return cls(
            input_ids=torch.tensor(padded),
            attention_mask=torch.arange(length) < lengths[:, None],
            target_span=torch.tensor([row.target_span for row in rows]),
            num_tokens=int(lengths.sum()),
            labels=labels,
        )

    def to(self, device: torch.device) -> TargetBatch:
        """The same batch on another device."""
        return TargetBatch(
            self.input_ids.to(device),
            self.attention_mask.to(device),
            self.target_span.to(device),
            self.num_tokens,
            None if self.labels is None else self.labels.to(device),
        )


class TargetEncoder:
    """Turns texts with targets into token ids, always in the same way.

    Args:
        remove_others, cleansing: see `emotion.cleaned`.

    Raises:
        UserError: the tokenizer has no [CLS], [SEP] or padding token, or no character offsets.
        UnfitError: `max_length` cannot hold the markers.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        *,
        remove_others: bool = False,
        cleansing: bool = False,
    ) -> None:
        check_tokenizer(tokenizer)
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.remove_others = remove_others
        self.cleansing = cleansing
        self.pad_id: int = tokenizer.pad_token_id
        marked, _ = mark_target("가", Span(0, 1))
        least = 2 + len(tokenized(tokenizer, [marked])["input_ids"][0])
        if max_length < least:
            raise UnfitError(f"`max_length` {max_length} is too small: pass at least {least}")

    def encode(self, texts: Sequence[JudgedText], quiet: bool = False) -> list[EncodedTarget]:
        """The texts in their order; one that is too long is cut, and its target stays."""
        rows: list[EncodedTarget] = []
        with progress_bar(total=len(texts), desc="encoding", unit=" rows", quiet=quiet) as progress:
            for start in range(0, len(texts), ENCODING_CHUNK):
                chunk = texts[start : start + ENCODING_CHUNK]
                rows += self._encode(
                    [
                        cleaned(text, remove_others=self.remove_others, cleansing=self.cleansing)
                        for text in chunk
                    ]
                )
                progress.update(len(chunk))
        return rows

    def collate(self, rows: Sequence[EncodedTarget], length: int | None = None) -> TargetBatch:
        """The rows as a batch without labels."""
        return TargetBatch.collate(rows, self.pad_id, length=length)

    def _encode(self, texts: Sequence[JudgedText]) -> list[EncodedTarget]:
        marked = [
            (text.form, None) if text.target is None else mark_target(text.form, text.target)
            for text in texts
        ]
        tokens = tokenized(self.tokenizer, [form for form, _ in marked], offsets=True)
        budget = self.max_length - 2
        cls_id, sep_id = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        rows = []
        for (_, entity), ids, offsets in zip(
            marked, tokens["input_ids"], tokens["offset_mapping"], strict=True
        ):
            kept = list(range(min(budget, len(ids))))
            whole = Span(0, len(kept))
            if entity is not None:
                place = token_entity(entity, [one for one, _ in offsets], [e for _, e in offsets])
                kept = kept_around(len(ids), budget, place)
                whole = moved(place.outer, kept)
            # [SEP] where the tokenizer has dropped everything.
            span = Span(1 + whole.start, 1 + max(whole.end, whole.start + 1))
            row = [cls_id, *(ids[number] for number in kept), sep_id]
            rows.append(EncodedTarget(row, span, len(kept) < len(ids)))
        return rows
