"""Spans, label maps and the order of relations."""

from __future__ import annotations

import pytest

from kore.data.schema import Entity, Example, LabelMap, Span, entity_types, labels_in_order


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        (Span(0, 2), Span(2, 4), False),  # adjacent
        (Span(0, 3), Span(2, 4), True),
        (Span(0, 9), Span(3, 4), True),  # one inside the other
        (Span(3, 4), Span(3, 4), True),
        (Span(0, 1), Span(8, 9), False),
    ],
)
def test_overlap(first: Span, second: Span, overlap: bool) -> None:
    assert first.overlaps(second) is overlap
    assert second.overlaps(first) is overlap


def test_label_map_numbers_relations_in_order() -> None:
    labels = LabelMap(("a", "no_relation", "b"), "no_relation")
    assert len(labels) == 3
    assert labels.index(["b", "a", "b", "no_relation"]) == [2, 0, 2, 1]
    assert labels.positive == [0, 2]
    with pytest.raises(KeyError, match="c"):
        labels.index(["a", "c"])


def test_without_a_negative_relation_all_count() -> None:
    assert LabelMap(("a", "b"), None).positive == [0, 1]


def test_label_map_refuses_doubled_names_and_a_foreign_no_relation() -> None:
    with pytest.raises(ValueError, match="not unique"):
        LabelMap(("a", "b", "a"), None)
    with pytest.raises(ValueError, match="'none' is not among"):
        LabelMap(("a", "b"), "none")


def test_order_of_found_labels() -> None:
    found = ["b", "none", "a", "b", "가", "none"]
    assert labels_in_order(found, "none") == ("none", "a", "b", "가")
    assert labels_in_order(found, None) == ("a", "b", "none", "가")
    assert labels_in_order(["b", "a"], "none") == ("a", "b")  # it is not made up


def test_entity_types_are_sorted_and_named() -> None:
    span, untyped = Span(0, 1), Entity("가", Span(0, 1), "")
    rows = [
        Example("a", "가", Entity("가", span, "PER"), untyped),
        Example("b", "가", Entity("가", span, "ORG"), Entity("가", span, "PER")),
    ]
    assert entity_types(rows) == ("ORG", "PER")
