"""A tagger together with its encoding path and its tags, and the checkpoint that carries it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kore.data.tagging import TextEncoder
from kore.network.checkpoint import (
    check_keys,
    encoder_of,
    load_payload,
    put_weights,
    weights_and_config,
)
from kore.network.tagger import Tagger
from kore.network.trained import make_tokenizer

TAGGER_KIND = "kore-tagger"
_KEYS = (
    "weights",
    "encoder_config",
    "tokenizer",
    "special_tokens",
    "tags",
    "max_length",
    "options",
    "scores",
)


@dataclass
class TrainedTagger:
    """A tagger with all its encoding path needs; `tags` in the order of its outputs.

    `options` are the training options, `scores` those on the validation texts ({} before any).
    """

    model: Tagger
    encoder: TextEncoder
    tags: tuple[str, ...]
    options: dict[str, Any]
    scores: dict[str, Any]

    @property
    def types(self) -> tuple[str, ...]:
        """The entity types that it finds."""
        return tuple(tag[2:] for tag in self.tags if tag.startswith("B-"))


def tagger_payload(trained: TrainedTagger) -> dict[str, Any]:
    """A tagger as tensors, texts and numbers, which `weights_only` loading admits."""
    tokenizer = trained.encoder.tokenizer
    return {
        **weights_and_config(trained.model),
        "tokenizer": tokenizer.backend_tokenizer.to_str(),
        "special_tokens": dict(tokenizer.special_tokens_map),
        "tags": list(trained.tags),
        "max_length": trained.encoder.max_length,
        "options": trained.options,
        "scores": trained.scores,
    }


def tagger_from_payload(path: Path, payload: dict[str, Any]) -> TrainedTagger:
    """The reverse of `tagger_payload`.

    Raises:
        UserError: the payload is incomplete, or its weights do not fit; the message names `path`.
    """
    check_keys(path, payload, _KEYS)
    encoder, dropout = encoder_of(payload)
    model = Tagger(encoder, len(payload["tags"]), dropout)
    put_weights(path, payload, model.load_state_dict)
    tokenizer = make_tokenizer(payload["tokenizer"], payload["special_tokens"])
    return TrainedTagger(
        model=model,
        encoder=TextEncoder(tokenizer, payload["max_length"]),
        tags=tuple(payload["tags"]),
        options=payload["options"],
        scores=payload["scores"],
    )


def load_tagger(path: Path) -> TrainedTagger:
    """Loads a checkpoint of a tagger.

    Raises:
        UserError: it is missing, truncated, foreign, incomplete or of a newer format.
    """
    return tagger_from_payload(path, load_payload(path, TAGGER_KIND))
