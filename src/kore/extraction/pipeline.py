"""Texts -> sentences -> entities -> relations -> triples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kore.common.flags import BATCH_TOKENS
from kore.data.schema import Entity, Example, Span
from kore.extraction.sentences import Sentence, Splitter, by_line
from kore.extraction.triples import Answer, Triple, answers, facts, questions
from kore.network.shared_encoder import TextMemory, can_share, sharing
from kore.network.tagger_file import TrainedTagger
from kore.network.trained import TrainedModel
from kore.prediction.predictor import Compute, Predictor, prepared
from kore.prediction.tagging import EntityFinder, FoundEntity

SENTENCES_AT_ONCE = 1_024
KEPT_SENTENCES = 64  # where keys and values of all their tokens are kept, see shared_encoder.py


class SentenceFacts(NamedTuple):
    """What was found in a sentence; all spans are in characters of the document."""

    sentence: Sentence
    entities: list[FoundEntity]
    triples: list[Triple]


class Extraction(NamedTuple):
    """What was found in a document."""

    sentences: list[SentenceFacts]

    @property
    def entities(self) -> list[FoundEntity]:
        """Of all sentences, in order."""
        return [one for part in self.sentences for one in part.entities]

    @property
    def triples(self) -> list[Triple]:
        """Of all sentences, in order."""
        return [one for part in self.sentences for one in part.triples]

    def at_least(self, probability: float) -> Extraction:
        """The same without the triples that are less probable."""
        return Extraction(
            [
                part._replace(
                    triples=[one for one in part.triples if one.probability >= probability]
                )
                for part in self.sentences
            ]
        )


class RelationAsker:
    """A relation model on its device that answers questions. Threads may share it.

    Args:
        batch_tokens: most tokens computed at once, padding included.
    """

    def __init__(
        self, relations: TrainedModel, compute: Compute, batch_tokens: int = BATCH_TOKENS
    ) -> None:
        self.relations = relations
        encoder = relations.input_encoder
        self._predictor = Predictor(prepared(relations, compute), encoder, compute, batch_tokens)

    def __call__(self, asked: Sequence[Example]) -> list[Answer]:
        """The most probable relation of each question."""
        if not asked:
            return []
        rows = self.relations.input_encoder.encode(asked, quiet=True)
        return answers(self._predictor.probs(rows), self.relations.labels)


class Extractor:
    """A tagger and a relation model that read texts together. Threads may share it.

    Where both have one encoder and markers stand behind the text, it is read once for both
    (`shares_encoder`).

    Args:
        inverses: relations and those of the other direction, both ways.
        min_probability: facts that are less probable are left out.
        batch_tokens: most tokens computed at once, padding included.
    """

    def __init__(
        self,
        tagger: TrainedTagger,
        relations: TrainedModel,
        compute: Compute,
        *,
        inverses: Mapping[str, str] | None = None,
        split: Splitter = by_line,
        min_probability: float = 0.0,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        self._memory = TextMemory()
        self.shares_encoder = can_share(tagger, relations)
        asked = relations
        if self.shares_encoder:
            tagger, asked = sharing(tagger, relations, self._memory)
        self.finder = EntityFinder(tagger, compute, batch_tokens)
        self._asker = RelationAsker(asked, compute, batch_tokens)
        self._relations = relations
        self._inverses = inverses or {}
        self._split = split
        self._min_probability = min_probability

    def __call__(self, documents: Sequence[str]) -> list[Extraction]:
        """What is found in each document, their sentences computed together."""
        split = [self._split(document) for document in documents]
        flat = [sentence for own in split for sentence in own]
        # A document may be a book: the pairs of all its sentences at once would fill the memory.
        step = KEPT_SENTENCES if self.shares_encoder else SENTENCES_AT_ONCE
        found = iter(
            facts
            for start in range(0, len(flat), step)
            for facts in self._read(flat[start : start + step])
        )
        return [Extraction([next(found) for _ in own]) for own in split]

    def _read(self, sentences: Sequence[Sentence]) -> list[SentenceFacts]:
        pairs = set(self._relations.type_pairs)
        with self._memory.kept():
            entities = self.finder([sentence.text for sentence in sentences])
            asked = [
                list(questions(sentence.text, [hit.entity for hit in own], pairs))
                for sentence, own in zip(sentences, entities, strict=True)
            ]
            answered = iter(self._asker([row for own in asked for row in own]))
        return [
            self._facts(sentence, hits, rows, [next(answered) for _ in rows])
            for sentence, hits, rows in zip(sentences, entities, asked, strict=True)
        ]

    def _facts(
        self,
        sentence: Sentence,
        hits: Sequence[FoundEntity],
        asked: Sequence[Example],
        answered: Sequence[Answer],
    ) -> SentenceFacts:
        labels = self._relations.labels
        triples = facts(asked, answered, labels, self._inverses, self._min_probability)
        moved = [
            one._replace(
                subject=_moved(one.subject, sentence.start),
                object=_moved(one.object, sentence.start),
            )
            for one in triples
        ]
        entities = [hit._replace(entity=_moved(hit.entity, sentence.start)) for hit in hits]
        return SentenceFacts(sentence, entities, moved)


class PairReader:
    """A relation model that is asked about given pairs alone. Threads may share it.

    Args:
        min_probability: facts that are less probable are left out.
    """

    def __init__(self, asker: RelationAsker, *, min_probability: float = 0.0) -> None:
        self._asker = asker
        self._min_probability = min_probability

    def __call__(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        """A record for each example, as of extraction: its pair, and the triple if there is one."""
        return [
            self._record(example, answer)
            for example, answer in zip(examples, self._asker(examples), strict=True)
        ]

    def _record(self, example: Example, answer: Answer) -> dict[str, Any]:
        labels = self._asker.relations.labels
        found = facts([example], [answer], labels, {}, self._min_probability)
        return {
            "document": example.id,
            "start": 0,
            "sentence": example.sentence,
            "entities": [_as_json(example.subject), _as_json(example.object)],
            "triples": [_triple_as_json(one) for one in found],
        }


def _moved(entity: Entity, offset: int) -> Entity:
    start, end = entity.span
    return entity._replace(span=Span(start + offset, end + offset))


def records_of(document_id: str, extraction: Extraction) -> list[dict[str, Any]]:
    """A record for each sentence, as JSON holds it; spans are in characters of the document."""
    return [
        {
            "document": document_id,
            "start": part.sentence.start,
            "sentence": part.sentence.text,
            "entities": [
                {**_as_json(hit.entity), "score": round(hit.score, 6)} for hit in part.entities
            ],
            "triples": [_triple_as_json(one) for one in part.triples],
        }
        for part in extraction.sentences
    ]


def _triple_as_json(triple: Triple) -> dict[str, Any]:
    return {
        "subject": _as_json(triple.subject),
        "relation": triple.relation,
        "object": _as_json(triple.object),
        "probability": round(triple.probability, 6),
    }


def _as_json(entity: Entity) -> dict[str, Any]:
    start, end = entity.span
    return {"word": entity.word, "type": entity.type, "start": start, "end": end}
