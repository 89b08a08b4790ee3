"""Pretrained encoders: loading, dropout, marker tokens, positions."""

from __future__ import annotations

from typing import Any

import torch
from huggingface_hub.utils import logging as hub_logging
from tokenizers import AddedToken
from torch import nn
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from kore.common.errors import EncoderUnavailableError, UnfitError
from kore.common.flags import MINI


def load_pretrained(
    name_or_path: str, dropout: float, kind: Any = AutoModel
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """An encoder in float32 and its tokenizer, from a folder, the hub's cache or the hub.

    Args:
        kind: one of transformers' AutoModel classes; all but AutoModel have a head of their own.

    Raises:
        EncoderUnavailableError: it can be had from none of them, or is no encoder AutoModel knows.
    """
    silence_hf_logging()
    try:
        encoder = kind.from_pretrained(name_or_path, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(name_or_path)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EncoderUnavailableError(
            f"`model_name_or_path` {name_or_path}: no encoder of that name in a folder, in the "
            f"cache or on the hub ({reason}); check the name, fetch the model once while "
            f"connected, or pass `model_name_or_path` {MINI}"
        ) from error
    set_dropout(encoder, dropout)
    return encoder, tokenizer


def silence_hf_logging() -> None:
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


def check_positions(encoder: PreTrainedModel, max_length: int, name: str) -> None:
    """Raises UnfitError where the encoder, called `name`, has too few positions for a row."""
    most = max_positions(encoder)
    if most is not None and max_length > most:
        raise UnfitError(
            f"`max_length` {max_length}, but {name} has positions for {most} tokens; pass "
            f"`max_length` {most} or less"
        )


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
