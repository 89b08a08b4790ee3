"""A checkpoint that KoRE 0.5.1 wrote loads, and predicts what 0.5.1 predicted with it.

tests/assets/kore_0_5_1.pth was trained by its src/train.py: a BERT of 1 layer x 8 on 16 generated
examples of 4 relations (`--label2id_path auto --precision fp32`, all else as it comes).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.runs import command

from kore.network.checkpoint import load_model
from kore.prediction.predictions import read_schema, read_submission

ASSETS = Path(__file__).resolve().parents[1] / "assets"
MODEL = ASSETS / "kore_0_5_1.pth"

# Written by the src/inference.py of 0.5.1, as they stand in its CSV.
PREDICTED = {
    "2": [0.988498641, 0.002609256, 0.006831432, 0.002060672],
    "8": [0.412689237, 0.512058164, 0.047855504, 0.027397095],
    "18": [0.334301011, 0.356649394, 0.190081191, 0.118968404],
    "37": [0.684862781, 0.064066698, 0.181350213, 0.069720308],
}


def test_it_predicts_what_it_did(tmp_path: Path) -> None:
    result = command(
        "inference.py",
        *("--model_file", str(MODEL), "--test_file", str(ASSETS / "kore_0_5_1_rows.csv")),
        *("--output_dir", str(tmp_path), "--use_cuda", "False", "--precision", "fp32"),
    )
    assert result.returncode == 0, result.stderr
    output = tmp_path / "kore_0_5_1_kore_0_5_1_rows.csv"
    labels = read_schema(output)
    assert labels is not None
    assert labels.names == ("no_relation", "org:founded", "per:employee_of", "per:title")
    found = read_submission(output, labels)
    assert found.ids == list(PREDICTED)
    for probs, expected in zip(found.probs, PREDICTED.values(), strict=True):
        assert probs == pytest.approx(expected, abs=1e-5)


def test_what_it_carries_is_read() -> None:
    trained = load_model(MODEL)
    assert trained.labels.no_relation == "no_relation"
    assert trained.input_encoder.max_length == 96
    assert trained.scores["micro_f1"] == pytest.approx(60.0)
    assert trained.scores["auprc"] == pytest.approx(94.79, abs=0.01)
