"""A tagger together with its encoding path and its tags, and the files that carry it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from kore.common.errors import UserError
from kore.data.tagging import TextEncoder
from kore.network.checkpoint import (
    TRAIN_AGAIN,
    check_keys,
    encoder_of,
    kind_of,
    load_payload,
    put_weights,
    weights_and_config,
)
from kore.network.hf_folder import TAGGER_KIND as FOLDER_KIND
from kore.network.hf_folder import folder_kind, read_folder, whole, write_folder
from kore.network.onnx_file import NGRAMS_INPUT, OUTPUT, REMEDY, open_onnx
from kore.network.onnx_file import TAGGER_KIND as ONNX_KIND
from kore.network.tagger import Tagger
from kore.network.trained import damage_as_user_error, make_tokenizer, tokenizer_as_texts
from kore.scoring.ner import SCORE_NAMES

TAGGER_KIND = "kore-tagger"
ONNX_INPUTS = ("input_ids", "attention_mask", "tokens", "places")
_FOLDER_VERSION = ONNX_VERSION = 2  # 2 may have n-grams
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


class OnnxTagger(nn.Module):
    """An ONNX file in place of a `Tagger`, for prediction alone.

    Its inputs are `ONNX_INPUTS`: input_ids, attention_mask (B, T), tokens and places (B, S), and
    ngrams (B, S, F) where the tagger reads them, all int64; its output is probs (B, S, K).
    """

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.session = session

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        tokens: Tensor,
        places: Tensor,
        num_tokens: int | None = None,
        ngrams: Tensor | None = None,
    ) -> Tensor:
        """(B, S, K): logarithms of the probabilities, whose softmax gives them again."""
        tensors = (input_ids, attention_mask, tokens, places, ngrams)
        feed = {
            name: tensor.long().cpu().numpy()
            for name, tensor in zip((*ONNX_INPUTS, NGRAMS_INPUT), tensors, strict=True)
            if tensor is not None
        }
        probs = torch.from_numpy(self.session.run([OUTPUT], feed)[0]).to(input_ids.device)
        return probs.clamp_min(torch.finfo(probs.dtype).tiny).log()


@dataclass
class TrainedTagger:
    """A tagger with all its encoding path needs; `tags` in the order of its outputs.

    `model` is a `Tagger`, or an `OnnxTagger` that can only predict. `options` are the training
    options, `scores` those on the validation texts ({} before any).
    """

    model: nn.Module
    encoder: TextEncoder
    tags: tuple[str, ...]
    options: dict[str, Any]
    scores: dict[str, Any]

    @property
    def tagger(self) -> Tagger:
        """`model` with its weights.

        Raises:
            UserError: they are in an ONNX file, out of reach of torch.
        """
        if not isinstance(self.model, Tagger):
            raise UserError(
                "a tagger from an .onnx file only predicts, and as it is; name the checkpoint "
                "(.pth) or the folder that it was made from"
            )
        return self.model

    @property
    def types(self) -> tuple[str, ...]:
        """The entity types that it finds."""
        return tuple(tag[2:] for tag in self.tags if tag.startswith("B-"))


def tagger_payload(trained: TrainedTagger) -> dict[str, Any]:
    """A tagger as tensors, texts and numbers, which `weights_only` loading admits."""
    return {**weights_and_config(trained.tagger), **description_of(trained)}


def description_of(trained: TrainedTagger) -> dict[str, Any]:
    """All of a tagger but its weights, as texts and numbers."""
    return {
        **tokenizer_as_texts(trained.encoder.tokenizer),
        "tags": list(trained.tags),
        "max_length": trained.encoder.max_length,
        "ngram_buckets": trained.encoder.ngram_buckets,
        "options": trained.options,
        "scores": trained.scores,
    }


def tagger_from_payload(path: Path, payload: dict[str, Any]) -> TrainedTagger:
    """The reverse of `tagger_payload`.

    Raises:
        UserError: the payload is incomplete, or its weights do not fit; the message names `path`.
    """
    check_keys(path, payload, _KEYS)
    with damage_as_user_error(path, TRAIN_AGAIN):
        encoder, dropout = encoder_of(payload)
        model = _tagger(encoder, dropout, payload)
        put_weights(path, payload, model.load_state_dict)
        return _from_description(model, payload)


def _tagger(encoder: PreTrainedModel, dropout: float, description: dict[str, Any]) -> Tagger:
    return Tagger(encoder, len(description["tags"]), dropout, _buckets_of(description))


def _buckets_of(description: dict[str, Any]) -> int:
    """0 in files of the first version, whose taggers read no n-grams."""
    return int(description.get("ngram_buckets", 0))


def _from_description(model: nn.Module, description: dict[str, Any]) -> TrainedTagger:
    tokenizer = make_tokenizer(description["tokenizer"], description["special_tokens"])
    return TrainedTagger(
        model=model,
        encoder=TextEncoder(tokenizer, description["max_length"], _buckets_of(description)),
        tags=tuple(description["tags"]),
        options=description["options"],
        scores=description["scores"],
    )


def _from_folder(
    encoder: PreTrainedModel, dropout: float, head: dict[str, Tensor], own: dict[str, Any]
) -> TrainedTagger:
    model = _tagger(encoder, dropout, own)
    model.load_state_dict(whole(encoder, head))
    return _from_description(model, own)


def save_tagger_folder(path: Path, trained: TrainedTagger, half: bool = False) -> None:
    """Writes a folder in the layout of Hugging Face, whole or not at all; see hf_folder.py.

    Args:
        half: weights in half precision (float16), which take half the space.

    Raises:
        UserError: something else stands at `path`, or it cannot be written.
    """
    own = {"kind": FOLDER_KIND, "format_version": _FOLDER_VERSION, **description_of(trained)}
    write_folder(path, trained.tagger, own, trained.tags, tagger_card(path.name, trained), half)


def tagger_card(name: str, trained: TrainedTagger) -> str:
    """README.md of the folder `name`."""
    scores = {key: trained.scores[key] for key in SCORE_NAMES if key in trained.scores}
    return "\n".join(
        [
            *("---", "language: ko", "library_name: transformers"),
            *("pipeline_tag: token-classification", "tags:", "- named-entity-recognition"),
            *("- korean", "- kore", "---", "", f"# {name}", ""),
            "Korean named entities: a tag for each character. Made with KoRE.",
            "",
            f"- types: {', '.join(f'`{kind}`' for kind in trained.types)}",
            f"- longest window: {trained.encoder.max_length} tokens",
            "",
            "## Scores on its validation texts",
            "",
            *(f"- {key}: {value:.2f}" for key, value in scores.items()),
            "",
            "```bash",
            f"python src/inference_ner.py --model_file {name} --test_file texts.txt",
            "```",
            "",
        ]
    )


def is_tagger(path: Path) -> bool:
    """Whether a checkpoint or a folder is a tagger's; False where it is unknown."""
    if path.is_dir():
        return folder_kind(path) == FOLDER_KIND
    return kind_of(path) == TAGGER_KIND


def load_tagger(path: Path) -> TrainedTagger:
    """Loads a checkpoint of a tagger, or a folder or an ONNX file that was exported from one.

    Raises:
        UserError: it is missing, truncated, foreign, incomplete or of a newer format.
    """
    if path.is_dir():
        keys = [key for key in _KEYS[2:] if key != "tokenizer"]
        return read_folder(path, FOLDER_KIND, _FOLDER_VERSION, keys, _from_folder)
    if path.suffix == ".onnx":
        session, content = open_onnx(path, ONNX_KIND, ONNX_VERSION, _KEYS[2:])
        with damage_as_user_error(path, REMEDY):
            return _from_description(OnnxTagger(session), content)
    return tagger_from_payload(path, load_payload(path, TAGGER_KIND))
