"""A trained model as a folder in the layout of Hugging Face.

    config.json, model.safetensors           the encoder, as AutoModel loads it
    tokenizer.json, tokenizer_config.json    the tokenizer, as AutoTokenizer loads it
    head.safetensors                         pooling and head, KoRE's own
    kore.json                                relations, markers, max_length, options, scores
    README.md                                the model card

Nothing in such a folder is executed when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, PreTrainedModel

from kore.common.errors import UserError
from kore.common.files import atomic_folder
from kore.network.model import RelationClassifier
from kore.network.model_card import model_card
from kore.network.pretrained import (
    max_positions,
    set_dropout,
    silenced_hf_logging,
    wrong_weights,
)
from kore.network.trained import (
    DESCRIPTION_KEYS,
    TrainedModel,
    check_format,
    describe,
    design_of,
    from_description,
    make_tokenizer,
    published,
)

FORMAT_VERSION = 5  # 3 has expected class shares, 4 may have n-grams, 5 levitated markers
KIND, TAGGER_KIND = "kore-folder", "kore-tagger-folder"
_OWN_FILE = "kore.json"
_FILES = (_OWN_FILE, "config.json", "model.safetensors", "head.safetensors", "tokenizer.json")
_UNUSED = "pooler."  # BERT-like encoders come with it, RelationClassifier drops it
_REMEDY = "export it again"
ModelT = TypeVar("ModelT")


def save_folder(path: Path, trained: TrainedModel, half: bool = False) -> None:
    """Writes the folder whole or not at all.

    Args:
        half: weights in half precision (float16), which take half the space.

    Raises:
        UserError: something else stands at `path`, it cannot be written, or `trained` is from an
            ONNX file.
    """
    own = {"kind": KIND, "format_version": FORMAT_VERSION, **describe(trained)}
    card = model_card(path.name, trained)
    write_folder(path, trained.classifier, own, trained.labels.names, card, half)


def write_folder(
    path: Path, model: Any, own: dict[str, Any], labels: tuple[str, ...], card: str, half: bool
) -> None:
    """Writes a model of any task.

    Args:
        model: has an `encoder`; all its other weights are the head.
        own: what KoRE reads: kind, format version, and the description with its tokenizer.
        labels: names of the outputs, for transformers.

    Raises:
        UserError: as `save_folder`.
    """
    check_target(path)
    own = published(own)
    tokenizer = make_tokenizer(own.pop("tokenizer"), own["special_tokens"])
    tokenizer.model_max_length = max_positions(model.encoder) or own["max_length"]
    head = {
        name: weight.detach().cpu().contiguous()
        for name, weight in stored(model.state_dict(), half).items()
        if not name.startswith("encoder.")
    }
    with atomic_folder(path) as folder:
        try:
            _save_encoder(folder, model.encoder, labels, half)
            save_file(head, folder / "head.safetensors", metadata={"format": "pt"})
        except SafetensorError as error:  # what a full disk becomes
            raise OSError(str(error)) from error
        tokenizer.save_pretrained(folder)
        name_known_class(folder / "tokenizer_config.json")
        _write_json(folder / _OWN_FILE, own)
        (folder / "README.md").write_text(card, encoding="utf-8")


def check_target(path: Path) -> None:
    """Raises UserError where `path` is taken by anything but an earlier export."""
    if path.exists() and not (path / _OWN_FILE).is_file():
        raise UserError(
            f"{path} is already there and is no folder that KoRE exported; move it away or pass "
            "another `output_file`"
        )


def load_folder(path: Path) -> TrainedModel:
    """Reads what `save_folder` wrote.

    Raises:
        UserError: it is foreign, damaged, incomplete or of a newer format.
    """
    keys = [key for key in DESCRIPTION_KEYS if key != "tokenizer"]
    return read_folder(path, KIND, FORMAT_VERSION, keys, _relation_model)


def _relation_model(
    encoder: PreTrainedModel, dropout: float, head: dict[str, Tensor], own: dict[str, Any]
) -> TrainedModel:
    model = RelationClassifier(encoder, len(own["labels"]), own["pooling"], dropout, design_of(own))
    model.load_weights(whole(encoder, head))
    return from_description(model, own)


def read_folder(
    path: Path,
    kind: str,
    version: int,
    keys: Sequence[str],
    make: Callable[[PreTrainedModel, float, dict[str, Tensor], dict[str, Any]], ModelT],
) -> ModelT:
    """Reads what `write_folder` wrote.

    Args:
        kind, version: of the folder; an older version is read as well.
        keys: what its description must have.
        make: the model, of its encoder, its dropout, the weights of its head and its description,
            the tokenizer included.

    Raises:
        UserError: as `load_folder`.
    """
    own = _read_own(path, kind, version, keys)
    missing = [name for name in _FILES if not (path / name).is_file()]
    if missing:
        raise UserError(f"{path}: lacks {', '.join(missing)}; {_REMEDY}")
    encoder = _load_encoder(path)
    try:
        dropout = own["options"].get("dropout", 0.0)
        set_dropout(encoder, dropout)
        serialized = (path / "tokenizer.json").read_text(encoding="utf-8")
        head = load_file(path / "head.safetensors")
        return make(encoder, dropout, head, {**own, "tokenizer": serialized})
    except UserError:
        raise
    except Exception as error:  # damaged or edited files make their readers raise almost anything
        raise _damaged(path, error) from error


def stored(weights: Mapping[str, Tensor], half: bool) -> dict[str, Tensor]:
    """The weights as a file holds them; those that are one tensor stay one."""
    halves: dict[int, Tensor] = {}
    return {
        name: halves.setdefault(weight.data_ptr(), weight.half())
        if half and weight.is_floating_point()
        else weight
        for name, weight in weights.items()
    }


def _save_encoder(
    folder: Path, encoder: PreTrainedModel, labels: tuple[str, ...], half: bool
) -> None:
    """config.json with the relations' names, and the weights AutoModel expects, all of them.

    AutoModel builds BERT and RoBERTa with a pooler, which KoRE's models do not have: zeros in its
    place keep it from being drawn at random whenever it is loaded.
    """
    with torch.device("meta"):
        expected = AutoModel.from_config(encoder.config).state_dict()
    weights = dict(encoder.state_dict())
    for name, weight in expected.items():
        if name not in weights and name.startswith(_UNUSED):
            weights[name] = torch.zeros(weight.shape)
    with silenced_hf_logging():
        encoder.save_pretrained(folder, state_dict=stored(weights, half), max_shard_size="1TB")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["id2label"] = {str(number): name for number, name in enumerate(labels)}
    config["label2id"] = {name: number for number, name in enumerate(labels)}
    _write_json(folder / "config.json", config)


def name_known_class(config_file: Path) -> None:
    """Names the tokenizer's class as every version of transformers knows it; 5 has another name."""
    config = json.loads(config_file.read_text(encoding="utf-8"))
    _write_json(config_file, {**config, "tokenizer_class": "PreTrainedTokenizerFast"})


