"""Encoder -> the tag of every character, and the entities that tags mark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from kore.common.arrays import Floats
from kore.data.ner import OUTSIDE
from kore.data.tagging import MOST_PLACES, UNKNOWN
from kore.network.encoder_pass import ReadTexts
from kore.network.heads import EncoderWithHead, make_head
from kore.network.ngrams import CharacterNgrams
from kore.network.positions import at_positions

_NEVER = -1e4  # the log-probability of what cannot be; finite, so that sums stay numbers


class Tagger(EncoderWithHead):
    """Any encoder with a head over each character: its token's state, and its place in the token.

    Args:
        encoder: gives `last_hidden_state` (B, T, H).
        num_tags: K.
        dropout: of the head.
        ngram_buckets: a linear model of so many n-grams around each character is added to the
            logits in evaluation mode, see ngrams.py; 0 = none.
    """

    def __init__(
        self, encoder: PreTrainedModel, num_tags: int, dropout: float, ngram_buckets: int = 0
    ) -> None:
        super().__init__(encoder)
        size = encoder.config.hidden_size
        self.places = nn.Embedding(MOST_PLACES + 1, size)
        nn.init.normal_(self.places.weight, std=0.02)
        self.head = make_head(size, size, num_tags, dropout)
        self.ngrams = CharacterNgrams(ngram_buckets, num_tags) if ngram_buckets else None
        # Added to the logit of O in evaluation mode; fitted on the validation texts, see
        # training/tagging.py.
        self.outside_bias: Tensor
        self.register_buffer("outside_bias", torch.zeros(()))

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        tokens: Tensor,
        places: Tensor,
        num_tokens: int | None = None,
        ngrams: Tensor | None = None,
    ) -> Tensor:
        """input_ids, attention_mask (B, T); tokens, places (B, S) -> logits (B, S, K).

        The arguments are those of `data.tagging.TextBatch`; a tagger without n-grams ignores them.
        The first tag is O, see `tags_for`.
        """
        # The head reads every token, so that states lie where their tokens do.
        states, _ = self._encoder_pass(input_ids, attention_mask, attention_mask, num_tokens)
        return self.tag(states, tokens, places, ngrams)

    def read_and_tag(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        tokens: Tensor,
        places: Tensor,
        ngrams: Tensor | None,
    ) -> tuple[Tensor, ReadTexts]:
        """The same, and what levitated markers attend to; of an encoder whose layers are known."""
        read = self._encoder_pass.read(input_ids, attention_mask)
        return self.tag(read.states, tokens, places, ngrams), read

    def tag(self, states: Tensor, tokens: Tensor, places: Tensor, ngrams: Tensor | None) -> Tensor:
        """states (B, T, H) -> logits (B, S, K); the other arguments are those of `forward`."""
        characters = at_positions(states, tokens) + self.places(places)
        logits: Tensor = self.head(characters)
        if self.training:
            return logits
        bias = functional.pad(self.outside_bias.float()[None], (0, logits.shape[-1] - 1))
        logits = logits.float() + bias
        if self.ngrams is not None:
            assert ngrams is not None
            logits = logits + self.ngrams(ngrams)
        return logits


class TagSets:
    """Which tags a target admits: 0 any, 1 to K one tag each, further ones a set of tags.

    A text whose entities are not all known says of its other characters that they may have any
    tag; one whose schema lacks a type, that "O" may be that type.

    Args:
        tags: all K of them, in the order of the model's outputs.
        sets: what further targets admit, K + 1 the first.
    """

    def __init__(self, tags: Sequence[str], sets: Sequence[Sequence[str]] = ()) -> None:
        number = {tag: place for place, tag in enumerate(tags)}
        table = torch.zeros(1 + len(tags) + len(sets), len(tags), dtype=torch.bool)
        table[UNKNOWN] = True
        for target, admitted in enumerate([*([tag] for tag in tags), *sets], start=1):
            table[target, [number[tag] for tag in admitted]] = True
        self.table = table  # (targets, K)

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits (B, S, K), targets (B, S) -> (B,): the mean over the characters that are known.

        Of each, minus the logarithm of the probability of all its target admits together: the
        cross-entropy, where that is one tag. In float32.
        """
        admitted = self.table.to(logits.device)[targets]
        log_probs = logits.float().log_softmax(dim=-1)
        losses = -log_probs.masked_fill(~admitted, -torch.inf).logsumexp(dim=-1)
        is_known = targets != UNKNOWN
        return (losses * is_known).sum(dim=1) / is_known.sum(dim=1).clamp(min=1)


def transitions(tags: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tags may be the first (K,), and which may follow which (K, K), as [before, behind].

    "I-PS" follows "B-PS" or "I-PS" alone.
    """
    kinds = [tag.partition("-")[2] for tag in tags]
    inside = np.asarray([tag.startswith("I-") for tag in tags])
    same = np.asarray([[one == other != "" for other in kinds] for one in kinds])
    return ~inside, ~inside[None, :] | same


def best_tags(log_probs: Floats, tags: Sequence[str]) -> list[str]:
    """The most probable tags that make entities, of the log-probabilities (S, K) of characters.

    Viterbi 1967; no learned weight stands between neighbours, only what can be.
    """
    first, behind = transitions(tags)
    cost = np.where(behind, 0.0, _NEVER)
    score = log_probs[0] + np.where(first, 0.0, _NEVER)
    pointers = np.empty(log_probs.shape, dtype=np.int64)
    for place in range(1, len(log_probs)):
        ways = score[:, None] + cost  # [before, behind]
        pointers[place] = ways.argmax(axis=0)
        score = ways.max(axis=0) + log_probs[place]
    chosen = [int(score.argmax())]
    for place in range(len(log_probs) - 1, 0, -1):
        chosen.append(int(pointers[place, chosen[-1]]))
    return [tags[number] for number in reversed(chosen)]


def tags_for(types: Sequence[str]) -> tuple[str, ...]:
    """All tags of a schema: O first, then B- and I- of each type."""
    return (OUTSIDE, *(f"{border}-{kind}" for kind in types for border in "BI"))
