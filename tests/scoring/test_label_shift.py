"""Class shares: as given, as estimated, and what rows weigh under them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kore.common.errors import UserError
from kore.common.resources import find_file
from kore.data.label_files import load_label_map
from kore.data.options import SchemaOptions
from kore.data.schema import LabelMap
from kore.scoring.label_shift import (
    among_relations,
    at_prior,
    class_shares,
    distance,
    estimate_prior,
    log_odds,
    read_prior,
    row_weights,
)
from kore.scoring.metrics import micro_f1

LABELS = LabelMap(("no_relation", "A", "B", "C"), "no_relation")


def prior_file(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "prior.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_relations_that_are_not_named_share_what_is_left(tmp_path: Path) -> None:
    path = prior_file(tmp_path, {"A": 0.1, "no_relation": 0.6})
    assert read_prior(path, LABELS) == pytest.approx([0.6, 0.1, 0.15, 0.15])


def test_probabilities_follow_other_shares_by_hand() -> None:
    """0.8 and 0.2 with each half of the examples; expected one in ten, so 0.08 against 0.18."""
    odds = log_odds(np.array([0.5, 0.5]), np.array([0.1, 0.9]))
    assert at_prior(np.array([[0.8, 0.2]]), odds) == pytest.approx(np.array([[8 / 26, 18 / 26]]))
    assert np.exp(odds) == pytest.approx([0.2, 1.8])


def test_what_is_never_expected_is_never_predicted_and_what_has_no_example_stays() -> None:
    odds = log_odds(np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.7, 0.3]))
    probs = at_prior(np.array([[0.6, 0.2, 0.2]]), odds)
    assert 0 < probs[0, 0] < 1e-4
    assert odds[2] == 0.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"A": 0.5, "no_relation": 0.6}, "sum to 1.1, expected 1"),
        ({"no_relation": 0.1, "A": 0.1, "B": 0.1, "C": 0.1}, "sum to 0.4, expected 1"),
        ({"D": 0.5}, "'D' is not one of the 4 relations"),
        ({"A": 59.6}, "'A' has 59.6, expected a share between 0 and 1"),
        ({"A": "half"}, "'A' has 'half'"),
        ([0.5, 0.5], "expected an object"),
    ],
)
def test_faulty_shares(tmp_path: Path, content: Any, said: str) -> None:
    path = prior_file(tmp_path, content)
    with pytest.raises(UserError, match=said) as caught:
        read_prior(path, LABELS)
    assert str(path) in str(caught.value)


def test_a_file_that_is_missing_or_no_json(tmp_path: Path) -> None:
    path = tmp_path / "prior.json"
    with pytest.raises(UserError, match="no such file"):
        read_prior(path, LABELS)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="not valid JSON"):
        read_prior(path, LABELS)


def test_weights_give_the_expected_shares() -> None:
    """Shares 1/2, 1/4, 1/4 become 3/4, 1/8, 1/8; what C would have goes to the others."""
    gold = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    weights = row_weights(gold, np.array([0.6, 0.1, 0.1, 0.2]))
    assert weights == pytest.approx([1.5] * 4 + [0.5] * 4)


def test_shares_that_leave_the_examples_nothing() -> None:
    with pytest.raises(UserError, match="are 0 for every relation that has a labelled example"):
        row_weights(np.array([1, 2]), np.array([1.0, 0.0, 0.0]))


def test_adjusted_score_by_hand() -> None:
    """A hit, a miss and a false relation; no_relation rows count three times as much."""
    gold, predicted = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])
    assert micro_f1(gold, predicted, [1]) == pytest.approx(50.0)
    weights = row_weights(gold, np.array([0.75, 0.25]))
    # weights 1/2 and 3/2: hit 0.5, missed 0.5, false 1.5
    assert micro_f1(gold, predicted, [1], weights) == pytest.approx(100 * 1.0 / (1.0 + 0.5 + 1.5))


@pytest.mark.parametrize("true", [[0.8, 0.1, 0.1], [0.2, 0.2, 0.6], [0.4, 0.3, 0.3]])
def test_shares_of_unlabelled_rows_are_found(true: list[float]) -> None:
    """Rows from three normal distributions, seen by the exact posterior under other shares."""
    generator = np.random.default_rng(0)
    source = np.array([0.4, 0.3, 0.3])
    means = np.array([-1.5, 0.0, 1.5])
    relation = generator.choice(3, 20_000, p=true)
    values = generator.normal(means[relation], 1.0)
    likelihood = np.exp(-((values[:, None] - means) ** 2) / 2) * source
    probs = likelihood / likelihood.sum(axis=1, keepdims=True)
    assert estimate_prior(probs, source) == pytest.approx(true, abs=0.03)


def test_a_relation_without_a_row_at_the_source_stays_without() -> None:
    probs = np.array([[0.5, 0.4, 0.1], [0.7, 0.2, 0.1]])
    shares = estimate_prior(probs, np.array([0.5, 0.5, 0.0]))
    assert shares[2] == 0
    assert shares.sum() == pytest.approx(1.0)


def test_a_row_that_says_nothing_of_the_known_relations_is_left_out() -> None:
    """Predictions are rounded, so that all of a row's mass may lie on a relation without a row."""
    probs = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    assert estimate_prior(probs, np.array([0.0, 0.5, 0.5])) == pytest.approx([0.0, 0.5, 0.5])
    with pytest.raises(UserError, match="cannot be estimated"):
        estimate_prior(probs[:1], np.array([0.0, 0.5, 0.5]))


def test_shares_and_distance() -> None:
    shares = class_shares(np.array([0, 0, 0, 2]), 3)
    assert shares == pytest.approx([0.75, 0.0, 0.25])
    assert distance(shares, np.array([0.25, 0.5, 0.25])) == pytest.approx(0.5)


def test_the_shares_that_come_with_kore_fit_the_schema() -> None:
    labels = load_label_map(SchemaOptions.label2id_path)
    path = find_file("klue_dev_shares.json")
    shares = dict(zip(labels.names, read_prior(path, labels), strict=True))
    assert shares["no_relation"] == 0.596
    # 14 relations have 96 %; the other 16 have a quarter of a per cent each
    assert shares["per:siblings"] == pytest.approx(0.0025)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_the_relations_alone_follow_other_shares_by_hand() -> None:
    """B is three times as common as A; both have the half that no_relation leaves in training."""
    labels = LabelMap(("no_relation", "A", "B"), "no_relation")
    prior, source = np.array([0.6, 0.1, 0.3]), np.array([0.5, 0.4, 0.1])
    shares = among_relations(prior, source, labels)
    assert shares == pytest.approx([0.5, 0.125, 0.375])
    assert log_odds(source, shares) == pytest.approx([0.0, np.log(0.125 / 0.4), np.log(3.75)])
    assert among_relations(prior, source, LabelMap(labels.names, None)) == pytest.approx(prior)
    with pytest.raises(UserError, match="leaves nothing to the relations"):
        among_relations(np.array([1.0, 0.0, 0.0]), source, labels)
