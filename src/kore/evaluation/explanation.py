"""One prediction explained: which words it rests on, and what its tokens attended to."""

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
from kore.network.model import RelationClassifier
from kore.network.trained import TrainedModel

SHOWN_IDS = 5
NEAREST_RELATIONS = 3


@dataclass(frozen=True)
class Part:
    """A token or a word with what it adds to the relation's log probability.

    `is_read` is False for a word that was truncated, so that the model did not read it.
    """

    text: str
    attribution: float
    role: Role | Literal[""]
    is_read: bool = True


@dataclass(frozen=True)
class Explanation:
    """What is known about the prediction for one example.

    Attributes:
        gold: the example's label; None where it has none.
        relation: the one explained.
        probs: of all relations, the most probable first.
        log_prob, baseline_log_prob: of `relation`, for the example and for the baseline, whose
            words are all average ones.
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
        """What the attributions lack of the sum they should have; more steps make it smaller."""
        total = sum(token.attribution for token in self.tokens)
        return self.log_prob - self.baseline_log_prob - total


def find_example(path: Path, example_id: str) -> Example:
    """The example of that id, or the first one for ""; faults in other rows do not matter.

    One without an id gets the id `line_<number of its line>`.

    Raises:
        UserError: no such example, it is faulty, or the file cannot be read up to it.
    """
    seen: list[str] = []
    for line, record in iter_records(path):
        found = record_id(record)
        if example_id in ("", found):
            example, faults = parse_record(line, record)
            if example is None:
                shown = "; ".join(f"{fault.column}: {fault.message}" for fault in faults)
                raise UserError(f"{path}:{line} {shown}")
            return example if found else example._replace(id=f"line_{line}")
        if len(seen) < SHOWN_IDS:
            seen.append(found)
    if not seen:
        raise UserError(f"{path}: holds no rows")
    raise UserError(
        f"{path}: no row with the id {example_id!r}; its first ids are {', '.join(seen)}"
    )


def explain_example(
    trained: TrainedModel,
    example: Example,
    device: torch.device,
    *,
    relation: str = "",
    layer: int | None = None,
    steps: int = 64,
    batch_tokens: int = 1024,
) -> Explanation:
    """Explains one prediction in float32, without dropout.

    Args:
        relation: the one to explain; "" = the predicted one.
        layer: the layer whose attention is wanted, 1 = the first; None = the mean over all layers.
        steps: points of the integral.
        batch_tokens: most tokens computed at once.

    Raises:
        UserError: no such relation or layer, or a model that only predicts.
    """
    classifier = trained.classifier.to(device).eval()
    if trained.input_encoder.is_levitated:
        raise UserError(
            "levitated markers stand behind the text, and are not explained; name a model with "
            "markers in the text"
        )
    names = trained.labels.names
    check_relation(relation, names)
    (encoded,) = trained.input_encoder.encode([example], quiet=True)
    batch = Batch.collate([encoded], trained.input_encoder.pad_id).to(device)
    attention = _attention(classifier, batch, layer)
    with torch.no_grad():
        probs = classifier(*batch.inputs).double().softmax(dim=-1)[0].tolist()
    ranked = dict(sorted(zip(names, probs, strict=True), key=lambda pair: -pair[1]))
    relation = relation or next(iter(ranked))
    attributions, (log_prob, baseline_log_prob) = _attributions(
        trained, batch, names.index(relation), steps, batch_tokens
    )
    return Explanation(
        id=example.id,
        gold=example.label,
        relation=relation,
        probs=ranked,
        log_prob=log_prob,
        baseline_log_prob=baseline_log_prob,
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


def _attributions(
    trained: TrainedModel, batch: Batch, relation: int, steps: int, batch_tokens: int
) -> tuple[list[float], list[float]]:
    """What each token of one example adds to the relation's log probability.

    Beside it that log probability of the example, and of the baseline.
    """
    classifier, tokenizer = trained.classifier, trained.input_encoder.tokenizer
    (input_ids,) = batch.input_ids
    embeddings = word_embeddings(classifier.encoder, input_ids)
    special = input_ids.new_tensor((tokenizer.cls_token_id, tokenizer.sep_token_id))
    is_special = torch.isin(input_ids, special)
    baseline = baseline_embeddings(classifier.encoder, embeddings, is_special)

    def log_probs(points: torch.Tensor) -> torch.Tensor:
        return log_probs_at(classifier, batch, relation, points)

    points_at_once = max(1, batch_tokens // len(input_ids))
    gradients = integrated_gradients(log_probs, embeddings, baseline, steps, points_at_once)
    with torch.no_grad():
        ends = log_probs(torch.stack([embeddings, baseline])).tolist()
    return gradients.sum(dim=-1).tolist(), ends


def _attention(
    classifier: RelationClassifier, batch: Batch, layer: int | None
) -> NDArray[Any] | None:
    """(T, T) of one layer, counted from 1, or the mean of all; None where there is none."""
    length = batch.input_ids.shape[1]
    with torch.no_grad():
        types = classifier.type_states(
            batch.entity_types, batch.subject_span, batch.object_span, length
        )
        layers = attention_weights(classifier.encoder, batch, types)
    if layers is None:
        return None
    if layer is not None and layer > len(layers):
        raise UserError(f"`layer` {layer}: the encoder's layers are 1 to {len(layers)}")
    chosen = layers.mean(dim=0) if layer is None else layers[layer - 1]
    return chosen.cpu().numpy()


def _role(positions: list[int], encoded: EncodedExample) -> Role | Literal[""]:
    """Which entity any of the tokens belongs to, markers included."""

    def touches(span: Span) -> bool:
        return any(span.start <= position < span.end for position in positions)

    if touches(encoded.subject_span):
        return "subject"
    return "object" if touches(encoded.object_span) else ""


def _tokens(
    trained: TrainedModel, encoded: EncodedExample, attributions: list[float]
) -> list[Part]:
    texts = trained.input_encoder.tokenizer.convert_ids_to_tokens(encoded.input_ids)
    return [
        Part(text, attribution, _role([position], encoded))
        for position, (text, attribution) in enumerate(zip(texts, attributions, strict=True))
    ]


def _words(
    trained: TrainedModel, example: Example, encoded: EncodedExample, attributions: list[float]
) -> list[Part]:
    text, spans = trained.input_encoder.locate(example)
    return [
        Part(
            word.text,
            sum(attributions[position] for position in word.tokens),
            _role(word.tokens, encoded),
            is_read=bool(word.tokens),
        )
        for word in words_of(text, spans)
    ]
