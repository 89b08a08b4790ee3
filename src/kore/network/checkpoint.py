"""Saving and loading checkpoints, whole or not at all.

`models/<run_name>.pth` is one self-contained file: all it takes to encode an example as training
did, compute its probabilities and name the relations.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel

from kore.common.errors import UserError
from kore.common.files import atomic_write
from kore.network.hf_folder import load_folder
from kore.network.model import RelationClassifier
from kore.network.onnx_file import load_onnx
from kore.network.pretrained import set_dropout
from kore.network.trained import (
    DESCRIPTION_KEYS,
    TrainedModel,
    damage_as_user_error,
    describe,
    design_of,
    from_description,
    is_readable,
)

_LOADING = threading.Lock()
# 2 may have a design and a cue sentence, 3 has class shares, 4 n-grams, 5 levitated markers,
# 6 taggers with n-grams, or levitated markers joined by the tokens of their entities
FORMAT_VERSION = 6
MODEL_KIND = "kore-model"
STATE_KIND = "kore-training-state"
TRAIN_AGAIN = "train it again"
_MODEL_KEYS = ("weights", "encoder_config", *DESCRIPTION_KEYS)


def save_model(path: Path, trained: TrainedModel) -> None:
    """Writes a checkpoint; where that fails, an earlier one at `path` stays as it was.

    Raises:
        UserError: the file cannot be written.
    """
    save_payload(path, MODEL_KIND, model_payload(trained))


def load_model(path: Path) -> TrainedModel:
    """Loads a checkpoint, or what was exported from one: a folder or an ONNX file.

    Raises:
        UserError: it is missing, truncated, foreign, incomplete or of a newer format.
    """
    if path.is_dir():
        return load_folder(path)
    if path.suffix == ".onnx":
        return load_onnx(path)
    return model_from_payload(path, load_payload(path, MODEL_KIND))


def model_payload(trained: TrainedModel) -> dict[str, Any]:
    """A model as tensors, texts and numbers, which `weights_only` loading admits.

    Raises:
        UserError: its weights are in an ONNX file, out of reach of torch.
    """
    return {**weights_and_config(trained.classifier), **describe(trained)}


def weights_and_config(model: Any) -> dict[str, Any]:
    """The weights of a model that has an `encoder`, and how to make that again."""
    return {
        "weights": {name: weight.cpu() for name, weight in model.state_dict().items()},
        "encoder_config": json.loads(model.encoder.config.to_json_string(use_diff=False)),
    }


def encoder_of(payload: dict[str, Any]) -> tuple[PreTrainedModel, float]:
    """The encoder that a payload describes, with random weights, and its dropout."""
    config = AutoConfig.for_model(**payload["encoder_config"])
    encoder = AutoModel.from_config(config, dtype=torch.float32)
    dropout = payload["options"].get("dropout", 0.0)
    set_dropout(encoder, dropout)
    return encoder, dropout


def put_weights(path: Path, payload: dict[str, Any], load: Callable[[Any], object]) -> None:
    """Gives `load` the weights of a payload.

    Raises:
        UserError: they do not fit; the message names `path`.
    """
    try:
        load(payload["weights"])
    except RuntimeError as error:
        raise UserError(
            f"{path}: the weights do not fit the model the checkpoint describes "
            f"({' '.join(str(error).split())[:200]}); train it again"
        ) from error


def check_keys(path: Path, payload: dict[str, Any], keys: Iterable[str]) -> None:
    """Raises UserError where a payload lacks some of `keys`."""
    missing = [key for key in keys if key not in payload]
    if missing:
        raise UserError(f"{path}: the checkpoint lacks {', '.join(missing)}; train it again")


def model_from_payload(path: Path, payload: dict[str, Any]) -> TrainedModel:
    """The reverse of `model_payload`.

    Raises:
        UserError: the payload is incomplete, or its weights do not fit; the message names `path`.
    """
    check_keys(path, payload, _MODEL_KEYS)
    with damage_as_user_error(path, TRAIN_AGAIN):
        encoder, dropout = encoder_of(payload)
        model = RelationClassifier(
            encoder, len(payload["labels"]), payload["pooling"], dropout, design_of(payload)
        )
        put_weights(path, payload, model.load_weights)
        return from_description(model, payload)


def save_payload(path: Path, kind: str, payload: dict[str, Any]) -> None:
    """Writes `payload` with its kind and format version.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_write(path, "wb") as file:
        try:
            torch.save({"kind": kind, "format_version": FORMAT_VERSION, **payload}, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch hides a full disk behind its own
                raise error.__context__ from None
            raise


def kind_of(path: Path) -> str | None:
    """What kind of checkpoint a file is, without its weights; None where it is unknown."""
    with _LOADING, warnings.catch_warnings(action="ignore"):
        try:
            payload = torch.load(path, map_location="meta", weights_only=True)
        except Exception:  # damaged bytes make the readers raise almost anything
            return None
    return payload.get("kind") if isinstance(payload, dict) else None


def load_payload(path: Path, kind: str) -> dict[str, Any]:
    """Reads what `save_payload` wrote; nothing in the file is executed.

    Raises:
        UserError: it is missing, truncated, foreign or of a newer format.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    # Ignored: torch's warning of the pickle protocol of a foreign file. The filters belong to the
    # process: two threads that changed them at once could leave them changed.
    with _LOADING, path.open("rb") as file, warnings.catch_warnings(action="ignore"):
        try:
            payload = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes make the readers raise almost anything
            raise UserError(
                f"{path}: not a whole KoRE checkpoint: truncated, or written by another program"
            ) from error
    if not isinstance(payload, dict) or payload.get("kind") != kind:
        raise UserError(f"{path}: not a {kind} file; name a models/RUN_NAME.pth")
    if not is_readable(payload.get("format_version"), FORMAT_VERSION):
        raise UserError(
            f"{path}: format {payload.get('format_version')}, but this version of KoRE reads "
            f"{FORMAT_VERSION}; update KoRE"
        )
    return payload
