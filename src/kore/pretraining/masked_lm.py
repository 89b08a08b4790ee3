"""A masked language model: any encoder AutoModelForMaskedLM knows, with the head it comes with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import ModernBertForMaskedLM, PreTrainedModel

from kore.network.dropout import replace_dropouts
from kore.network.encoder_pass import EncoderPass
from kore.network.modern_bert import is_global_modern_bert


class MaskedLanguageModel(nn.Module):
    """Scores of every token of the vocabulary, at the masked places alone.

    Args:
        whole: an encoder with its language-modelling head, as AutoModelForMaskedLM gives it.
        cls_id: of the token [CLS], where every text of a row has one and attends to itself alone,
            see `attends_to_texts`.
    """

    def __init__(self, whole: PreTrainedModel, cls_id: int | None = None) -> None:
        super().__init__()
        self._cls_id = cls_id
        replace_dropouts(whole)
        self.whole = whole
        self._head = _head(whole)
        self.run_encoder()

    def run_encoder(self, *, checkpointing: bool = False, compiled: bool = False) -> None:
        """Chooses how the encoder is run, see `EncoderPass`; the logits stay the same."""
        self._encoder_pass = EncoderPass(
            cast(PreTrainedModel, self.whole.base_model),
            checkpointing=checkpointing,
            compiled=compiled,
        )

    def forward(self, input_ids: Tensor, is_masked: Tensor, count: int) -> Tensor:
        """input_ids, is_masked (B, T), without padding -> logits (M, V) of the masked tokens.

        `count` is M, given so that a GPU need not be waited for; where it is more than there are
        masked tokens, the logits beyond them are of no token in particular.
        """
        attention_mask = torch.ones_like(is_masked)
        if self._cls_id is not None:
            text = (input_ids == self._cls_id).cumsum(dim=1)
            attention_mask = text[:, :, None] == text[:, None, :]
        if self._head is None:
            logits = self.whole(input_ids=input_ids, attention_mask=attention_mask.long()).logits
            return at_places(logits, is_masked, count)
        states, positions = self._encoder_pass(
            input_ids, attention_mask, is_masked, is_masked.numel()
        )
        if positions is not None:
            is_masked = is_masked.gather(1, positions)
        return self._head(at_places(states, is_masked, count))


def attends_to_texts(whole: PreTrainedModel) -> bool:
    """Whether the encoder takes a mask of which tokens of a row attend to which, at no cost.

    Its positions have to be relative as well, since a text may begin anywhere in a row.
    """
    return is_global_modern_bert(cast(PreTrainedModel, whole.base_model))


def at_places(states: Tensor, is_chosen: Tensor, count: int) -> Tensor:
    """states (B, T, H), is_chosen (B, T), True `count` times at most -> (count, H), in order."""
    places = torch.nonzero_static(is_chosen.flatten(), size=count).squeeze(1)
    return states.flatten(0, 1)[places]


def _head(whole: Any) -> Callable[[Tensor], Tensor] | None:
    """states (M, H) -> logits (M, V), or None where the head is unknown and the whole model runs.

    Each kind of encoder names its head differently.
    """
    if hasattr(whole, "generator_lm_head"):  # ELECTRA
        return lambda states: whole.generator_lm_head(whole.generator_predictions(states))
    if hasattr(whole, "lm_predictions"):  # DeBERTa as it was trained
        embeddings = whole.base_model.embeddings.word_embeddings
        return lambda states: whole.lm_predictions(states, embeddings)
    if isinstance(whole, ModernBertForMaskedLM):
        return lambda states: whole.decoder(whole.head(states))
    return getattr(whole, "lm_head", None) or getattr(whole, "cls", None)  # RoBERTa, BERT
