"""New rows from old ones: spans that fit, relations that hold, nothing drawn twice alike."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.builders import EXAMPLES, KLUE_RELATIONS, make_example

from kore.common.errors import UserError
from kore.data.records import write_examples
from kore.data.rows import read_examples
from kore.data.schema import Example, LabelMap
from kore.training.augmentation import (
    augmented,
    read_inverses,
    repeated,
    replaced,
    swapped,
    with_word,
    without_conflicts,
)
from kore.training.options import TrainOptions

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


def test_a_word_is_replaced_and_the_other_entity_moves_along():
    row = with_word(EXAMPLES[0], "subject", "한가람누리")
    assert row.sentence == "한가람누리는 해담전자의 사원이다."
    assert_spans_fit([row])
    row = with_word(EXAMPLES[0], "object", "별")
    assert row.sentence == "김도율은 별의 사원이다."
    assert_spans_fit([row])


@pytest.mark.parametrize(
    ("sentence", "word", "expected"),
    [
        ("나무가 꽃을 본다.", "숲", "숲이 꽃을 본다."),
        ("나무와 꽃이 있다.", "숲", "숲과 꽃이 있다."),
        ("나무로, 꽃이 간다.", "물", "물로, 꽃이 간다."),  # ㄹ
        ("나무가지에 꽃이 핀다.", "숲", "숲가지에 꽃이 핀다."),  # no particle
        ("나무는 꽃이다.", "漢字", "漢字는 꽃이다."),  # who knows how it is read
    ],
)
def test_particles_follow_the_new_word(sentence, word, expected):
    row = make_example("r", sentence, "나무", "꽃")
    assert with_word(row, "subject", word).sentence == expected


def test_an_entity_that_looks_like_a_particle_is_left_alone():
    row = make_example("r", "나무 가 있다.", "나무", "가")
    close = row._replace(
        sentence="나무가 있다.",
        object=row.object._replace(span=type(row.object.span)(2, 3)),
    )
    changed = with_word(close, "subject", "숲")
    assert changed.sentence == "숲가 있다."
    assert_spans_fit([changed])


def test_replaced_entities_keep_role_type_and_relation():
    rows = [*EXAMPLES, PARENT, CHILD]
    new = replaced(rows, 200, np.random.default_rng(0))
    assert len(new) == 200
    assert len({row.id for row in new}) == 200
    assert_spans_fit(new)
    by_id = {row.id: row for row in rows}
    subjects = {(row.subject.type, row.subject.word) for row in rows}
    for row in new:
        old = by_id[row.id.partition("-")[0]]
        assert row.label == old.label
        assert (row.subject.type, row.subject.word) in subjects
        assert (row.subject.word == old.subject.word) or (row.object.word == old.object.word)
    assert any(row.sentence not in {old.sentence for old in rows} for row in new)


def test_rare_relations_are_repeated_evenly():
    rows = [EXAMPLES[0]] + [EXAMPLES[1]._replace(id=f"n{i}") for i in range(3)]
    rows += [EXAMPLES[2]._replace(id=f"o{i}") for i in range(20)]
    new = repeated(rows, 8, np.random.default_rng(0))
    counts = Counter(row.label for row in [*rows, *new])
    assert counts == {"per:employee_of": 8, "no_relation": 8, "org:founded": 20}
    copies = Counter(row.id.partition("-")[0] for row in new if row.label == "no_relation")
    assert max(copies.values()) - min(copies.values()) <= 1
    assert len({row.id for row in [*rows, *new]}) == len(rows) + len(new)


def test_conflicts_go():
    again = PARENT._replace(id="again")
    other = PARENT._replace(id="other", label="per:siblings")
    assert without_conflicts([PARENT, again, other, CHILD]) == [PARENT, CHILD]
    assert without_conflicts([PARENT, other, CHILD]) == [CHILD]  # undecided


def test_flags_and_what_is_told(tmp_path, capsys):
    rows = [PARENT, PARENT._replace(id="again"), CHILD, *EXAMPLES]
    assert augmented(rows, TrainOptions(), KLUE) == rows
    assert capsys.readouterr().err == ""
    options = TrainOptions(
        drop_conflicts=True, swap_entities=str(SHIPPED), replace_entities=0.5, oversample_to=3
    )
    new = augmented(rows, options, KLUE)
    assert capsys.readouterr().err.startswith(
        "Training rows: 1 repeated or conflicting rows left out, 2 rows swapped, 4 rows with "
        "replaced entities, "
    )
    assert new == augmented(rows, options, KLUE)  # by the seed alone
    assert min(Counter(row.label for row in new).values()) >= 3
    # Whatever was made can be read as a user's file can.
    write_examples(tmp_path / "new.csv", new)
    again = read_examples(tmp_path / "new.csv", need_labels=True)
    assert [row.sentence for row in again] == [row.sentence for row in new]


def test_a_table_that_names_a_relation_twice_is_refused(tmp_path: Path):
    table = tmp_path / "table.json"
    table.write_text('{"per:parents": "per:children", "per:parents": "per:siblings"}')
    with pytest.raises(UserError, match=r"table\.json: .*'per:parents' stands there twice"):
        read_inverses(table, KLUE)
