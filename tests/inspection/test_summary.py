"""The numbers behind the pictures, counted by hand."""

from __future__ import annotations

import pytest
from tests.builders import make_example

from kore.inspection.summary import (
    conflicting_labels,
    entity_position,
    label_counts,
    source_counts,
    subjects_first,
    type_pairs,
    words_by_relation,
)

SENTENCE = "김도율은 해담전자의 사원이다."  # 16 characters
ROWS = [
    make_example("a", SENTENCE, "김도율", "해담전자", "소속"),
    make_example("b", SENTENCE, "해담전자", "김도율", "no_relation"),
    make_example("c", SENTENCE, "김도율", "해담전자", "no_relation")._replace(source="wikipedia"),
    make_example("d", SENTENCE, "김도율", "사원", "no_relation"),
]


def test_labels_and_sources_are_counted_most_frequent_first() -> None:
    assert list(label_counts(ROWS).items()) == [("no_relation", 3), ("소속", 1)]
    assert source_counts([*ROWS[2:3], ROWS[0]._replace(source="")]) == {"wikipedia": 1, "(none)": 1}
    assert label_counts([ROWS[0]._replace(label=None)]) == {"(no label)": 1}


def test_type_pairs() -> None:
    rows = [ROWS[0], ROWS[1], ROWS[3]]
    for number, types in enumerate([("PER", "ORG"), ("ORG", "PER"), ("PER", "ORG")]):
        subject = rows[number].subject._replace(type=types[0])
        object_ = rows[number].object._replace(type=types[1])
        rows[number] = rows[number]._replace(subject=subject, object=object_)
    table = type_pairs(rows)
    assert table.loc["no_relation"].to_dict() == {"ORG-PER": 1, "PER-ORG": 1}
    assert table.loc["소속"].to_dict() == {"ORG-PER": 0, "PER-ORG": 1}
    assert table.to_numpy().sum() == 3
    assert list(table.index) == ["no_relation", "소속"]


def test_words() -> None:
    words = words_by_relation(ROWS, "subject")
    assert words == {"no_relation": {"해담전자": 1, "김도율": 2}, "소속": {"김도율": 1}}
    assert words_by_relation(ROWS, "object")["소속"] == {"해담전자": 1}


def test_where_entities_stand() -> None:
    assert subjects_first(ROWS) == 3
    assert entity_position(ROWS[0], "subject") == 0.0
    assert entity_position(ROWS[0], "object") == pytest.approx(5 / len(SENTENCE))


def test_conflicting_labels() -> None:
    """a and c ask the same; so do three more rows, of which two agree."""
    other = [ROWS[3]._replace(id=name, label=name) for name in ("가", "나")]
    found = conflicting_labels([*ROWS, *other, ROWS[3]._replace(id="e")])
    assert found == {
        ("no_relation", "소속"): 1,
        ("no_relation", "가"): 1,
        ("no_relation", "나"): 1,
        ("가", "나"): 1,
    }
    assert conflicting_labels(ROWS[:2]) == {}
