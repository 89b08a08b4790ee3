"""Scores of a hand-counted case, from two files to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.builders import KLUE_RELATIONS, make_example

import evaluation
from config import EvaluationOptions
from errors import UserError
from records import write_examples
from report import report
from submission import schema_path

NAMES = ("no_relation", "소속", "설립일")  # a schema that is not KLUE's

# id -> gold, predicted. 소속: hit a, false b, missed d. 설립일: hit e, false d, missed f.
CASE = {
    "a": ("소속", "소속"),
    "b": ("no_relation", "소속"),
    "c": ("no_relation", "no_relation"),
    "d": ("소속", "설립일"),
    "e": ("설립일", "설립일"),
    "f": ("설립일", "no_relation"),
    "g": ("no_relation", "no_relation"),
}


def write_gold(path: Path, labels: dict[str, str]) -> Path:
    write_examples(
        path,
        (
            make_example(row_id, "김도율은 해담전자의 사원이다.", "김도율", "해담전자", label)
            for row_id, label in labels.items()
        ),
    )
    return path


def write_predictions(path: Path, labels: dict[str, str], names: tuple[str, ...]) -> Path:
    """0.6 for the predicted relation, the rest shared by the others."""
    rest = 0.4 / (len(names) - 1)
    lines = ["id,pred_label,probs"]
    for row_id, label in labels.items():
        probs = [0.6 if name == label else rest for name in names]
        lines.append(f'{row_id},{label},"{probs}"')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_schema(predictions: Path, names: tuple[str, ...], no_relation: str | None) -> None:
    schema = {"labels": list(names), "no_relation": no_relation}
    schema_path(predictions).write_text(json.dumps(schema), encoding="utf-8")


@pytest.fixture
def case(tmp_path) -> EvaluationOptions:
    gold = write_gold(tmp_path / "gold.csv", {row_id: gold for row_id, (gold, _) in CASE.items()})
    backwards = {row_id: predicted for row_id, (_, predicted) in reversed(CASE.items())}
    predictions = write_predictions(tmp_path / "out.csv", backwards, NAMES)
    write_schema(predictions, NAMES, "no_relation")
    return EvaluationOptions(
        prediction_file=str(predictions), gold_file=str(gold), output_dir=str(tmp_path / "report")
    )


def test_scores_json_by_hand(case, tmp_path, capsys):
    """The rows stand in another order in the two files, and are matched by id."""
    report(case)
    scores = json.loads((tmp_path / "report" / "scores.json").read_text(encoding="utf-8"))
    assert set(scores) == {"micro_f1", "auprc", "accuracy", "ece", "rows", "relations"}
    assert scores["rows"] == 7
    # 2 hits, 2 false (b counts: gold no_relation), 2 missed
    assert scores["micro_f1"] == pytest.approx(50.0)
    assert scores["accuracy"] == pytest.approx(100 * 4 / 7)
    # Areas of curves with two steps, as worked out in test_metrics.py
    assert scores["auprc"] == pytest.approx(100 * (0.7380952 + 2 * 0.5714286) / 3, abs=1e-4)
    assert scores["relations"] == [
        {
            "relation": name,
            "precision": pytest.approx(value),
            "recall": pytest.approx(value),
            "f1": pytest.approx(value),
            "support": rows,
            "predicted": rows,
        }
        for name, value, rows in (
            ("no_relation", 200 / 3, 3),
            ("소속", 50.0, 2),
            ("설립일", 50.0, 2),
        )
    ]
    printed = capsys.readouterr().out
    assert "7 rows   micro-F1 50.00" in printed
    assert "accuracy 57.14" in printed
    assert "소속" in printed
    picture = tmp_path / "report" / "confusion_matrix.png"
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_which_relation_is_negative_comes_from_beside_the_predictions(case):
    write_schema(Path(case.prediction_file), NAMES, None)
    # All three relations count: 4 hits, 3 false, 3 missed.
    assert report(case).micro_f1 == pytest.approx(100 * 4 / 7)


def test_the_schema_beside_the_predictions_gives_the_order(case, tmp_path):
    other_order = ("설립일", "no_relation", "소속")
    predicted = {row_id: predicted for row_id, (_, predicted) in CASE.items()}
    write_predictions(tmp_path / "out.csv", predicted, other_order)
    with pytest.raises(UserError, match="label order of this file another one"):
        report(case)  # the order beside it is still the other one
    write_schema(tmp_path / "out.csv", other_order, "no_relation")
    assert report(case).micro_f1 == pytest.approx(50.0)


def test_a_schema_named_by_flag_wins(case, tmp_path):
    write_schema(Path(case.prediction_file), ("x", "y", "z"), None)
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps(list(NAMES)), encoding="utf-8")
    case.label2id_path = str(labels)
    assert report(case).micro_f1 == pytest.approx(50.0)


def test_without_a_schema_the_order_is_that_of_the_pickles(tmp_path):
    """The competition's order: number 1 is org:top_members/employees, not org:dissolved."""
    pickled = ("no_relation", "org:top_members/employees", "org:members")
    rest = tuple(name for name in KLUE_RELATIONS if name not in pickled)
    gold = {"1": "org:members", "2": "no_relation"}
    options = EvaluationOptions(
        prediction_file=str(write_predictions(tmp_path / "out.csv", gold, (*pickled, *rest))),
        gold_file=str(write_gold(tmp_path / "gold.csv", gold)),
        output_dir=str(tmp_path / "report"),
    )
    with pytest.warns(UserWarning, match="without a gold row"):
        scores = report(options)
    assert scores.micro_f1 == pytest.approx(100.0)
    assert scores.relations[1].relation == "org:top_members/employees"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda labels: labels.pop("c"), r"gold\.csv: lacks 1 ids of the other file, 'c'"),
        (lambda labels: labels.update(h="소속"), r"out\.csv: lacks 1 ids of the other file, 'h'"),
        (lambda labels: labels.update(z=labels.pop("a")), r"out\.csv: lacks 1 ids .* 'z'"),
    ],
)
def test_files_of_different_rows_are_refused(case, tmp_path, change, named):
    labels = {row_id: gold for row_id, (gold, _) in CASE.items()}
    change(labels)
    write_gold(tmp_path / "gold.csv", labels)
    with pytest.raises(UserError, match=named):
        report(case)
    assert not (tmp_path / "report").exists()


def test_a_gold_label_outside_the_schema_is_refused(case, tmp_path):
    labels = {row_id: gold for row_id, (gold, _) in CASE.items()} | {"c": "per:title"}
    write_gold(tmp_path / "gold.csv", labels)
    with pytest.raises(UserError, match=r"gold\.csv:4 label: 'per:title'"):
        report(case)


@pytest.mark.parametrize("flag", ["--prediction_file", "--gold_file"])
def test_the_command_needs_both_files(flag):
    with pytest.raises(UserError, match=r"--\w+_file is missing"):
        evaluation.main([flag, "some.csv"])


def test_the_command(case, tmp_path):
    evaluation.main(
        [
            *("--prediction_file", case.prediction_file),
            *("--gold_file", case.gold_file),
            *("--output_dir", str(tmp_path / "elsewhere")),
        ]
    )
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == [
        "confusion_matrix.png",
        "scores.json",
    ]
