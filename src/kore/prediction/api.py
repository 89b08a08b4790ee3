"""What `import kore` offers: a trained model, and examples from files.

    model = load("models/first.pth")
    model.predict(sentence, subject=(13, 19, "PER"), object=(24, 27, "ORG"))

Nothing here prints, reads options or changes the state of the process; models may be shared by
threads.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch

from kore.common.arrays import Floats
from kore.common.errors import UserError
from kore.common.flags import AUTO, BATCH_TOKENS
from kore.data.records import iter_records
from kore.data.rows import iter_rows
from kore.data.schema import Entity, Example, Span
from kore.data.text_files import has_half_character
from kore.network.checkpoint import load_model
from kore.network.shipped import RELATION_MODEL, resolve
from kore.network.trained import TrainedModel
from kore.prediction.predictor import ComputeOn, Predictor, prepared

_AUTOCAST = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}

EntityLike = Entity | tuple[int, int] | tuple[int, int, str]

LOADING = threading.Lock()  # loading passes through settings of torch that belong to the process


@dataclass(frozen=True)
class Prediction:
    """The most probable relation of one example.

    probs: every relation's probability, in the model's label order; they sum to 1.
    """

    relation: str
    probability: float
    probs: Mapping[str, float]


class Model:
    """A trained model that predicts. Threads may call one model at the same time.

    Args:
        trained: the model with everything its encoding path needs.
        compute: the device and precision to compute with.
        batch_tokens: most tokens computed at once, padding included.
    """

    def __init__(
        self, trained: TrainedModel, compute: ComputeOn, batch_tokens: int = BATCH_TOKENS
    ) -> None:
        self._labels = trained.labels
        self._encoder = trained.input_encoder
        self._predictor = Predictor(
            prepared(trained, compute), self._encoder, compute, batch_tokens
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The relations, in the order of the probabilities."""
        return self._labels.names

    @property
    def no_relation(self) -> str | None:
        """The relation that means "none of them"; None where the labels have none."""
        return self._labels.no_relation

    def predict(self, sentence: str, *, subject: EntityLike, object: EntityLike) -> Prediction:
        """The relation that the subject has to the object.

        Args:
            sentence: the text that holds both.
            subject, object: (start, end) or (start, end, type): half-open character offsets in the
                sentence, and an entity type such as "PER". A type that training has not seen
                counts as none.

        Raises:
            UserError: the sentence is empty, or the entities do not lie in it or overlap.
        """
        fault = _sentence_fault(sentence)
        if not fault:
            first = _as_entity("subject", subject, sentence)
            second = _as_entity("object", object, sentence)
            example = Example("", sentence, first, second)
            fault = fault_of(example)
        if fault:
            raise UserError(fault)
        return self.predict_many([example])[0]

    def predict_many(self, examples: Sequence[Example]) -> list[Prediction]:
        """The relation of every example, in their order, computed in batches.

        Raises:
            UserError: an example is faulty; all such are named.
        """
        return [self._prediction(row) for row in self.probs(examples).tolist()]

    def probs(self, examples: Sequence[Example]) -> Floats:
        """Probabilities (N, C) of the examples in their order, in the order of `labels`.

        Raises:
            UserError: an example is faulty; all such are named.
        """
        faults = [
            f"example {number} ({example.id!r}): {fault}"
            for number, example in enumerate(examples)
            if (fault := fault_of(example))
        ]
        if faults:
            raise UserError("\n".join(faults))
        if not examples:
            return np.empty((0, len(self._labels)))
        return self._predictor.probs(self._encoder.encode(examples, quiet=True))

    def _prediction(self, probs: list[float]) -> Prediction:
        highest = max(probs)
        relation = self.labels[probs.index(highest)]
        return Prediction(relation, highest, dict(zip(self.labels, probs, strict=True)))


