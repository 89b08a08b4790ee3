"""Encoder -> pooled entity representation -> logits. The loss is elsewhere.

To add a pooling, write a module of (hidden, mask) -> vector and name it in `POOLINGS`;
`--span_pooling` offers it once it stands in config.py's choices.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from huggingface_hub.utils import logging as hub_logging
from tokenizers import AddedToken
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from config import MINI
from dropout import Dropout, replace_dropouts
from encoder_pass import EncoderPass
from errors import UserError


class EncoderUnavailableError(UserError):
    """The pretrained encoder that was named cannot be had."""


class MeanPooling(nn.Module):
    """Mean of a span's states."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (B, T, H), mask (B, T) True in the span -> (B, H)."""
        weights = mask.to(hidden.dtype)[:, :, None]
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


class MaxPooling(nn.Module):
    """The largest value a span's states have in each dimension."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (B, T, H), mask (B, T) True in the span -> (B, H)."""
        return hidden.masked_fill(~mask[:, :, None], -torch.inf).amax(dim=1)


class StartPooling(nn.Module):
    """The state of a span's first token: the start marker, where there are markers."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (B, T, H), mask (B, T) True in the span -> (B, H)."""
        first = mask.long().argmax(dim=1)
        return hidden[torch.arange(len(hidden), device=hidden.device), first]


class AttentionPooling(nn.Module):
    """A span's states weighed by learned scores, softmax over the span."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.score = nn.Linear(hidden_size, 1)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (B, T, H), mask (B, T) True in the span -> (B, H)."""
        scores = self.score(hidden).squeeze(-1).float().masked_fill(~mask, -torch.inf)
        weights = scores.softmax(dim=1).to(hidden.dtype)
        return (hidden * weights[:, :, None]).sum(dim=1)


POOLINGS: dict[str, type[nn.Module]] = {
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": AttentionPooling,
    "start": StartPooling,
}
CLS_ONLY = "cls"  # the name of "no span pooling" in a checkpoint


class RelationClassifier(nn.Module):
    """Any encoder with a head over `[CLS]`, or over `[CLS]`, subject and object spans joined.

    Args:
        encoder: gives `last_hidden_state` (B, T, H).
        num_labels: C, the number of relations.
        pooling: a name in `POOLINGS`, or "cls" for `[CLS]` alone.
        dropout: of the head.
    """

    def __init__(
        self, encoder: PreTrainedModel, num_labels: int, pooling: str, dropout: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        if getattr(encoder, "pooler", None) is not None:
            # Unused, and weights without a gradient stop several processes.
            encoder.register_module("pooler", None)
        hidden_size = encoder.config.hidden_size
        self.pooling_name = pooling
        self.pooling = None if pooling == CLS_ONLY else POOLINGS[pooling](hidden_size)
        joined_size = hidden_size if self.pooling is None else 3 * hidden_size
        self.head = nn.Sequential(
            Dropout(dropout),
            nn.Linear(joined_size, hidden_size),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(hidden_size, num_labels),
        )
        # Divides the logits of a model in evaluation mode; fitted on validation rows (Guo et al.
        # 2017, "On Calibration of Modern Neural Networks"). The largest one stays the largest.
        self.temperature: Tensor
        self.register_buffer("temperature", torch.ones(()))
        replace_dropouts(encoder)
        self.run_encoder()

    def run_encoder(self, *, checkpointing: bool = False, compiled: bool = False) -> None:
        """Chooses how the encoder is run, see `EncoderPass`; the logits stay the same."""
        self._encoder_pass = EncoderPass(
            self.encoder, checkpointing=checkpointing, compiled=compiled
        )

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        subject_span: Tensor,
        object_span: Tensor,
        num_tokens: int | None = None,
    ) -> Tensor:
        """input_ids, attention_mask (B, T); spans (B, 2), half-open -> logits (B, C).

        `num_tokens`, the sum of `attention_mask`, lets a GPU run the rows without their padding.
        """
        masks = []
        if self.pooling is not None:
            masks = [span_mask(span, input_ids.shape[1]) for span in (subject_span, object_span)]
        read = functools.reduce(torch.logical_or, masks, _first_token(attention_mask))
        states, positions = self._encoder_pass(input_ids, attention_mask, read, num_tokens)
        if positions is not None:
            masks = [mask.gather(1, positions) for mask in masks]
        pooled = [states[:, 0]]  # [CLS]
        if self.pooling is not None:
            pooled += [self.pooling(states, mask) for mask in masks]
        logits = self.head(torch.cat(pooled, dim=-1))
        return logits if self.training else logits.float() / self.temperature

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Takes the weights of a checkpoint; one made before 0.3 has no temperature.

        Raises:
            RuntimeError: they do not fit.
        """
        self.load_state_dict({"temperature": torch.ones(()), **weights})


def _first_token(attention_mask: Tensor) -> Tensor:
    """(B, T), True at position 0."""
    return (torch.arange(attention_mask.shape[1], device=attention_mask.device) == 0).expand(
        attention_mask.shape
    )


def span_mask(span: Tensor, length: int) -> Tensor:
    """(B, 2) half-open spans -> (B, length), True inside."""
    positions = torch.arange(length, device=span.device)
    return (positions >= span[:, :1]) & (positions < span[:, 1:])


def load_pretrained(
    name_or_path: str, dropout: float, kind: Any = AutoModel
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """An encoder in float32 and its tokenizer, from a folder, the hub's cache or the hub.

    Args:
        kind: one of transformers' AutoModel classes; all but AutoModel have a head of their own.

    Raises:
        EncoderUnavailableError: it can be had from none of them, or is no encoder AutoModel knows.
    """
    quieten_libraries()
    try:
        encoder = kind.from_pretrained(name_or_path, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(name_or_path)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EncoderUnavailableError(
            f"--model_name_or_path {name_or_path}: no encoder of that name in a folder, in the "
            f"cache or on the hub ({reason}); check the name, fetch the model once while "
            f"connected, or pass --model_name_or_path {MINI}"
        ) from error
    set_dropout(encoder, dropout)
    return encoder, tokenizer


def quieten_libraries() -> None:
    """Silences reports of unused weights and of retries; what goes wrong is raised to us."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    hub_logging.set_verbosity_error()


def set_dropout(encoder: PreTrainedModel, dropout: float) -> None:
    """Sets every dropout inside the encoder, in its modules and in its config."""
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if hasattr(encoder.config, name):
            setattr(encoder.config, name, dropout)
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout


def add_marker_tokens(
    encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: list[str]
) -> None:
    """Gives `tokens` ids and embeddings of their own (drawn around the mean of the others).

    They are found in the raw text, before any normalisation, and are not "special" tokens: what
    looks like "[SEP]" in a user's sentence can stay ordinary text.
    """
    if tokenizer.add_tokens([AddedToken(token, normalized=False) for token in tokens]):
        encoder.resize_token_embeddings(len(tokenizer))


def max_positions(encoder: PreTrainedModel) -> int | None:
    """Most tokens the encoder has positions for; None where positions are relative.

    RoBERTa counts positions from its padding index on, so the first ones are never used.
    """
    embeddings = getattr(encoder, "embeddings", None)
    embedding = getattr(embeddings, "position_embeddings", None)
    if not isinstance(embedding, nn.Embedding):
        return None
    unused = 0 if embedding.padding_idx is None else embedding.padding_idx + 1
    return embedding.num_embeddings - unused
