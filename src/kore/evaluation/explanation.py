"""One row explained: which words moved the model's answer, and what its tokens attended to."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray

from kore.common.errors import UserError
from kore.data.dataset import Batch, EncodedExample
from kore.data.records import iter_records
from kore.data.rows import parse_record, record_id
from kore.data.schema import Example, Role, Span
from kore.evaluation.attribution import (
    attention_weights,
    baseline_embeddings,
    integrated_gradients,
    log_probs_at,
    word_embeddings,
    words_of,
)
from kore.network.trained import TrainedModel

SHOWN_IDS = 5
NEAREST_RELATIONS = 3


@dataclass(frozen=True)
class Part:
    """A token or a word with what it adds to the relation's log probability.

    `is_read` is False for a word that the window cut out of the row.
    """

    text: str
    attribution: float
    role: Role | Literal[""]
    is_read: bool = True


@dataclass(frozen=True)
class Explanation:
    """What is known about the answer to one row.

    Attributes:
        gold: the row's label; None where it has none.
        relation: the one explained.
        probs: of all relations, the most probable first.
        log_prob, baseline_log_prob: of `relation`, with its words and with average ones.
        tokens: T of them, [CLS] and [SEP] included.
        words: of the marked text.
        attention: (T, T), queries in rows; None where the encoder gives none.
    """

    id: str
    gold: str | None
    relation: str
    probs: dict[str, float]
    log_prob: float
    baseline_log_prob: float
    tokens: list[Part]
    words: list[Part]
    attention: NDArray[Any] | None

    @property
    def predicted(self) -> str:
        return next(iter(self.probs))

    @property
    def gap(self) -> float:
        """What the attributions lack of their sum, for want of steps."""
        total = sum(token.attribution for token in self.tokens)
        return self.log_prob - self.baseline_log_prob - total


def find_row(path: Path, row_id: str) -> Example:
    """The row of that id, or the first one for ""; faults in other rows do not matter.

    A row without an id is named after its line.

    Raises:
        UserError: no such row, it is faulty, or the file cannot be read up to it.
    """
    seen: list[str] = []
    for line, record in iter_records(path):
        found = record_id(record)
        if row_id in ("", found):
            example, faults = parse_record(line, record)
            if example is None:
                told = "; ".join(f"{fault.column}: {fault.message}" for fault in faults)
                raise UserError(f"{path}:{line} {told}")
            return example if found else example._replace(id=f"line_{line}")
        if len(seen) < SHOWN_IDS:
            seen.append(found)
    if not seen:
        raise UserError(f"{path}: holds no rows")
    raise UserError(f"{path}: no row with the id {row_id!r}; its ids begin {', '.join(seen)}")


def explain_row(
    trained: TrainedModel,
    example: Example,
    device: torch.device,
    *,
    relation: str = "",
    layer: int | None = None,
    steps: int = 64,
    batch_tokens: int = 1024,
) -> Explanation:
    """Explains one row in float32, without dropout.

    Args:
        relation: '' = the one predicted.
        layer: whose attention is given, 1 = the first; None = the mean over all layers.
        steps: points of the integral.
        batch_tokens: most tokens computed at once.

    Raises:
        UserError: no such relation or layer, or a model that only predicts.
    """
    classifier = trained.classifier.to(device).eval()
    encoder = trained.input_encoder
    names = trained.labels.names
    check_relation(relation, names)
    (encoded,) = encoder.encode([example], quiet=True)
    row = Batch.collate([encoded], encoder.pad_id).to(device)
    length = len(encoded.input_ids)
    with torch.no_grad():
        added = classifier.type_states(row.entity_types, row.subject_span, row.object_span, length)
        attention = _attention(attention_weights(classifier.encoder, row, added), layer)
        probs = classifier(*row.inputs).double().softmax(dim=-1)[0].tolist()
    ranked = dict(sorted(zip(names, probs, strict=True), key=lambda pair: -pair[1]))
    relation = relation or next(iter(ranked))
    number = names.index(relation)

    embeddings = word_embeddings(classifier.encoder, row.input_ids[0])
    special = (encoder.tokenizer.cls_token_id, encoder.tokenizer.sep_token_id)
    is_special = torch.isin(row.input_ids[0], row.input_ids.new_tensor(special))
    baseline = baseline_embeddings(classifier.encoder, embeddings, is_special)

    def log_probs(points: torch.Tensor) -> torch.Tensor:
        return log_probs_at(classifier, row, number, points)

    points_at_once = max(1, batch_tokens // len(encoded.input_ids))
    attributions = (
        integrated_gradients(log_probs, embeddings, baseline, steps, points_at_once)
        .sum(dim=-1)
        .tolist()
    )
    with torch.no_grad():
        ends = log_probs(torch.stack([embeddings, baseline])).tolist()
    return Explanation(
        id=example.id,
        gold=example.label,
        relation=relation,
        probs=ranked,
        log_prob=ends[0],
        baseline_log_prob=ends[1],
        tokens=_tokens(trained, encoded, attributions),
        words=_words(trained, example, encoded, attributions),
        attention=attention,
    )


def check_relation(relation: str, names: tuple[str, ...]) -> None:
    """Raises UserError, with the nearest names, for one that the model does not know."""
    if relation and relation not in names:
        near = difflib.get_close_matches(relation, names, NEAREST_RELATIONS, cutoff=0.0)
        raise UserError(
            f"`relation` {relation}: not one of the model's {len(names)} relations; "
            f"the nearest are {', '.join(near)}"
        )


def _attention(layers: torch.Tensor | None, layer: int | None) -> NDArray[Any] | None:
    """(layers, T, T) -> (T, T) of one layer, counted from 1, or their mean."""
    if layers is None:
        return None
    if layer is not None and layer > len(layers):
        raise UserError(f"`layer` {layer}: the encoder's layers are 1 to {len(layers)}")
    chosen = layers.mean(dim=0) if layer is None else layers[layer - 1]
    return chosen.cpu().numpy()


def _role(positions: list[int], row: EncodedExample) -> Role | Literal[""]:
    """Which entity any of the tokens belongs to, markers included."""

    def touches(span: Span) -> bool:
        return any(span.start <= position < span.end for position in positions)

    if touches(row.subject_span):
        return "subject"
    return "object" if touches(row.object_span) else ""


def _tokens(trained: TrainedModel, row: EncodedExample, attributions: list[float]) -> list[Part]:
    texts = trained.input_encoder.tokenizer.convert_ids_to_tokens(row.input_ids)
    return [
        Part(text, attribution, _role([position], row))
        for position, (text, attribution) in enumerate(zip(texts, attributions, strict=True))
    ]


def _words(
    trained: TrainedModel, example: Example, row: EncodedExample, attributions: list[float]
) -> list[Part]:
    text, spans = trained.input_encoder.locate(example)
    return [
        Part(
            word.text,
            sum(attributions[position] for position in word.tokens),
            _role(word.tokens, row),
            is_read=bool(word.tokens),
        )
        for word in words_of(text, spans)
    ]
