"""Saving and loading, whole or not at all.

`models/<run_name>.pth` is one self-contained file: what it takes to encode a row as training did,
compute its probabilities and name the relations.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from dataset import InputEncoder
from errors import UserError
from files import atomic_write
from marking import MarkerScheme
from model import RelationClassifier, set_dropout
from schema import LabelMap

FORMAT_VERSION = 1
MODEL_KIND = "kore-model"
STATE_KIND = "kore-training-state"
_MODEL_KEYS = (
    "weights",
    "encoder_config",
    "tokenizer",
    "special_tokens",
    "labels",
    "no_relation",
    "markers",
    "pooling",
    "max_length",
    "options",
    "scores",
)


@dataclass
class TrainedModel:
    """A model with everything its encoding path needs.

    `options` are the training flags, `scores` those on the validation rows ({} before any).
    """

    model: RelationClassifier
    input_encoder: InputEncoder
    labels: LabelMap
    options: dict[str, Any]
    scores: dict[str, Any]


def save_model(path: Path, trained: TrainedModel) -> None:
    """Writes a checkpoint; an earlier one at `path` survives any failure.

    Raises:
        UserError: the file cannot be written.
    """
    save_payload(path, MODEL_KIND, model_payload(trained))


def load_model(path: Path) -> TrainedModel:
    """Reads a checkpoint.

    Raises:
        UserError: it is missing, truncated, foreign, incomplete or of a newer format.
    """
    return model_from_payload(path, load_payload(path, MODEL_KIND))


def model_payload(trained: TrainedModel) -> dict[str, Any]:
    """A model as tensors, texts and numbers, which `weights_only` loading admits."""
    config = trained.model.encoder.config.to_json_string(use_diff=False)
    tokenizer = trained.input_encoder.tokenizer
    return {
        "weights": {name: weight.cpu() for name, weight in trained.model.state_dict().items()},
        "encoder_config": json.loads(config),
        "tokenizer": tokenizer.backend_tokenizer.to_str(),
        "special_tokens": dict(tokenizer.special_tokens_map),
        "labels": list(trained.labels.names),
        "no_relation": trained.labels.no_relation,
        "markers": {
            **asdict(trained.input_encoder.scheme),
            "types": list(trained.input_encoder.scheme.types),
        },
        "pooling": trained.model.pooling_name,
        "max_length": trained.input_encoder.max_length,
        "options": trained.options,
        "scores": trained.scores,
    }


def model_from_payload(path: Path, payload: dict[str, Any]) -> TrainedModel:
    """The reverse of `model_payload`; `path` is named in errors."""
    missing = [key for key in _MODEL_KEYS if key not in payload]
    if missing:
        raise UserError(f"{path}: the checkpoint lacks {', '.join(missing)}; train it again")
    labels = LabelMap(tuple(payload["labels"]), payload["no_relation"])
    config = dict(payload["encoder_config"])
    encoder = AutoModel.from_config(AutoConfig.for_model(**config), dtype=torch.float32)
    dropout = payload["options"].get("dropout", 0.0)
    set_dropout(encoder, dropout)
    model = RelationClassifier(encoder, len(labels), payload["pooling"], dropout)
    try:
        model.load_state_dict(payload["weights"])
    except RuntimeError as error:
        raise UserError(
            f"{path}: the weights do not fit the model the checkpoint describes "
            f"({' '.join(str(error).split())[:200]}); train it again"
        ) from error
    markers = {**payload["markers"], "types": tuple(payload["markers"]["types"])}
    tokenizer = _tokenizer(payload["tokenizer"], payload["special_tokens"])
    return TrainedModel(
        model=model,
        input_encoder=InputEncoder(tokenizer, MarkerScheme(**markers), payload["max_length"]),
        labels=labels,
        options=payload["options"],
        scores=payload["scores"],
    )


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


def load_payload(path: Path, kind: str) -> dict[str, Any]:
    """Reads what `save_payload` wrote; nothing in the file is executed.

    Raises:
        UserError: it is missing, truncated, foreign or of a newer format.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    # Ignored: torch's warning of the pickle protocol of a foreign file.
    with path.open("rb") as file, warnings.catch_warnings(action="ignore"):
        try:
            payload = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes make the readers raise almost anything
            raise UserError(
                f"{path}: not a whole KoRE checkpoint: truncated, or written by another program"
            ) from error
    if not isinstance(payload, dict) or payload.get("kind") != kind:
        raise UserError(f"{path}: not a {kind} file; name a models/RUN_NAME.pth")
    if payload.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path}: format {payload.get('format_version')}, but this version of KoRE reads "
            f"{FORMAT_VERSION}; update KoRE"
        )
    return payload


def newest_model(model_dir: Path) -> Path:
    """The checkpoint that was written last.

    Raises:
        UserError: the folder holds none.
    """
    found = sorted(model_dir.glob("*.pth"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(f"{model_dir}: no checkpoint (*.pth) here; run src/train.py first")
    return found[-1]


def _tokenizer(serialized: str, special_tokens: dict[str, str]) -> PreTrainedTokenizerBase:
    """A fast tokenizer as it was; its class does not matter, all it does stands in the JSON."""
    tokenizer = Tokenizer.from_str(serialized)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special_tokens)
