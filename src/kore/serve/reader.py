"""The models behind the routes: many questions in, as many answers out. Nothing of HTTP is here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kore.data.emotion import JudgedText
from kore.data.schema import Example
from kore.extraction.pipeline import Extraction, Extractor
from kore.network.tagger_file import TrainedTagger
from kore.prediction.api import Model, Prediction
from kore.prediction.judging import Judge
from kore.prediction.tagging import answer_of
from kore.serve.forms import klue_groups


class Reader:
    """A tagger and a relation model, loaded.

    Args:
        extractor: of both, with the least `min_probability` that anybody may ask for.
        model: the relation model by itself, on the same weights.
        names: where the tagger and the relation model were read.
        judge: the labels of texts, such as emotions; None = nobody can ask for them.
    """

    def __init__(
        self,
        tagger: TrainedTagger,
        extractor: Extractor,
        model: Model,
        names: tuple[str, str],
        judge: Judge | None = None,
    ) -> None:
        self.emotions = judge.labels if judge else ()
        self._judge = judge
        self.entity_types = tagger.types
        self.relations = model.labels
        self.names = names
        self._groups = klue_groups(tagger.types)
        self._extractor = extractor
        self._model = model

    def infer(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Entities in KLUE-NER's groups."""
        found = self._extractor.finder(texts)
        return [
            answer_of(
                text,
                [
                    hit._replace(entity=hit.entity._replace(type=self._groups[hit.entity.type]))
                    for hit in hits
                ],
            )
            for text, hits in zip(texts, found, strict=True)
        ]

    def extract(self, texts: Sequence[str]) -> list[Extraction]:
        """Entities and triples, however improbable."""
        return self._extractor(texts)

    def judge(self, texts: Sequence[JudgedText]) -> list[list[dict[str, Any]]]:
        """Each label of each text: whether it is true, and how probable."""
        assert self._judge is not None
        found = self._judge(texts)
        return [
            [
                {"label": label, "is_true": bool(truth), "probability": round(float(prob), 6)}
                for label, truth, prob in zip(self.emotions, truths, probs, strict=True)
            ]
            for truths, probs in zip(found.truths, found.probs, strict=True)
        ]

    def predict(self, examples: Sequence[Example]) -> list[Prediction]:
        """The relation of each marked pair."""
        return self._model.predict_many(examples)
