"""A tagger and a relation model over one encoder: the text is read once for both.

The tagger's pass leaves what levitated markers attend to in a `TextMemory`; the relation model
takes it from there, and reads a text itself where it is not there, as one that was cut elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from kore.network.encoder_pass import ReadTexts, layers_are_known
from kore.network.model import RelationClassifier
from kore.network.tagger import Tagger
from kore.network.tagger_file import TrainedTagger
from kore.network.trained import TrainedModel


class TextMemory(threading.local):
    """The states of texts by their tokens, while `kept`; each thread has its own."""

    def __init__(self) -> None:
        self._texts: dict[bytes, tuple[Tensor, Tensor]] | None = None  # states and what is kept

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Until its end texts are remembered."""
        self._texts = {}
        try:
            yield
        finally:
            self._texts = None

    def put(self, input_ids: Tensor, texts: ReadTexts) -> None:
        """Remembers texts (B, T)."""
        if self._texts is not None:
            kept = torch.stack(texts.kept, dim=2)  # (B, T, 2 L, heads, D)
            rows = zip(texts.states, kept, strict=True)
            self._texts.update(zip(_keys(input_ids, texts.mask), rows, strict=True))

    def get(self, input_ids: Tensor, mask: Tensor) -> ReadTexts | None:
        """The texts (B, T) as they were read; None where one of them was not."""
        known = self._texts or {}
        found = [known[key] for key in _keys(input_ids, mask) if key in known]
        if len(found) < len(mask):
            return None
        states, kept = (_padded(rows, mask.shape[1]) for rows in zip(*found, strict=True))
        return ReadTexts(states, kept.unbind(2), mask)


def _keys(input_ids: Tensor, mask: Tensor) -> list[bytes]:
    lengths = mask.sum(dim=1).tolist()
    rows = input_ids.cpu().numpy()
    return [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]


def _padded(rows: Sequence[Tensor], length: int) -> Tensor:
    """Rows (T', …) of any lengths, cut or padded to T = `length`: (B, T, …)."""
    padded = rows[0].new_zeros(len(rows), length, *rows[0].shape[1:])
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row[:length]
    return padded


class RememberingTagger(nn.Module):
    """A tagger that leaves in the memory what it reads."""

    def __init__(self, tagger: Tagger, memory: TextMemory) -> None:
        super().__init__()
        self.tagger = tagger
        self.memory = memory

    def forward(self, *inputs: Any) -> Tensor:
        """`TextBatch.inputs` -> logits, as `Tagger.forward`."""
        input_ids, attention_mask, tokens, places, _, ngrams = inputs
        logits, read = self.tagger.read_and_tag(input_ids, attention_mask, tokens, places, ngrams)
        self.memory.put(input_ids, read)
        return logits


class RecallingClassifier(nn.Module):
    """A relation model that reads no text which is in the memory."""

    def __init__(self, classifier: RelationClassifier, memory: TextMemory) -> None:
        super().__init__()
        self.classifier = classifier
        self.memory = memory

    def forward(self, *inputs: Any) -> Tensor:
        """`Batch.inputs` of levitated markers -> logits, as `RelationClassifier.forward`."""
        input_ids, attention_mask, *_, entity_types, ngrams, borders = inputs
        text_ids, marker_ids = input_ids.tensor_split([-borders.shape[1]], dim=1)
        texts = self.memory.get(text_ids, attention_mask[:, : text_ids.shape[1]])
        if texts is None:
            return self.classifier(*inputs)
        return self.classifier.mark(texts, marker_ids, borders, entity_types, ngrams)


def sharing(
    tagger: TrainedTagger, relations: TrainedModel, memory: TextMemory
) -> tuple[TrainedTagger, TrainedModel]:
    """Both with a memory between them, for prediction."""
    return (
        replace(tagger, model=RememberingTagger(tagger.tagger, memory)),
        replace(relations, model=RecallingClassifier(relations.classifier, memory)),
    )


def can_share(tagger: TrainedTagger, relations: TrainedModel) -> bool:
    """Whether both have the same encoder, and markers behind the text."""
    if not relations.input_encoder.is_levitated or not isinstance(tagger.model, Tagger):
        return False
    if not isinstance(relations.model, RelationClassifier):  # an ONNX file
        return False
    if relations.model.design.last_layers > 1:  # which `EncoderPass.mark` does not join
        return False
    own, other = tagger.model.encoder, relations.model.encoder
    return layers_are_known(other) and _are_equal(own, other)


def _are_equal(encoder: PreTrainedModel, other: PreTrainedModel) -> bool:
    weights, others = encoder.state_dict(), other.state_dict()
    return (
        _architecture(encoder) == _architecture(other)
        and weights.keys() == others.keys()
        and all(torch.equal(weight, others[name]) for name, weight in weights.items())
    )


def _architecture(encoder: PreTrainedModel) -> dict[str, Any]:
    """Its config without dropout, of which prediction has none."""
    config = encoder.config.to_dict()
    return {name: value for name, value in config.items() if "dropout" not in name}
