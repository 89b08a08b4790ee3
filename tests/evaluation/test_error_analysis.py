"""Kinds of error and of rows, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tests.builders import make_example

from kore.data.schema import LabelMap, entity_distance
from kore.evaluation.error_analysis import (
    BY_PAIR,
    NEW,
    SEEN,
    ErrorKinds,
    changed_rows,
    confident_errors,
    error_kinds,
    slices,
)

LABELS = LabelMap(("no_relation", "A", "B"), "no_relation")
SENTENCE = "김도율은 해담전자의 사원이다."
ROWS = [
    make_example("r0", SENTENCE, "김도율", "해담전자", "A"),
    make_example("r1", SENTENCE, "해담전자", "김도율", "no_relation"),
    make_example("r2", SENTENCE + " " + "가" * 60, "김도율", "해담전자", "B"),
    make_example("r3", SENTENCE, "김도율", "사원", "A"),
]
GOLD = np.array([1, 0, 2, 1])
PROBS = np.array([[0.1, 0.8, 0.1], [0.0, 0.3, 0.7], [0.9, 0.0, 0.1], [0.3, 0.1, 0.6]])
PREDICTED = PROBS.argmax(axis=1)  # A right, a false B, a missed B, A taken for B


def test_kinds_of_error() -> None:
    kinds = error_kinds(GOLD, PREDICTED, LABELS)
    assert kinds == ErrorKinds(right=1, false_relations=1, missed_relations=1, mix_ups=1)


def test_without_a_negative_relation_every_error_is_a_mix_up() -> None:
    kinds = error_kinds(GOLD, PREDICTED, LabelMap(LABELS.names, None))
    assert kinds == ErrorKinds(right=1, false_relations=0, missed_relations=0, mix_ups=3)


def test_characters_between_the_entities() -> None:
    assert [entity_distance(row) for row in ROWS] == [2, 2, 2, 8]


def test_slices_by_hand() -> None:
    table = slices(ROWS, GOLD, PREDICTED, LABELS)
    lengths = table[table["by"] == "characters of the sentence"]
    assert lengths["value"].tolist() == ["0-49", "50-99"]
    assert lengths["rows"].tolist() == [3, 1]
    # the three short rows: a hit, a false relation, a mix-up (false for B, missed for A)
    assert lengths["micro_f1"].tolist() == pytest.approx([100 * 2 / (2 + 2 + 1), 0.0])
    assert lengths["accuracy"].tolist() == pytest.approx([100 / 3, 0.0])
    assert lengths["missed_relations"].tolist() == [0, 1]
    distances = table[table["by"] == "characters between the entities"]
    assert dict(zip(distances["value"], distances["rows"], strict=True)) == {"0-4": 3, "5-9": 1}
    assert (table.groupby("by")["rows"].sum() == 4).all()


def test_pairs_that_stand_in_training_by_hand() -> None:
    learned = [make_example("t", "해담전자의 김도율이다.", "해담전자", "김도율", "B")]
    table = slices(ROWS, GOLD, PREDICTED, LABELS, learned)
    pairs = table[table["by"] == BY_PAIR]
    assert pairs["value"].tolist() == [SEEN, NEW]
    assert pairs["rows"].tolist() == [3, 1]  # in either order; r3 alone is about another pair
    assert pairs["accuracy"].tolist() == pytest.approx([100 / 3, 0.0])
    assert BY_PAIR not in set(slices(ROWS, GOLD, PREDICTED, LABELS)["by"])


def test_errors_come_most_confident_first() -> None:
    table = confident_errors(ROWS, GOLD, PROBS, LABELS)
    assert table["id"].tolist() == ["r2", "r1", "r3"]
    assert table["kind"].tolist() == ["missed_relations", "false_relations", "mix_ups"]
    first = table.iloc[0]
    assert (first["gold"], first["predicted"]) == ("B", "no_relation")
    assert (first["probability"], first["gold_probability"]) == (0.9, 0.1)
    assert (first["subject"], first["object"]) == ("김도율", "해담전자")
    assert first["sentence"] == ROWS[2].sentence


def test_no_error_gives_an_empty_table_with_its_columns() -> None:
    table = confident_errors(ROWS, PREDICTED, PROBS, LABELS)
    assert len(table) == 0
    assert "sentence" in table.columns


def test_changed_rows() -> None:
    """r0 was wrong in the second file, r1 is right there, r3 is wrong in both, r2 is the same."""
    second = np.array([0, 0, 0, 0])
    table = changed_rows(ROWS, GOLD, PREDICTED, second, LABELS)
    assert table["id"].tolist() == ["r0", "r1", "r3"]
    assert table["change"].tolist() == ["won", "lost", "both wrong"]
    assert table["first"].tolist() == ["A", "B", "B"]
