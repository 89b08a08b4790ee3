"""Questions about pairs, and facts of their answers, each once."""

from __future__ import annotations

import numpy as np

from kore.data.schema import Entity, Example, LabelMap, Span
from kore.extraction.triples import Answer, answers, facts, questions

TEXT = "가나 다라 마바"
ONE, TWO, THREE = (
    Entity(TEXT[start : start + 2], Span(start, start + 2), kind)
    for start, kind in ((0, "PER"), (3, "ORG"), (6, "DAT"))
)
LABELS = LabelMap(("no_relation", "employee_of", "employs", "spouse"), "no_relation")
INVERSES = {"employee_of": "employs", "employs": "employee_of", "spouse": "spouse"}


def pairs(asked: list[Example]) -> list[tuple[str, str]]:
    return [(row.subject.word, row.object.word) for row in asked]


def test_every_pair_is_asked_about_in_both_directions() -> None:
    asked = list(questions(TEXT, [ONE, TWO, THREE], []))
    assert pairs(asked) == [
        *[("가나", "다라"), ("다라", "가나"), ("가나", "마바"), ("마바", "가나")],
        *[("다라", "마바"), ("마바", "다라")],
    ]
    assert {row.sentence for row in asked} == {TEXT}


def test_types_the_relation_model_has_not_seen_together_are_left_out() -> None:
    seen = [("PER", "ORG"), ("ORG", "PER"), ("PER", "DAT")]
    assert pairs(list(questions(TEXT, [ONE, TWO, THREE], seen))) == [
        *[("가나", "다라"), ("다라", "가나"), ("가나", "마바")]
    ]
    assert list(questions(TEXT, [ONE], [])) == []


def test_a_pair_that_was_asked_about_in_one_direction() -> None:
    asked = list(questions(TEXT, [ONE, TWO, THREE], [("PER", "DAT"), ("ORG", "PER")]))
    assert pairs(asked) == [("다라", "가나"), ("가나", "마바")]
    answered = [Answer("employs", 0.6), Answer("spouse", 0.7)]
    found = facts(asked, answered, LABELS, INVERSES)
    assert [(t.subject.word, t.relation, t.object.word) for t in found] == [
        ("다라", "employs", "가나"),
        ("가나", "spouse", "마바"),
    ]


def test_overlapping_entities_are_no_pair() -> None:
    wide = Entity(TEXT[0:5], Span(0, 5), "ORG")
    assert pairs(list(questions(TEXT, [ONE, wide, THREE], []))) == [
        *[("가나", "마바"), ("마바", "가나"), ("가나 다라", "마바"), ("마바", "가나 다라")]
    ]


def test_pairs_that_are_far_apart_are_left_out() -> None:
    """A line of 10 MB has as many pairs as it is long."""
    text = ("가나 " + "x" * 97) * 200
    entities = [Entity("가나", Span(start, start + 2), "PER") for start in range(0, len(text), 100)]
    asked = list(questions(text, entities, []))
    distances = {abs(row.subject.span.start - row.object.span.start) for row in asked}
    assert distances == {100, 200, 300}
    assert len(asked) == 2 * (199 + 198 + 197)


def test_the_most_probable_relation_answers() -> None:
    probs = np.asarray([[0.1, 0.6, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1]])
    assert answers(probs, LABELS) == [Answer("employee_of", 0.6), Answer("no_relation", 0.7)]


def stated(*answered: tuple[str, float], least: float = 0.0) -> list[tuple[str, str, str, float]]:
    asked = list(questions(TEXT, [ONE, TWO], []))
    found = facts(asked, [Answer(*one) for one in answered], LABELS, INVERSES, least)
    return [(t.subject.word, t.relation, t.object.word, t.probability) for t in found]


def test_one_fact_for_two_entities() -> None:
    assert stated(("employee_of", 0.6), ("employs", 0.8)) == [("다라", "employs", "가나", 0.8)]
    assert stated(("employee_of", 0.9), ("employs", 0.8)) == [("가나", "employee_of", "다라", 0.9)]
    assert stated(("employee_of", 0.9), ("spouse", 0.8)) == [("가나", "employee_of", "다라", 0.9)]
    assert stated(("no_relation", 0.9), ("employs", 0.5)) == [("다라", "employs", "가나", 0.5)]
    assert stated(("no_relation", 0.9), ("no_relation", 0.5)) == []


def test_a_symmetric_relation_is_stated_in_the_order_of_the_text() -> None:
    assert stated(("spouse", 0.5), ("spouse", 0.7)) == [("가나", "spouse", "다라", 0.7)]


def test_improbable_facts_are_left_out() -> None:
    assert stated(("employee_of", 0.6), ("no_relation", 0.8), least=0.61) == []
    assert len(stated(("employee_of", 0.6), ("no_relation", 0.8), least=0.6)) == 1


def test_a_schema_without_such_a_relation() -> None:
    labels = LabelMap(("employee_of", "employs"), None)
    asked = list(questions(TEXT, [ONE, TWO], []))
    answered = [Answer("employee_of", 0.6), Answer("employs", 0.4)]
    assert len(facts(asked, answered, labels, {})) == 1
