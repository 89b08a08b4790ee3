"""The table of several seeds and models, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.builders import make_example

from kore.data.records import write_examples
from kore.data.schema import LabelMap
from kore.evaluation.score_table import GoldRows, as_markdown, score_rows

LABELS = LabelMap(("no_relation", "소속"), "no_relation")
SENTENCE = "김도율과 이서준은 해담전자의 사원이다."
LEARNED = make_example("t", SENTENCE, "해담전자", "김도율", "소속")
ROWS = [
    make_example("a", SENTENCE, "김도율", "해담전자", "소속"),
    make_example("b", SENTENCE, "이서준", "해담전자", "소속"),
    make_example("c", SENTENCE, "김도율", "이서준", "no_relation"),
]


def gold_in(folder: Path, prior: Path | None = None) -> GoldRows:
    write_examples(folder / "valid.csv", ROWS)
    write_examples(folder / "train.csv", [LEARNED])
    return GoldRows.read(folder / "valid.csv", folder / "train.csv", LABELS, prior)


def claiming(*claimed: int) -> np.ndarray:
    """Probabilities of the three rows: 소속 for those that are named."""
    return np.asarray([[0.2, 0.8] if row in claimed else [0.7, 0.3] for row in range(3)])


def test_pairs_are_new_unless_they_stand_in_training_in_either_order(tmp_path):
    gold = gold_in(tmp_path)
    assert gold.numbers.tolist() == [1, 1, 0]
    assert gold.is_new.tolist() == [False, True, True]
    assert gold.weights is None


def test_means_of_the_seeds(tmp_path):
    gold = gold_in(tmp_path)
    seeds = [claiming(0, 1), claiming(0, 2)]  # all right; one hit, one false, one missed
    first, second = score_rows(gold, {"one": seeds, "two": [claiming(0)] * 2}, resamples=20)
    assert first["micro_f1"] == pytest.approx((100 + 50) / 2)
    assert first["micro_f1_sd"] == pytest.approx(np.std([100, 50], ddof=1))
    assert first["micro_f1_new_pairs"] == pytest.approx((100 + 0) / 2)  # without the first row
    assert first["micro_f1_p"] == 1.0
    assert second["micro_f1_delta"] == pytest.approx(100 * 2 / 3 - 75)
    assert second["micro_f1_new_pairs"] == 0.0


def test_weighed_rows(tmp_path):
    (tmp_path / "prior.json").write_text('{"no_relation": 0.8}', encoding="utf-8")
    gold = gold_in(tmp_path, tmp_path / "prior.json")
    (result,) = score_rows(gold, {"one": [claiming(0, 1, 2)]}, resamples=5)
    assert result["micro_f1"] == pytest.approx(100 * 4 / 5)
    # 0.2 of the rows are hits, 0.8 false: 2 * 0.2 / (1 + 0.2)
    assert result["micro_f1_adjusted"] == pytest.approx(100 / 3)


def test_what_people_read(tmp_path):
    gold = gold_in(tmp_path)
    results = score_rows(gold, {"one": [claiming(0, 1)], "two": [claiming(0)]}, resamples=20)
    lines = as_markdown(results).splitlines()
    assert lines[0] == (
        "|  | micro-F1 | AUPRC | Δ micro-F1 (p) | Δ AUPRC (p) | micro-F1, new pairs |"
    )
    assert lines[2] == "| one | 100.00 | 100.00 |  |  | 100.00 |"  # one seed has no deviation
    assert lines[3].startswith("| two | 66.67 | ")
    assert "| -33.33 (" in lines[3]


def test_without_a_new_pair_there_is_no_column_for_them(tmp_path):
    write_examples(tmp_path / "rows.csv", ROWS)
    gold = GoldRows.read(tmp_path / "rows.csv", tmp_path / "rows.csv", LABELS, None)
    results = score_rows(gold, {"one": [claiming(0)]}, resamples=5)
    assert "new pairs" not in as_markdown(results)