def load(
    path: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    precision: str = AUTO,
    batch_tokens: int = BATCH_TOKENS,
) -> Model:
    """A trained model: a checkpoint (.pth), an exported folder or an .onnx file.

    Args:
        path: None = the model of KLUE-RE's relations that ships with KoRE.
        device: as torch names it; None = a CUDA GPU where there is one, otherwise the CPU.
        precision: "fp32", "bf16" or "fp16"; "auto" = bf16 on a GPU that computes it natively,
            fp32 otherwise.
        batch_tokens: most tokens computed at once, padding included.

    Raises:
        UserError: the file is missing, damaged or not one of KoRE's, or there is no such
            device or precision.
    """
    compute = compute_on(device, precision)
    # A model is made with random weights before it gets its own.
    with LOADING, torch.random.fork_rng(devices=[]):
        trained = load_model(Path(resolve(str(RELATION_MODEL if path is None else path))))
    return Model(trained, compute, batch_tokens)


def read(path: str | Path, *, need_labels: bool = False) -> list[Example]:
    """The examples of a file (.csv, .json, .jsonl, also .gz; .parquet), every one checked.

    Args:
        need_labels: an example without a label is faulty.

    Raises:
        UserError: the file cannot be read, holds no examples, or some are faulty; all faults are
            named by line and column.
    """
    examples, faults, faulty = [], [], 0
    for row in iter_rows(str(path), iter_records(Path(path)), need_labels=need_labels):
        if row.example is None:
            faulty += 1
            faults += [f"{path}:{one.line} {one.column}: {one.message}" for one in row.faults]
        else:
            examples.append(row.example)
    if faults:
        raise UserError("\n".join([*faults, f"{faulty} faulty examples in {path}"]))
    if not examples:
        raise UserError(f"{path}: holds no examples")
    return examples


def compute_on(device: str | torch.device | None, precision: str) -> ComputeOn:
    """Where to compute; see `load`.

    Raises:
        UserError: there is no such device or precision.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"`device` {device!r}: no such device; try 'cpu' or 'cuda'") from error
    on_gpu = chosen.type == "cuda"
    if on_gpu and not torch.cuda.is_available():
        raise UserError(f"`device` {device!r}: no CUDA GPU answers")
    try:
        torch.empty(0, device=chosen)
    except (RuntimeError, NotImplementedError) as error:
        raise UserError(f"`device` {device!r}: this machine has no such device") from error
    if precision == AUTO:
        is_native = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if is_native else "fp32"
    if precision not in _AUTOCAST:
        raise UserError(f"`precision` {precision!r}: expected auto, {', '.join(_AUTOCAST)}")
    if precision == "fp16" and not on_gpu:
        raise UserError("`precision` 'fp16' needs a GPU; pass 'bf16' or 'fp32'")
    return ComputeOn(chosen, _AUTOCAST[precision])


def _as_entity(name: str, given: EntityLike, sentence: str) -> Entity:
    if isinstance(given, Entity):
        return given
    start, end, kind = (*given, "")[:3] if len(given) in (2, 3) else (None, None, None)
    if not _is_offset(start) or not _is_offset(end) or not isinstance(kind, str):
        raise UserError(f"{name} {given!r}: expected (start, end) or (start, end, type)")
    span = Span(int(start), int(end))
    return Entity(sentence[max(0, span.start) : max(0, span.end)], span, kind)


def _is_offset(value: Any) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def fault_of(example: Example) -> str:
    """What is wrong with an example that no file reader has checked; "" where nothing is."""
    sentence = example.sentence
    if fault := _sentence_fault(sentence):
        return fault
    entities = (("subject", example.subject), ("object", example.object))
    for name, entity in entities:
        start, end = entity.span
        if not 0 <= start < end <= len(sentence):
            return (
                f"the {name} ({start}, {end}) lies outside the sentence of {len(sentence)} "
                "characters; expected half-open offsets, 0 <= start < end <= length"
            )
        if sentence[start:end] != entity.word:
            return f"the {name} is {entity.word!r}, but its offsets cut {sentence[start:end]!r}"
    if example.subject.span.overlaps(example.object.span):
        return f"the object {example.object.word!r} overlaps the subject {example.subject.word!r}"
    return ""


def _sentence_fault(sentence: Any) -> str:
    if not isinstance(sentence, str) or not sentence.strip():
        return f"the sentence is {sentence!r}, expected a text that is not empty"
    if has_half_character(sentence):
        return "the sentence holds half of a character (a lone surrogate)"
    return ""
