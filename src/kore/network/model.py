"""Encoder -> pooled entity representation -> logits. The loss is elsewhere.

To add a pooling, write a module (hidden, mask) -> vector, name it in `pooling.POOLINGS` and among
the choices of the option `span_pooling`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from kore.data.levitated import PAIR_MARKERS
from kore.network.encoder_pass import ALL_LAYERS, ReadTexts
from kore.network.heads import EncoderWithHead, make_head
from kore.network.ngrams import NgramHead
from kore.network.pooling import CLS_ONLY, POOLINGS, span_mask
from kore.network.positions import at_positions

NONE, BOTH = "none", "both"  # when types restrict the relations; otherwise at inference alone


@dataclass(frozen=True)
class ModelDesign:
    """What a classifier may have beside encoder, pooling and head. A checkpoint carries it.

    last_layers: the states of so many of the encoder's last layers are concatenated.
    bilstm: a bidirectional LSTM reads the states before they are pooled.
    num_types: entity types known in training; only needed by what follows.
    type_embedding: each type, as subject and as object, has a vector of its own, which is added
        to the word embeddings of the entity.
    type_restriction: when relations that no training example has between entities of such types
        are ruled out: "none", "inference", or "both" for training and inference.
    ngram_buckets: a linear model of n-grams, so many for a field, is added to the logits in
        evaluation mode, see ngrams.py; 0 = none.
    entity_states: levitated markers are joined by the mean of the states of their entity's tokens.
    pair_layers: in so many of the last layers the levitated markers of a pair attend to each other.
    """

    last_layers: int = 1
    bilstm: bool = False
    num_types: int = 0
    type_embedding: bool = False
    type_restriction: str = NONE
    ngram_buckets: int = 0
    entity_states: bool = False
    pair_layers: int = ALL_LAYERS


PLAIN = ModelDesign()
RULED_OUT = -20.0  # below the allowed logits together: as good as never, yet the loss is finite


class RelationClassifier(EncoderWithHead):
    """Any encoder with a head over `[CLS]`, or over `[CLS]`, subject and object concatenated.

    Args:
        encoder: gives `last_hidden_state` (B, T, H).
        num_labels: C, the number of relations.
        pooling: a name in `POOLINGS`, or "cls" for `[CLS]` alone.
        dropout: of the head.
        design: what else the classifier has.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        num_labels: int,
        pooling: str,
        dropout: float,
        design: ModelDesign = PLAIN,
    ) -> None:
        super().__init__(encoder, design.last_layers, design.pair_layers)
        hidden_size = encoder.config.hidden_size
        state_size = hidden_size * design.last_layers
        self.design = design
        self.lstm = None
        if design.bilstm:
            self.lstm = BiLSTM(state_size, hidden_size // 2)
            state_size = hidden_size // 2 * 2
        self.pooling_name = pooling
        self.pooling = None if pooling == CLS_ONLY else POOLINGS[pooling](state_size)
        vectors = 0
        if self.pooling is not None:
            vectors = getattr(self.pooling, "vectors", 1) + design.entity_states
        joined_size = state_size * (1 + 2 * vectors)
        self.head = make_head(joined_size, hidden_size, num_labels, dropout)
        # Divides the logits in evaluation mode; fitted on the validation examples (Guo et al. 2017,
        # "On Calibration of Modern Neural Networks").
        self.temperature: Tensor
        self.register_buffer("temperature", torch.ones(()))
        # Added to those logits: the class shares that are expected against those of training, see
        # label_shift.log_odds.
        self.log_odds: Tensor
        self.register_buffer("log_odds", torch.zeros(num_labels))
        self.type_embedding = None
        if design.type_embedding:
            words: Any = encoder.get_input_embeddings()
            embedding_size: int = words.embedding_dim
            self.type_embedding = nn.Embedding(2 * (design.num_types + 1), embedding_size)
            nn.init.zeros_(self.type_embedding.weight)  # at first the embeddings are unchanged
        # (types, types, C): may a relation hold between a subject and an object of these types?
        self.allowed: Tensor | None
        types = design.num_types + 1
        everything = torch.ones(types, types, num_labels).bool()
        self.register_buffer("allowed", None if design.type_restriction == NONE else everything)
        self.ngrams = None
        if design.ngram_buckets:
            self.ngrams = NgramHead(design.ngram_buckets, num_labels)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        subject_span: Tensor,
        object_span: Tensor,
        num_tokens: int | None = None,
        entity_types: Tensor | None = None,
        ngrams: Tensor | None = None,
        borders: Tensor | None = None,
    ) -> Tensor:
        """input_ids, attention_mask (B, T); spans (B, 2), half-open -> logits (B, C).

        Args:
            num_tokens: the sum of `attention_mask`; lets a GPU run the rows without their padding.
            entity_types: (B, 2), of subject and object, counted from 1; 0 and None = unknown.
            ngrams: (B, F), counted from 1, 0 on padding; a model without n-grams ignores them.
            borders: (B, 4 P), positions of the last 4 P tokens, which are levitated markers of P
                pairs. Logits, types and n-grams then have B * P rows; the spans are not read.
        """
        if entity_types is None:
            entity_types = torch.zeros_like(subject_span)
        if borders is None:
            pooled = self._pooled(
                input_ids, attention_mask, subject_span, object_span, num_tokens, entity_types
            )
        else:
            text, markers = self._encoder_pass.with_markers(input_ids, attention_mask, borders)
            pooled = self._pooled_markers(text, markers, borders)
        return self._logits(pooled, entity_types, ngrams)

    def mark(
        self,
        texts: ReadTexts,
        marker_ids: Tensor,
        borders: Tensor,
        entity_types: Tensor,
        ngrams: Tensor | None,
    ) -> Tensor:
        """The logits (B * P, C) of pairs in texts that this encoder has read already.

        Args:
            marker_ids: (B, 4 P), the levitated markers; the other arguments are those of `forward`.
        """
        markers = self._encoder_pass.mark(texts, marker_ids, borders)
        pooled = self._pooled_markers(texts.states, markers, borders)
        return self._logits(pooled, entity_types, ngrams)

    def _logits(self, pooled: list[Tensor], entity_types: Tensor, ngrams: Tensor | None) -> Tensor:
        logits = self.head(torch.cat(pooled, dim=-1))
        if not self.training:
            logits = logits.float()
            if self.ngrams is not None:
                assert ngrams is not None
                logits = logits + self.ngrams(ngrams)
        if self.allowed is not None and (not self.training or self.design.type_restriction == BOTH):
            logits = restricted(logits, self.allowed[entity_types[:, 0], entity_types[:, 1]])
        return logits if self.training else logits / self.temperature + self.log_odds

    def _pooled(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        subject_span: Tensor,
        object_span: Tensor,
        num_tokens: int | None,
        entity_types: Tensor,
    ) -> list[Tensor]:
        """[CLS], subject and object, each (B, H)."""
        masks = [span_mask(span, input_ids.shape[1]) for span in (subject_span, object_span)]
        query_mask = _first_token(attention_mask)
        if self.pooling is not None:
            query_mask = functools.reduce(torch.logical_or, masks, query_mask)
        if self.lstm is not None:
            query_mask = attention_mask
        added = self.type_states(entity_types, subject_span, object_span, input_ids.shape[1])
        states, positions = self._encoder_pass(
            input_ids, attention_mask, query_mask, num_tokens, added
        )
        if positions is not None:
            masks = [mask.gather(1, positions) for mask in masks]
        if self.lstm is not None:
            states = self.lstm(states, attention_mask.sum(dim=1))
        pooled = [states[:, 0]]  # [CLS]
        if self.pooling is not None:
            pooled += [self.pooling(states, mask) for mask in masks]
        return pooled

    def _pooled_markers(self, text: Tensor, markers: Tensor, borders: Tensor) -> list[Tensor]:
        """[CLS], the levitated markers of subject and object, and their tokens, each (B * P, H).

        text (B, T, H), markers (B, 4 P, H) and borders (B, 4 P).
        """
        assert self.pooling is not None
        pairs = markers.unflatten(1, (-1, PAIR_MARKERS))  # (B, P, 4, H)
        cls = text[:, :1].expand(-1, pairs.shape[1], -1)
        pairs = pairs.flatten(0, 1)
        is_subject = torch.arange(PAIR_MARKERS, device=pairs.device) < PAIR_MARKERS // 2
        masks = [mask.expand(pairs.shape[0], -1) for mask in (is_subject, ~is_subject)]
        pooled = [cls.flatten(0, 1), *(self.pooling(pairs, mask) for mask in masks)]
        if self.design.entity_states:
            entities = means_between(text, borders.unflatten(1, (-1, 2)))  # (B, 2 P, H)
            pooled += entities.unflatten(1, (-1, 2)).flatten(0, 1).unbind(1)
        return pooled

    def type_states(
        self, entity_types: Tensor | None, subject_span: Tensor, object_span: Tensor, length: int
    ) -> Tensor | None:
        """What is added to the word embeddings of T = `length` tokens: (B, T, E), or None.

        The other arguments are those of `forward`.
        """
        if self.type_embedding is None or entity_types is None:
            return None
        masks = [span_mask(span, length) for span in (subject_span, object_span)]
        offset = torch.arange(2, device=entity_types.device) * (self.design.num_types + 1)
        vectors = self.type_embedding(entity_types + offset)  # (B, 2, E)
        return (torch.stack(masks, dim=-1)[..., None] * vectors[:, None]).sum(dim=2)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Loads the weights of a checkpoint; old ones have no temperature or no class shares.

        Raises:
            RuntimeError: they do not fit.
        """
        absent = {"temperature": torch.ones(()), "log_odds": torch.zeros_like(self.log_odds)}
        self.load_state_dict({**absent, **weights})


class BiLSTM(nn.Module):
    """An LSTM for each direction over rows padded at the end, in float32.

    torch's bidirectional LSTM needs such rows packed, and then fills a tensor of all tokens with
    zeros for every token in the backward pass on a CPU. Here the second LSTM reads the rows
    reversed.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.forwards = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.backwards = nn.LSTM(input_size, hidden_size, batch_first=True)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """states (B, T, H), lengths (B,) in tokens -> (B, T, 2 H'), anything for padding."""
        positions = torch.arange(states.shape[1], device=states.device)
        from_end = lengths[:, None] - 1 - positions
        reversed_ = torch.where(from_end >= 0, from_end, positions)
        # cuDNN gives no gradients of an LSTM in evaluation mode, which explanations need.
        is_explained = torch.is_grad_enabled() and not self.training
        without_cudnn = torch.backends.cudnn.flags(enabled=False) if is_explained else nullcontext()
        with torch.autocast(states.device.type, enabled=False), without_cudnn:
            states = states.float()
            left, _ = self.forwards(states)
            right, _ = self.backwards(at_positions(states, reversed_))
        return torch.cat([left, at_positions(right, reversed_)], dim=-1)


def means_between(states: Tensor, borders: Tensor) -> Tensor:
    """states (B, T, H), borders (B, E, 2), first and last token of each span -> means (B, E, H).

    By differences of running sums, so that spans may be many and of any length.
    """
    sums = functional.pad(states.float().cumsum(dim=1), (0, 0, 1, 0))
    first, last = borders.unbind(dim=-1)
    totals = at_positions(sums, last + 1) - at_positions(sums, first)
    return (totals / (last + 1 - first)[..., None]).to(states.dtype)


def restricted(logits: Tensor, allowed: Tensor) -> Tensor:
    """logits (B, C) where relations that are not allowed (B, C) lie far below the others.

    Their probability is e^RULED_OUT whatever the others are, so that a smoothed loss, which spreads
    its target over them too, has no gradient from them.
    """
    others = logits.masked_fill(~allowed, -torch.inf).logsumexp(dim=1, keepdim=True)
    return torch.where(allowed, logits, (others + RULED_OUT).to(logits.dtype))


def _first_token(attention_mask: Tensor) -> Tensor:
    """(B, T), True at position 0."""
    return (torch.arange(attention_mask.shape[1], device=attention_mask.device) == 0).expand(
        attention_mask.shape
    )
