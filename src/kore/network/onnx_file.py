"""A trained model as one ONNX file, from token ids and entity spans to probabilities.

    inputs    input_ids, attention_mask (B, T); subject_span, object_span (B, 2); all int64;
              entity_types (B, 2), ngrams (B, F) and borders (B, 4) where the model reads them
    output    probs (B, C)

The file is self-contained: the tokenizer, the relations and all else that prediction needs are JSON
under the key `kore` of its metadata. onnxruntime runs it; onnx_export.py makes it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kore.common.errors import UserError
from kore.network.model import PLAIN, ModelDesign
from kore.network.trained import (
    DESCRIPTION_KEYS,
    TrainedModel,
    check_format,
    damage_as_user_error,
    design_of,
    from_description,
)

FORMAT_VERSION = 4  # 3 may have n-grams, 4 levitated markers
KIND, TAGGER_KIND = "kore-onnx", "kore-tagger-onnx"
METADATA_KEY = "kore"
INPUTS = ("input_ids", "attention_mask", "subject_span", "object_span")
# Only of models that read them.
TYPES_INPUT, NGRAMS_INPUT, BORDERS_INPUT = "entity_types", "ngrams", "borders"
OUTPUT = "probs"
REMEDY = "export it again"
_SILENT = 4  # onnxruntime's severity "fatal": what goes wrong is raised to us as well


class OnnxClassifier(nn.Module):
    """An ONNX file in place of a `RelationClassifier`, for prediction alone.

    Args:
        session: an `onnxruntime.InferenceSession` with `INPUTS` and `OUTPUT`.
        pooling, design: as the model it was made from.
    """

    def __init__(self, session: Any, pooling: str, design: ModelDesign = PLAIN) -> None:
        super().__init__()
        self.session = session
        self.pooling_name = pooling
        self.design = design
        self._input_names = [entry.name for entry in session.get_inputs()]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        subject_span: Tensor,
        object_span: Tensor,
        num_tokens: int | None = None,
        entity_types: Tensor | None = None,
        ngrams: Tensor | None = None,
        borders: Tensor | None = None,
    ) -> Tensor:
        """input_ids, attention_mask (B, T); spans (B, 2), half-open -> (B, C).

        The result is the logarithm of the probabilities: as good as logits, since its softmax
        gives the probabilities again.
        """
        if entity_types is None:
            entity_types = torch.zeros_like(subject_span)
        spans = (subject_span, object_span)
        tensors = (input_ids, attention_mask, *spans, entity_types, ngrams, borders)
        names = (*INPUTS, TYPES_INPUT, NGRAMS_INPUT, BORDERS_INPUT)
        feed = {
            name: tensor.long().cpu().numpy()
            for name, tensor in zip(names, tensors, strict=True)
            if tensor is not None and name in self._input_names
        }
        probs = torch.from_numpy(self.session.run([OUTPUT], feed)[0]).to(input_ids.device)
        return probs.clamp_min(torch.finfo(probs.dtype).tiny).log()


def load_onnx(path: Path) -> TrainedModel:
    """Loads an exported file; nothing in it is executed but the operators of ONNX.

    Raises:
        UserError: it is missing, truncated, foreign or of a newer format, or onnxruntime is not
            installed.
    """
    session, content = open_onnx(path, KIND, FORMAT_VERSION, DESCRIPTION_KEYS)
    with damage_as_user_error(path, REMEDY):
        model = OnnxClassifier(session, content["pooling"], design_of(content))
        return from_description(model, content)


def open_onnx(
    path: Path, kind: str, version: int, keys: Collection[str]
) -> tuple[Any, dict[str, Any]]:
    """An `onnxruntime.InferenceSession` of a file of KoRE, and its description.

    Args:
        kind, version: of the file; an older version is read as well.
        keys: what the description must have.

    Raises:
        UserError: as `load_onnx`.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        session = make_session(str(path))
    except UserError:
        raise
    except Exception as error:  # onnxruntime has a class of its own for every kind of damage
        raise UserError(
            f"{path}: not a whole ONNX file that onnxruntime can run: truncated, or written by "
            f"another program; {REMEDY}"
        ) from error
    try:
        content = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    except (KeyError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("kind") not in (KIND, TAGGER_KIND):
        raise UserError(f"{path}: an ONNX file, but none that KoRE wrote; {REMEDY}")
    if content["kind"] != kind:
        raise UserError(f"{path}: not a {kind} but a {content['kind']}, a model of another task")
    check_format(path, content, version, keys, REMEDY)
    return session, content


def make_session(model: str | bytes) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU, with as many threads as torch has.

    Args:
        model: a path, or the bytes of a file.

    Raises:
        UserError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            "ONNX files need the package onnxruntime: poetry install --with export, "
            "or python -m pip install onnxruntime"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
