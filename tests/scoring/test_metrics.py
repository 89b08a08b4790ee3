"""The scores against counts and areas worked out by hand."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from tests.builders import KLUE_RELATIONS

from kore.data.label_files import load_label_map
from kore.data.options import SchemaOptions
from kore.data.schema import LabelMap
from kore.scoring.metrics import (
    RelationScore,
    ReliabilityBin,
    auprc,
    expected_calibration_error,
    micro_f1,
    per_relation,
    reliability,
    score,
)

NAMES = ("no_relation", "A", "B")
LABELS = LabelMap(NAMES, "no_relation")

# row        1  2  3  4  5  6  7
GOLD = np.array([0, 0, 1, 1, 2, 2, 0])
PREDICTED = np.array([0, 1, 1, 2, 2, 0, 0])
# A: hit in row 3, false in row 2 (gold no_relation), missed in row 4
# B: hit in row 5, false in row 4, missed in row 6


def test_micro_f1_counts_a_false_relation_on_a_no_relation_row():
    # 2 hits, 2 false, 2 missed: 2 * 2 / (2 * 2 + 2 + 2). Without row 2 it would be 57.1.
    assert micro_f1(GOLD, PREDICTED, LABELS.positive) == pytest.approx(50.0)


def test_micro_f1_counts_no_relation_where_it_is_a_relation_as_any_other():
    assert micro_f1(GOLD, PREDICTED, [0, 1, 2]) == pytest.approx(100 * 4 / 7)


def test_micro_f1_without_any_relation_is_0():
    nothing = np.zeros(3, dtype=np.int64)
    assert micro_f1(nothing, nothing, LABELS.positive) == 0


def test_micro_f1_depends_on_which_relation_is_no_relation():
    # Without B: no_relation has 2 hits (rows 1, 7), 1 false (6), 1 missed (2); A has 1, 1, 1.
    assert micro_f1(GOLD, PREDICTED, LabelMap(NAMES, "B").positive) == pytest.approx(
        100 * 2 * 3 / (2 * 3 + 2 + 2)
    )


def near(value: float) -> Any:
    return pytest.approx(value, abs=1e-6)


def test_per_relation_by_hand():
    assert per_relation(GOLD, PREDICTED, NAMES) == (
        # 2 of 3 predictions right, 2 of 3 gold rows found
        RelationScore("no_relation", near(200 / 3), near(200 / 3), near(200 / 3), 3, 3),
        RelationScore("A", near(50), near(50), near(50), 2, 2),
        RelationScore("B", near(50), near(50), near(50), 2, 2),
    )


def test_per_relation_tells_precision_from_recall_and_knows_absent_relations():
    gold, predicted = np.array([1, 1, 1, 0]), np.array([1, 0, 0, 0])
    assert per_relation(gold, predicted, NAMES) == (
        RelationScore("no_relation", near(100 / 3), 100.0, 50.0, 1, 3),
        RelationScore("A", 100.0, near(100 / 3), 50.0, 3, 1),
        RelationScore("B", 0.0, 0.0, 0.0, 0, 0),
    )


def two_columns(second: list[float]) -> np.ndarray:
    return np.array([[1 - value, value] for value in second])


def test_auprc_by_hand():
    """Gold 1 0 1 0, ranked 0.9 0.8 0.7 0.1: points (recall, precision) from (0, 1) on are
    (1/2, 1), (1/2, 1/2), (1, 2/3), (1, 1/2); area 1/2 + 1/2 * (1/2 + 2/3) / 2 = 0.7916667.
    The other class, ranked 0.9 0.3 0.2 0.1 with gold 1 0 1 0, has the same area.
    """
    probs = two_columns([0.9, 0.8, 0.7, 0.1])
    assert auprc(np.array([1, 0, 1, 0]), probs, ("N", "Y")) == pytest.approx(79.16667, abs=1e-4)


def test_auprc_with_ties():
    """Tied rows come into the curve together, whatever their order in the file.

    Y: rows 1 and 2 tie at 0.6, one of them gold: (1/2, 1/2), then (1, 2/3); area
    1/2 * (1 + 1/2) / 2 + 1/2 * (1/2 + 2/3) / 2 = 2/3. N: at 0.8 a wrong row: (0, 0), then two tied
    with one gold: (1, 1/3); area (0 + 1/3) / 2 = 1/6.
    """
    expected = pytest.approx(100 * (2 / 3 + 1 / 6) / 2, abs=1e-4)
    assert auprc(np.array([1, 0, 1]), two_columns([0.6, 0.6, 0.2]), ("N", "Y")) == expected
    assert auprc(np.array([0, 1, 1]), two_columns([0.6, 0.6, 0.2]), ("N", "Y")) == expected


def test_auprc_leaves_out_a_class_without_gold_row_and_names_it():
    probs = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]])
    with pytest.warns(UserWarning, match=r"without a gold example: B$"):
        area = auprc(np.array([0, 1, 0]), probs, NAMES)
    assert area == pytest.approx(100.0)  # both other classes are ranked perfectly


def test_auprc_of_all_classes_warns_of_nothing():
    with warnings.catch_warnings(action="error"):
        assert auprc(np.array([0, 1]), two_columns([0.1, 0.9]), ("N", "Y")) == 100.0


def test_auprc_ranks_probabilities_not_logits():
    """Row 1 has the larger logit of class N, but the smaller probability of it: 0.5 < 0.88."""
    logits = np.array([[5.0, 5.0], [1.0, -1.0]])
    probs = np.array([[0.5, 0.5], [0.8808, 0.1192]])
    gold = np.array([1, 0])
    assert auprc(gold, probs, ("N", "Y")) == pytest.approx(100.0)
    # N by logits: the wrong row first, (0, 0), then (1, 1/2), area 1/4; Y: area 1
    assert auprc(gold, logits, ("N", "Y")) == pytest.approx(62.5)


def test_score_puts_it_together():
    probs = np.full((7, 3), 0.2)
    probs[np.arange(7), PREDICTED] = 0.6
    scores = score(GOLD, probs, LABELS)
    assert scores.rows == 7
    assert scores.micro_f1 == pytest.approx(50.0)
    assert scores.accuracy == pytest.approx(100 * 4 / 7)
    assert scores.ece == pytest.approx(100 * (0.6 - 4 / 7))
    # Two values only. no_relation: (2/3, 2/3), then (1, 3/7); area 2/3 * (1 + 2/3) / 2
    # + 1/3 * (2/3 + 3/7) / 2 = 0.7380952. A and B: (1/2, 1/2), then (1, 2/7); area
    # 1/2 * (1 + 1/2) / 2 + 1/2 * (1/2 + 2/7) / 2 = 0.5714286.
    assert scores.auprc == pytest.approx(100 * (0.7380952 + 2 * 0.5714286) / 3, abs=1e-4)
    assert [row.relation for row in scores.relations] == list(NAMES)
    as_dict = scores.as_dict()
    assert as_dict["relations"][1]["support"] == 2
    assert set(as_dict) == {"micro_f1", "auprc", "accuracy", "ece", "rows", "relations"}


def test_both_public_label_orders_give_equal_scores():
    pickles = load_label_map(SchemaOptions.label2id_path)
    klue = LabelMap(KLUE_RELATIONS, "no_relation")
    assert klue.names != pickles.names
    generator = np.random.default_rng(0)
    gold_names = [KLUE_RELATIONS[i] for i in generator.permutation(np.arange(120) % 30)]
    probs = generator.dirichlet(np.ones(30), size=120)  # columns in KLUE's order
    columns = klue.index(pickles.names)
    ours = score(np.array(klue.index(gold_names)), probs, klue)
    theirs = score(np.array(pickles.index(gold_names)), probs[:, columns], pickles)
    assert ours.micro_f1 > 0
    assert theirs.micro_f1 == pytest.approx(ours.micro_f1, abs=1e-9)
    assert theirs.auprc == pytest.approx(ours.auprc, abs=1e-9)
    assert theirs.accuracy == ours.accuracy
    assert {row.relation: row for row in theirs.relations} == {
        row.relation: row for row in ours.relations
    }


def test_weights_count_rows_as_often_as_they_say():
    """The same as a file in which row 2 stands three times and row 5 not at all."""
    probs = np.random.default_rng(0).dirichlet(np.ones(3), len(GOLD))
    weights = np.array([1.0, 3, 1, 1, 0, 1, 1])
    repeated = np.repeat(np.arange(len(GOLD)), weights.astype(int))
    weighted = score(GOLD, probs, LABELS, weights)
    written_out = score(GOLD[repeated], probs[repeated], LABELS)
    assert weighted.micro_f1 == pytest.approx(written_out.micro_f1)
    assert weighted.auprc == pytest.approx(written_out.auprc)
    assert weighted.accuracy == pytest.approx(written_out.accuracy)
    assert weighted.auprc != pytest.approx(score(GOLD, probs, LABELS).auprc)


def test_weighted_micro_f1_by_hand():
    # hits in rows 3 and 5, false in 2 and 4, missed in 4 and 6; row 2 (a no_relation) counts 3
    weights = np.array([1.0, 3, 1, 1, 1, 1, 1])
    assert micro_f1(GOLD, PREDICTED, LABELS.positive, weights) == pytest.approx(
        100 * 4 / (4 + 4 + 2)
    )


# highest probability 0.9, 0.7, 0.7, 0.4; the first two are right
CALIBRATION_PROBS = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
CALIBRATION_GOLD = np.array([0, 1, 1, 0])


def test_reliability_and_calibration_error_by_hand():
    """Four bins: [0.25, 0.5) holds row 4, [0.5, 0.75) rows 2 and 3, [0.75, 1] row 1."""
    bins = reliability(CALIBRATION_GOLD, CALIBRATION_PROBS, bins=4)
    assert [one.rows for one in bins] == [1, 2, 1]
    assert [one.confidence for one in bins] == pytest.approx([0.4, 0.7, 0.9])
    assert [one.accuracy for one in bins] == [0.0, 0.5, 1.0]
    error = expected_calibration_error(CALIBRATION_GOLD, CALIBRATION_PROBS, bins=4)
    assert error == pytest.approx(100 * (0.4 + 2 * 0.2 + 0.1) / 4)


def test_a_certain_row_lies_in_the_last_bin():
    certain = np.array([[1.0, 0.0]])
    assert reliability(np.array([0]), certain) == [ReliabilityBin(1, 1.0, 1.0)]
