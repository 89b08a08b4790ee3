"""A model together with everything its encoding path needs, whatever file it was loaded from.

Every format holds the same description as texts and numbers (`describe`, `from_description`) and
differs in how it stores the weights: see checkpoint.py, hf_folder.py and onnx_file.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedTokenizerFast

from kore.common.errors import UserError
from kore.common.flags import MINI
from kore.data.dataset import InputEncoder
from kore.data.markers import MarkerScheme
from kore.data.schema import LabelMap
from kore.network import shipped
from kore.network.model import ModelDesign, RelationClassifier

# Training options that hold paths of the machine that trained, and nothing of the model.
_PATHS = {
    "recipe",
    "train_file",
    "valid_file",
    "ner_file",
    "model_dir",
    "output_dir",
    "label2id_path",
    "id2label_path",
    "swap_entities",
    "target_prior",
    "partial_file",
    "type_names",
}

_OWN_ENCODERS = (MINI, *shipped.NAMES)

DESCRIPTION_KEYS = (
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

    `model` takes input_ids, attention_mask (B, T), subject_span and object_span (B, 2) and gives
    logits (B, C): a `RelationClassifier`, or an `OnnxClassifier` that can only predict. `options`
    are the training options, `scores` those on the validation examples ({} before any).
    `type_pairs` are the types that subject and object of a training example had; () = not known.
    """

    model: nn.Module
    input_encoder: InputEncoder
    labels: LabelMap
    options: dict[str, Any]
    scores: dict[str, Any]
    type_pairs: tuple[tuple[str, str], ...] = ()

    @property
    def classifier(self) -> RelationClassifier:
        """`model` with its weights.

        Raises:
            UserError: they are in an ONNX file, out of reach of torch.
        """
        if not isinstance(self.model, RelationClassifier):
            raise UserError(
                "a model from an .onnx file only predicts, and as it is; name the checkpoint "
                "(.pth) or the folder that it was made from"
            )
        return self.model


def describe(trained: TrainedModel) -> dict[str, Any]:
    """All of a model but its weights, as texts and numbers that JSON can hold."""
    return {
        **tokenizer_as_texts(trained.input_encoder.tokenizer),
        "labels": list(trained.labels.names),
        "no_relation": trained.labels.no_relation,
        "markers": {
            **asdict(trained.input_encoder.scheme),
            "types": list(trained.input_encoder.scheme.types),
        },
        "pooling": trained.model.pooling_name,
        "design": asdict(cast(ModelDesign, trained.model.design)),
        "max_length": trained.input_encoder.max_length,
        "options": trained.options,
        "scores": trained.scores,
        "type_pairs": [list(pair) for pair in trained.type_pairs],
    }


def published(description: Mapping[str, Any]) -> dict[str, Any]:
    """A description for others to read: without paths of the machine that trained."""
    options = {name: value for name, value in description["options"].items() if name not in _PATHS}
    encoder = str(options.get("model_name_or_path", ""))
    if encoder and encoder not in _OWN_ENCODERS and not hub_name(encoder):
        del options["model_name_or_path"]
    return {**description, "options": options}


def hub_name(name_or_path: str) -> str | None:
    """The name itself where it is one of the Hugging Face Hub; None for our own, files, folders."""
    is_name = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name_or_path)
    if name_or_path in _OWN_ENCODERS:
        return None
    is_file = Path(name_or_path).suffix == ".pth" or Path(name_or_path).exists()
    return name_or_path if is_name and not is_file else None


def design_of(description: Mapping[str, Any]) -> ModelDesign:
    """The model's design; models made before 0.4 have the plain one and do not say so."""
    return ModelDesign(**description.get("design", {}))


def from_description(model: nn.Module, description: Mapping[str, Any]) -> TrainedModel:
    """The reverse of `describe`, around a model that was made apart."""
    markers = {**description["markers"], "types": tuple(description["markers"]["types"])}
    tokenizer = make_tokenizer(description["tokenizer"], description["special_tokens"])
    return TrainedModel(
        model=model,
        input_encoder=InputEncoder(
            tokenizer,
            MarkerScheme(**markers),
            description["max_length"],
            design_of(description).ngram_buckets,
        ),
        labels=LabelMap(tuple(description["labels"]), description["no_relation"]),
        options=description["options"],
        scores=description["scores"],
        type_pairs=tuple((one, other) for one, other in description.get("type_pairs", ())),
    )


def is_readable(found: Any, newest: int) -> bool:
    """Whether a format version is one of those up to the newest."""
    return type(found) is int and 1 <= found <= newest


def check_format(
    path: Path, content: Mapping[str, Any], version: int, keys: Collection[str], remedy: str
) -> None:
    """Raises UserError where `content` of the file at `path` is of another version or incomplete.

    `remedy` says how to get a complete file.
    """
    if not is_readable(content.get("format_version"), version):
        raise UserError(
            f"{path}: format {content.get('format_version')}, but this version of KoRE reads "
            f"{version}; update KoRE"
        )
    missing = [key for key in keys if key not in content]
    if missing:
        raise UserError(f"{path}: lacks {', '.join(missing)}; {remedy}")


@contextmanager
def damage_as_user_error(path: Path, remedy: str) -> Iterator[None]:
    """Says in a sentence that what a file says of its model is damaged.

    Args:
        remedy: how to get a good file.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a damaged description makes its readers raise almost anything
        raise UserError(f"{path}: its description is damaged ({error}); {remedy}") from error


def tokenizer_as_texts(tokenizer: Any) -> dict[str, Any]:
    """What `make_tokenizer` makes it of again."""
    return {
        "tokenizer": tokenizer.backend_tokenizer.to_str(),
        "special_tokens": dict(tokenizer.special_tokens_map),
    }


def make_tokenizer(serialized: str, special_tokens: Mapping[str, str]) -> PreTrainedTokenizerFast:
    """A fast tokenizer as it was saved; its class does not matter, the JSON holds all it does."""
    tokenizer = Tokenizer.from_str(serialized)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special_tokens)
