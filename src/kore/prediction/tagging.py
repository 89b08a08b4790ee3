"""Windows of texts -> the entities of the texts: what validation and `kore tag` share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kore.common.arrays import Floats
from kore.common.flags import BATCH_TOKENS
from kore.data.ner import spans_of
from kore.data.schema import Entity, Span
from kore.data.tagging import Composed, EncodedWindow, composed
from kore.network.tagger import best_tags
from kore.network.tagger_file import TrainedTagger
from kore.prediction.predictor import Compute, Computed, Predictor

SMALLEST = 1e-12  # a probability that has a logarithm


class FoundEntity(NamedTuple):
    """An entity in a text, and how sure it is: the mean probability of its characters' tags."""

    entity: Entity
    score: float


class EntityFinder:
    """A tagger in evaluation mode that finds the entities of texts. Threads may share it.

    Args:
        batch_tokens: most tokens computed at once, padding included.
    """

    def __init__(
        self, trained: TrainedTagger, compute: Compute, batch_tokens: int = BATCH_TOKENS
    ) -> None:
        self.trained = trained
        model = trained.model.to(compute.device).eval()
        self._predictor = Predictor(model, trained.encoder, compute, batch_tokens)

    def __call__(self, texts: Sequence[str]) -> list[list[FoundEntity]]:
        """The entities of each text, in order; spans are characters of the text as it is."""
        forms = [composed(text) for text in texts]
        windows = self.trained.encoder.encode([form.text for form in forms], quiet=True)
        flat = [window for row in windows for window in row]
        probs = text_probs(self._predictor.computed(flat) if flat else [], windows)
        return [
            find_entities(text, form, own, self.trained.tags)
            for text, form, own in zip(texts, forms, probs, strict=True)
        ]


def text_probs(
    computed: Iterable[Computed], windows: Sequence[Sequence[EncodedWindow]]
) -> list[Floats]:
    """(S, K) of each text: the probabilities of its windows' characters, one after the other.

    Args:
        computed: of all windows of all texts, numbered through.
    """
    by_number: dict[int, Floats] = {}
    for numbers, probs in computed:
        by_number.update(zip(numbers.tolist(), probs, strict=True))
    texts = []
    number = 0
    for row in windows:
        parts = []
        for window in row:
            parts.append(by_number[number][: len(window.tokens)])
            number += 1
        texts.append(np.concatenate(parts))
    return texts


def _without_spaces(text: str, span: Span) -> Span:
    """A span without the white space at its ends, which no entity has."""
    piece = text[span.start : span.end]
    start = span.start + len(piece) - len(piece.lstrip())
    return Span(start, max(start, span.start + len(piece.rstrip())))


def find_entities(
    text: str, form: Composed, probs: Floats, tags: Sequence[str]
) -> list[FoundEntity]:
    """The entities of a text, from the probabilities (S, K) of its composed characters."""
    if not len(probs):
        return []
    chosen = best_tags(np.log(np.maximum(probs, SMALLEST)), tags)
    number = {tag: place for place, tag in enumerate(tags)}
    found = []
    for with_spaces, kind in spans_of(chosen):
        span = _without_spaces(form.text, with_spaces)
        # Nothing has a name of mere punctuation, which a small tagger marks now and then.
        if not any(map(str.isalnum, form.text[span.start : span.end])):
            continue
        places = range(span.start, span.end)
        score = float(np.mean([probs[place, number[chosen[place]]] for place in places]))
        own = form.in_input(span)
        found.append(FoundEntity(Entity(text[own.start : own.end], own, kind), score))
    return found


def record_of(text_id: str, text: str, entities: Sequence[FoundEntity]) -> dict[str, Any]:
    """A line of the output: the service's answer, and the id."""
    return {"id": text_id, **answer_of(text, entities)}


def answer_of(text: str, entities: Sequence[FoundEntity]) -> dict[str, Any]:
    """What the service answers to a text."""
    return {
        "input": text,
        "result": [
            {
                "entity_group": entity.type,
                "score": round(score, 6),
                "word": entity.word,
                "start": entity.span.start,
                "end": entity.span.end,
            }
            for entity, score in entities
        ],
    }
