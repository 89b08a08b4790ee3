"""Entities as what a run learns: texts whose every character has a tag."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from kore.data.ner import OUTSIDE, TaggedText, tags_of
from kore.data.schema import Entity
from kore.data.tagging import UNKNOWN, EncodedWindow, TextBatch, composed
from kore.network.tagger import TagSets
from kore.network.tagger_file import TAGGER_KIND, TrainedTagger, tagger_payload
from kore.prediction.predictor import compute_shared
from kore.prediction.tagging import SMALLEST, find_entities, text_probs
from kore.scoring.ner import EntityScores, score_entities
from kore.training.ngram_fit import fit_character_ngrams
from kore.training.objective import Objective, Validated

TAGGER_STATE_KIND = "kore-tagger-training-state"
UNKNOWN_TAG, NOT_INSIDE = "?", "B or O"
# Below 0 for the sum of an encoder and n-grams, both of which know how common O is.
_BIASES = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


class EncodedTexts(NamedTuple):
    """Texts ready for a tagger.

    windows: of each text. tags: of each text's composed characters; UNKNOWN_TAG where nothing is
        known of one, NOT_INSIDE where it is no I-.
    """

    texts: Sequence[TaggedText]
    windows: list[list[EncodedWindow]]
    tags: list[list[str]]


class TaggingObjective(Objective):
    """The entities of training and validation texts.

    Args:
        about: the data, in words.
    """

    model_kind, state_kind = TAGGER_KIND, TAGGER_STATE_KIND

    def __init__(
        self, trained: TrainedTagger, train_data: EncodedTexts, valid_data: EncodedTexts, about: str
    ) -> None:
        self.trained: TrainedTagger = trained
        self.about = about
        self.valid_data = valid_data
        not_inside = [tag for tag in trained.tags if not tag.startswith("I-")]
        self.tag_sets = TagSets(trained.tags, [not_inside])
        self._windows, self._targets = _targets_of(train_data, trained.tags)

    def fit_ngrams(self, seed: int) -> None:
        """Fits the linear part of a new tagger, where it has one."""
        head = self.trained.tagger.ngrams
        if head is not None:
            fit_character_ngrams(head, self._windows, self._targets, self.tag_sets, seed)

    @property
    def lengths(self) -> Sequence[int]:
        return [window.length for window in self._windows]

    def batch(self, numbers: NDArray[Any], device: torch.device) -> TextBatch:
        """The training windows of these numbers."""
        rows = [self._windows[i] for i in numbers]
        targets = [self._targets[i] for i in numbers]
        return TextBatch.collate(rows, self.trained.encoder.pad_id, targets).to(device)

    def losses(self, model: Callable[..., Any], batch: TextBatch) -> Tensor:
        """(B,) the mean cross-entropy of each window's characters."""
        assert batch.targets is not None
        return self.tag_sets.losses(model(*batch.inputs), batch.targets)

    def validate(
        self,
        model: nn.Module,
        accelerator: Accelerator,
        require_finite: Callable[[float], None],
    ) -> Validated:
        """Scores the entities found in the validation texts."""
        data, tags = self.valid_data, self.trained.tags
        bias = self.trained.tagger.outside_bias.fill_(0.0)
        flat = [window for row in data.windows for window in row]
        computed = compute_shared(model, flat, self.trained.encoder, accelerator)
        require_finite(float(sum(probs.sum() for _, probs in computed)))
        probs = text_probs(computed, data.windows)
        number = {tag: place for place, tag in enumerate(tags)}
        losses = [
            -np.log(np.maximum(own[np.arange(len(own)), [number[tag] for tag in gold]], SMALLEST))
            for own, gold in zip(probs, data.tags, strict=True)
        ]
        value, scores = best_outside_bias(data, probs, tags)
        bias.fill_(value)
        row = {
            "valid_loss": float(np.concatenate(losses).mean()),
            **scores.as_dict(),
            "outside_bias": value,
        }
        summary = f"{in_words(row)}, accuracy {scores.accuracy:.2f}"
        by_type = {kind: list(counts) for kind, counts in scores.by_type.items()}
        return Validated(row, summary, {"by_type": by_type})

    def payload(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return tagger_payload(self.trained)


def in_words(row: Mapping[str, Any]) -> str:
    """The scores of a row of the log, as part of a sentence."""
    return (
        f"precision {row['precision']:.2f}, recall {row['recall']:.2f}, micro-F1 "
        f"{row['micro_f1']:.2f}, macro-F1 {row['macro_f1']:.2f}, character F1 "
        f"{row['character_f1']:.2f}"
    )


def encode_texts(trained: TrainedTagger, texts: Sequence[TaggedText]) -> EncodedTexts:
    """Windows and tags of texts, counted in their composed characters."""
    forms = [composed(row.text) for row in texts]
    tags = []
    for row, form in zip(texts, forms, strict=True):
        own = [Entity(e.word, form.in_composed(e.span), e.type) for e in row.entities]
        known = tags_of(form.text, own)
        tags.append(known if row.is_complete else _partial(known, own))
    return EncodedTexts(texts, trained.encoder.encode([form.text for form in forms]), tags)


def count_entities(texts: Sequence[TaggedText]) -> int:
    """How many entities the texts have together."""
    return sum(len(row.entities) for row in texts)


def inside_tokens(data: EncodedTexts) -> int:
    """How many entities begin or end inside a token, where no tag of tokens could find them."""
    count = 0
    for row, windows in zip(data.texts, data.windows, strict=True):
        places = [place for window in windows for place in window.places]
        form = composed(row.text)
        for entity in row.entities:
            start, end = form.in_composed(entity.span)
            count += any(place < len(places) and places[place] > 1 for place in (start, end))
    return count


def _partial(tags: list[str], entities: Sequence[Entity]) -> list[str]:
    """What is known where there may be other entities: the marked ones, and that they end."""
    known = [UNKNOWN_TAG if tag == OUTSIDE else tag for tag in tags]
    for entity in entities:
        if entity.span.end < len(known) and known[entity.span.end] == UNKNOWN_TAG:
            known[entity.span.end] = NOT_INSIDE
    return known


def best_outside_bias(
    data: EncodedTexts, probs: Sequence[Any], tags: Sequence[str]
) -> tuple[float, EntityScores]:
    """What to add to the logit of O so that most entities are right (micro-F1), and the scores.

    A tagger that has learned from marked entities alone finds too many: no example taught it O.
    """
    outside = np.asarray([tag == OUTSIDE for tag in tags])
    found = []
    for bias in _BIASES:
        weighed = [own * np.exp(bias * outside) for own in probs]
        shares = [own / own.sum(axis=1, keepdims=True) for own in weighed]
        found.append((bias, scores_of(data, shares, tags)))
    return max(found, key=lambda pair: (pair[1].micro_f1, -abs(pair[0])))


def scores_of(data: EncodedTexts, probs: Sequence[Any], tags: Sequence[str]) -> EntityScores:
    """Of the entities that the probabilities (S, K) of each text make."""
    gold, found, found_tags = [], [], []
    for row, own in zip(data.texts, probs, strict=True):
        form = composed(row.text)
        entities = [hit.entity for hit in find_entities(row.text, form, own, tags)]
        gold.append([(entity.span, entity.type) for entity in row.entities])
        found.append([(entity.span, entity.type) for entity in entities])
        spans = [Entity(e.word, form.in_composed(e.span), e.type) for e in entities]
        found_tags.append(tags_of(form.text, spans))
    return score_entities(gold, found, data.tags, found_tags, tags)


def _targets_of(
    data: EncodedTexts, tags: Sequence[str]
) -> tuple[list[EncodedWindow], list[list[int]]]:
    """All windows, and the target of each of their characters."""
    target = {tag: number for number, tag in enumerate([*tags, NOT_INSIDE], start=1)}
    target[UNKNOWN_TAG] = UNKNOWN
    windows: list[EncodedWindow] = []
    targets: list[list[int]] = []
    for row, own in zip(data.windows, data.tags, strict=True):
        for window in row:
            part = own[window.first : window.first + len(window.tokens)]
            windows.append(window)
            targets.append([target[tag] for tag in part])
    return windows, targets