def folder_kind(path: Path) -> str | None:
    """What kind of model a folder holds; None where it is unknown."""
    try:
        own = json.loads((path / _OWN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return own.get("kind") if isinstance(own, dict) else None


def _read_own(path: Path, kind: str, version: int, keys: Sequence[str]) -> dict[str, Any]:
    file = path / _OWN_FILE
    if not file.is_file():
        raise UserError(
            f"{path}: a folder without {_OWN_FILE}, so none that KoRE exported; name "
            "one of those, or a checkpoint (.pth)"
        )
    try:
        own = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not valid JSON ({error}); {_REMEDY}") from error
    if not isinstance(own, dict) or own.get("kind") not in (KIND, TAGGER_KIND):
        raise UserError(f"{file}: not written by KoRE; {_REMEDY}")
    if own["kind"] != kind:
        raise UserError(f"{path}: not a {kind} but a {own['kind']}, a model of another task")
    check_format(file, own, version, keys, _REMEDY)
    return own


def _load_encoder(path: Path) -> PreTrainedModel:
    try:
        with silenced_hf_logging():
            encoder, found = AutoModel.from_pretrained(
                path,
                dtype=torch.float32,
                output_loading_info=True,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # it would name them in a log; we do in the sentence
            )
    except Exception as error:
        raise _damaged(path, error) from error
    faults = [name for names in wrong_weights(encoder, found) for name in names]
    if faults:
        raise UserError(
            f"{path}: model.safetensors does not hold what config.json describes "
            f"({', '.join(faults)[:200]}); {_REMEDY}"
        )
    return encoder


def whole(encoder: PreTrainedModel, head: dict[str, Tensor]) -> dict[str, Tensor]:
    """All weights of a model, by their names in it."""
    return {**{f"encoder.{name}": part for name, part in encoder.state_dict().items()}, **head}


def _damaged(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(f"{path}: its files are damaged or do not fit together ({reason}); {_REMEDY}")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")
