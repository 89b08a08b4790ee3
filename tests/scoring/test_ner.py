"""Scores of entities equal those of seqeval and scikit-learn, which KLUE's baseline calls."""

from __future__ import annotations

import random

import pytest
from seqeval.metrics import accuracy_score, classification_report
from seqeval.scheme import IOB2
from sklearn.metrics import f1_score

from kore.data.ner import spans_of, tags_of
from kore.data.schema import Entity, Span
from kore.scoring.ner import Counts, score_entities

TYPES = ("DT", "LC", "OG", "PS")
TAGS = ("O", *(f"{border}-{kind}" for kind in TYPES for border in "BI"))


def random_texts(seed: int, count: int = 60) -> list[list[str]]:
    """Tags of entities of random types, lengths and places."""
    generator = random.Random(seed)
    texts = []
    for _ in range(count):
        entities = []
        place = 0
        while place < 20:
            size = generator.randint(1, 4)
            if generator.random() < 0.5 and place + size <= 20:
                span = Span(place, place + size)
                entities.append(Entity("가" * size, span, generator.choice(TYPES[:3])))
            place += size
        texts.append(tags_of("가" * 20, entities))
    return texts


def worsened(texts: list[list[str]], seed: int) -> list[list[str]]:
    """The same with half of the texts of another."""
    others = random_texts(seed, len(texts))
    return [
        own if number % 2 else other
        for number, (own, other) in enumerate(zip(texts, others, strict=True))
    ]


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_seqeval(seed: int) -> None:
    gold = random_texts(seed)
    predicted = worsened(gold, seed + 100)
    scores = score_entities(
        [spans_of(tags) for tags in gold],
        [spans_of(tags) for tags in predicted],
        gold,
        predicted,
        TAGS,
    )
    report = classification_report(
        gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
    )
    assert scores.micro_f1 == pytest.approx(100 * report["micro avg"]["f1-score"])
    assert scores.counts.precision == pytest.approx(100 * report["micro avg"]["precision"])
    assert scores.counts.recall == pytest.approx(100 * report["micro avg"]["recall"])
    assert scores.macro_f1 == pytest.approx(100 * report["macro avg"]["f1-score"])
    for kind, counts in scores.by_type.items():
        assert counts.f1 == pytest.approx(100 * report[kind]["f1-score"])
        assert counts.gold == report[kind]["support"]
    assert scores.accuracy == pytest.approx(100 * accuracy_score(gold, predicted))
    # KLUE: all tags of the schema, and 1 for those that never occur (here those of PS).
    flat = [[TAGS.index(tag) for tags in side for tag in tags] for side in (gold, predicted)]
    character_f1 = f1_score(*flat, labels=range(len(TAGS)), average="macro", zero_division=1)
    assert scores.character_f1 == pytest.approx(100 * character_f1)
    assert 20 < scores.micro_f1 < 90


def test_a_border_that_is_off_by_one_counts_twice() -> None:
    gold, predicted = ["B-PS", "I-PS", "O"], ["B-PS", "O", "O"]
    scores = score_entities([spans_of(gold)], [spans_of(predicted)], [gold], [predicted], TAGS)
    assert scores.counts == Counts(right=0, predicted=1, gold=1)
    assert (scores.micro_f1, scores.counts.precision, scores.counts.recall) == (0, 0, 0)
    assert scores.accuracy == pytest.approx(200 / 3)


def test_nothing_found_and_nothing_to_find() -> None:
    scores = score_entities([[]], [[]], [["O"]], [["O"]], TAGS)
    assert (scores.micro_f1, scores.macro_f1, scores.character_f1) == (0, 0, 100)
