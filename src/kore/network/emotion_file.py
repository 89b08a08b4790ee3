"""A classifier of many labels together with its encoding path, and the file that carries it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kore.data.targets import TargetEncoder
from kore.network.checkpoint import (
    TRAIN_AGAIN,
    check_keys,
    encoder_of,
    load_payload,
    put_weights,
    weights_and_config,
)
from kore.network.emotion import EmotionClassifier
from kore.network.trained import damage_as_user_error, make_tokenizer, tokenizer_as_texts

EMOTION_KIND = "kore-emotions"
_KEYS = (
    *("weights", "encoder_config", "tokenizer", "special_tokens", "labels", "pooling"),
    *("max_length", "remove_others", "cleansing", "options", "scores"),
)


@dataclass
class TrainedEmotions:
    """A classifier with all its encoding path needs; `labels` in the order of its outputs.

    `options` are the training options, `scores` those on the validation texts ({} before any).
    """

    model: EmotionClassifier
    encoder: TargetEncoder
    labels: tuple[str, ...]
    options: dict[str, Any]
    scores: dict[str, Any]


def emotion_payload(trained: TrainedEmotions) -> dict[str, Any]:
    """A classifier as tensors, texts and numbers, which `weights_only` loading admits."""
    return {
        **weights_and_config(trained.model),
        **tokenizer_as_texts(trained.encoder.tokenizer),
        "labels": list(trained.labels),
        "pooling": trained.model.pooling_name,
        "max_length": trained.encoder.max_length,
        "remove_others": trained.encoder.remove_others,
        "cleansing": trained.encoder.cleansing,
        "options": trained.options,
        "scores": trained.scores,
    }


def emotions_from_payload(path: Path, payload: dict[str, Any]) -> TrainedEmotions:
    """The reverse of `emotion_payload`.

    Raises:
        UserError: the payload is incomplete, or its weights do not fit; the message names `path`.
    """
    check_keys(path, payload, _KEYS)
    with damage_as_user_error(path, TRAIN_AGAIN):
        encoder, dropout = encoder_of(payload)
        model = EmotionClassifier(encoder, len(payload["labels"]), payload["pooling"], dropout)
        put_weights(path, payload, model.load_state_dict)
        tokenizer = make_tokenizer(payload["tokenizer"], payload["special_tokens"])
        target_encoder = TargetEncoder(
            tokenizer,
            payload["max_length"],
            remove_others=payload["remove_others"],
            cleansing=payload["cleansing"],
        )
        labels = tuple(payload["labels"])
        return TrainedEmotions(model, target_encoder, labels, payload["options"], payload["scores"])


def load_emotions(path: Path) -> TrainedEmotions:
    """Loads a checkpoint.

    Raises:
        UserError: it is missing, truncated, foreign, incomplete or of a newer format.
    """
    return emotions_from_payload(path, load_payload(path, EMOTION_KIND))
