"""New examples from old ones: spans that fit, relations that hold, conflicts left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.builders import EXAMPLES, KLUE_RELATIONS, make_example

from kore.common.errors import UserError
from kore.data.inverses import read_inverses
from kore.data.records import write_examples
from kore.data.rows import read_examples
from kore.data.schema import Example, LabelMap
from kore.training.augmentation import swapped, without_conflicts

KLUE = LabelMap(KLUE_RELATIONS, "no_relation")
SHIPPED = Path(__file__).resolve().parents[2] / "src" / "kore" / "resources" / "klue_inverses.json"

PARENT = make_example(
    "p", "김하늘은 김바다의 딸이다.", "김하늘", "김바다", "per:parents", ("PER", "PER")
)
CHILD = make_example(
    "child", "박산은 박강을 낳았다.", "박산", "박강", "per:children", ("PER", "PER")
)


def write_table(path: Path, table: Any) -> Path:
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def assert_spans_fit(rows: list[Example]) -> None:
    for row in rows:
        for entity in (row.subject, row.object):
            assert row.sentence[entity.span.start : entity.span.end] == entity.word
        assert not row.subject.span.overlaps(row.object.span)


def test_klues_own_table_and_both_directions():
    inverses = read_inverses(SHIPPED, KLUE)
    assert inverses["org:members"] == "org:member_of"
    assert inverses["org:member_of"] == "org:members"
    assert inverses["per:spouse"] == "per:spouse"
    assert "no_relation" not in inverses
    assert all(inverses[inverse] == name for name, inverse in inverses.items())


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            {"per:parents": "per:children", "per:children": "per:siblings"},
            "contradicts itself: the inverse of per:children is per:parents and per:siblings",
        ),
        ({"per:parent": "per:children"}, "'per:parent' is not one of the 30 relations; did you"),
        ({"per:parents": 3}, "3 is not one of the 30 relations"),
        (["per:parents"], "expected an object such as"),
    ],
)
def test_faulty_tables(tmp_path, table, expected):
    with pytest.raises(UserError) as caught:
        read_inverses(write_table(tmp_path / "table.json", table), KLUE)
    assert expected in str(caught.value)


def test_swapped_rows_have_the_inverse_relation():
    inverses = {"per:parents": "per:children", "per:children": "per:parents"}
    first, second = swapped([PARENT, CHILD, EXAMPLES[0]], inverses)
    assert (first.subject, first.object, first.label) == (
        PARENT.object,
        PARENT.subject,
        "per:children",
    )
    assert second.label == "per:parents"
    assert_spans_fit([first, second])
    assert len({first.id, second.id, PARENT.id, CHILD.id}) == 4


def test_rows_are_swapped_only_where_such_types_have_the_inverse():
    inverses = {"per:parents": "per:children", "per:children": "per:parents"}
    assert swapped([PARENT], inverses) == []  # no row has the inverse at all
    odd = CHILD._replace(subject=CHILD.subject._replace(type="ORG"))
    assert swapped([PARENT, odd], inverses) == []


def test_a_question_that_is_asked_already_is_not_asked_again():
    inverse = PARENT._replace(
        id="i", subject=PARENT.object, object=PARENT.subject, label="per:children"
    )
    assert swapped([PARENT, inverse], {"per:parents": "per:children"}) == []


def test_conflicts_go():
    again = PARENT._replace(id="again")
    other = PARENT._replace(id="other", label="per:siblings")
    assert without_conflicts([PARENT, again, other, CHILD]) == [PARENT, CHILD]
    assert without_conflicts([PARENT, other, CHILD]) == [CHILD]  # undecided


def test_new_examples_can_be_read_as_a_users_file_can(tmp_path):
    inverses = read_inverses(SHIPPED, KLUE)
    new = swapped([PARENT, CHILD, *EXAMPLES], inverses)
    write_examples(tmp_path / "new.csv", new)
    again = read_examples(tmp_path / "new.csv", need_labels=True)
    assert [(row.sentence, row.label) for row in again] == [
        ("김하늘은 김바다의 딸이다.", "per:children"),
        ("박산은 박강을 낳았다.", "per:parents"),
    ]


def test_a_table_that_names_a_relation_twice_is_refused(tmp_path: Path):
    table = tmp_path / "table.json"
    table.write_text('{"per:parents": "per:children", "per:parents": "per:siblings"}')
    with pytest.raises(UserError, match=r"table\.json: .*'per:parents' occurs twice"):
        read_inverses(table, KLUE)
