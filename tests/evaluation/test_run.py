"""Scores of a hand-counted case, from two files to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from tests.builders import KLUE_RELATIONS, make_example

import evaluation
from kore.common.errors import UserError
from kore.data.records import write_examples
from kore.evaluation import run
from kore.evaluation.error_analysis import BY_PAIR
from kore.evaluation.options import EvaluationOptions
from kore.evaluation.run import evaluate_relations as evaluate
from kore.prediction.predictions import schema_path

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
    evaluate(case)
    scores = json.loads((tmp_path / "report" / "scores.json").read_text(encoding="utf-8"))
    assert set(scores) == {
        *("micro_f1", "auprc", "accuracy", "ece", "rows", "relations"),
        *("errors", "intervals"),
    }
    # b; f; d
    assert scores["errors"] == {
        "right": 4,
        "false_relations": 1,
        "missed_relations": 1,
        "mix_ups": 1,
    }
    low, high = scores["intervals"]["micro_f1"]
    assert 0 <= low < 50 < high <= 100
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
    assert "7 examples   micro-F1 50.00 [" in printed
    assert "3 errors: 1 false relations, 1 missed relations, 1 mix-ups" in printed
    assert "accuracy 57.14" in printed
    assert "소속" in printed
    picture = tmp_path / "report" / "confusion_matrix.png"
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_which_relation_is_negative_comes_from_beside_the_predictions(case):
    write_schema(Path(case.prediction_file), NAMES, None)
    # All three relations count: 4 hits, 3 false, 3 missed.
    assert evaluate(case).scores.micro_f1 == pytest.approx(100 * 4 / 7)


def test_the_schema_beside_the_predictions_gives_the_order(case, tmp_path):
    other_order = ("설립일", "no_relation", "소속")
    predicted = {row_id: predicted for row_id, (_, predicted) in CASE.items()}
    write_predictions(tmp_path / "out.csv", predicted, other_order)
    with pytest.raises(UserError, match="label order of this file another one"):
        evaluate(case)  # the order beside it is still the other one
    write_schema(tmp_path / "out.csv", other_order, "no_relation")
    assert evaluate(case).scores.micro_f1 == pytest.approx(50.0)


def test_a_schema_named_by_flag_wins(case, tmp_path):
    write_schema(Path(case.prediction_file), ("x", "y", "z"), None)
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps(list(NAMES)), encoding="utf-8")
    case.label2id_path = str(labels)
    assert evaluate(case).scores.micro_f1 == pytest.approx(50.0)


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
    with pytest.warns(UserWarning, match="without a gold example"):
        scores = evaluate(options).scores
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
        evaluate(case)
    assert not (tmp_path / "report").exists()


def test_a_gold_label_outside_the_schema_is_refused(case, tmp_path):
    labels = {row_id: gold for row_id, (gold, _) in CASE.items()} | {"c": "per:title"}
    write_gold(tmp_path / "gold.csv", labels)
    with pytest.raises(UserError, match=r"gold\.csv:4 label: 'per:title'"):
        evaluate(case)


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
        "confusion_shares.png",
        "errors.csv",
        "precision_recall.png",
        "reliability.png",
        "report.html",
        "scores.json",
        "slices.csv",
    ]


def test_comparison_of_two_files(case, tmp_path, capsys):
    """The other file has b and d right and a wrong: only the first has a, only the second b, d."""
    other = {row_id: predicted for row_id, (_, predicted) in CASE.items()}
    other.update(a="no_relation", b="no_relation", d="소속")
    case.compare = str(write_predictions(tmp_path / "other.csv", other, NAMES))
    result = evaluate(case)
    assert result.comparison is not None
    assert result.comparison.mcnemar[:2] == (1, 2)
    # the other: hits d and e, nothing false, missed a and f
    assert result.comparison.scores.micro_f1 == pytest.approx(100 * 4 / 6)
    found = json.loads((tmp_path / "report" / "scores.json").read_text("utf-8"))["comparison"]
    assert found["micro_f1"]["other"] == pytest.approx(100 * 4 / 6)
    assert found["micro_f1"]["value"] == pytest.approx(50 - 100 * 4 / 6)
    assert 0 < found["micro_f1"]["p"] <= 1
    assert "micro-F1 50.00 - 66.67 = -16.67" in capsys.readouterr().out
    changed = pd.read_csv(tmp_path / "report" / "changed_rows.csv")
    assert dict(zip(changed["id"], changed["change"], strict=True)) == {
        "a": "won",
        "b": "lost",
        "d": "lost",
    }


def test_comparison_with_another_schema_is_refused(case, tmp_path):
    predicted = {row_id: predicted for row_id, (_, predicted) in CASE.items()}
    other = write_predictions(tmp_path / "other.csv", predicted, NAMES)
    write_schema(other, (NAMES[0], NAMES[2], NAMES[1]), "no_relation")
    case.compare = str(other)
    with pytest.raises(UserError, match=r"other\.csv: its relations or their order"):
        evaluate(case)


def test_scores_under_the_class_shares_expected(case, tmp_path, capsys):
    prior = tmp_path / "prior.json"
    prior.write_text(json.dumps({"no_relation": 0.6}), encoding="utf-8")
    case.target_prior = str(prior)
    evaluate(case)
    adjusted = json.loads((tmp_path / "report" / "scores.json").read_text("utf-8"))["adjusted"]
    # no_relation rows weigh 0.6 / (3/7) = 1.4, the others 0.2 / (2/7) = 0.7:
    # hits a, e = 1.4; claimed a, b, d, e = 0.7 * 3 + 1.4 = 3.5; wanted a, d, e, f = 2.8
    assert adjusted["micro_f1"] == pytest.approx(100 * 2 * 1.4 / (3.5 + 2.8))
    assert adjusted["prior"]["설립일"] == pytest.approx(0.2)
    printed = capsys.readouterr().out
    assert "With the expected class shares: micro-F1 44.44 instead of 50.00" in printed
    assert "no_relation is expected to be 60.0 % of the examples and is 42.9 % here" in printed


def test_class_shares_estimated_from_unlabelled_rows(case, tmp_path):
    """All unlabelled rows look like no_relation."""
    rows = dict.fromkeys("uvwxyz", "no_relation")
    case.target_prior = "estimate"
    case.unlabelled_file = str(write_predictions(tmp_path / "new.csv", rows, NAMES))
    result = evaluate(case)
    assert result.adjusted is not None
    assert result.adjusted.prior[0] > 0.95


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"target_prior": "estimate"}, "needs `unlabelled_file`"),
        ({"unlabelled_file": "x.csv"}, "goes with `target_prior` estimate"),
        ({"target_prior": "missing.json"}, r"missing\.json: no such file"),
        ({"compare": "missing.csv"}, r"missing\.csv: no such file"),
        ({"task": "emotion", "compare": "b.csv"}, "`compare` is for relations; leave it out"),
        ({"task": "emotion", "train_file": "t.csv"}, "`train_file` is for relations"),
    ],
)
def test_flags_that_do_not_go_together(case, tmp_path, flags, said):
    for name, value in flags.items():
        setattr(case, name, value)
    with pytest.raises(UserError, match=said):
        run.evaluate(case)
    assert not (tmp_path / "report").exists()


def test_without_resamples_there_are_no_intervals(case, tmp_path, capsys):
    case.resamples = 0
    assert evaluate(case).intervals == {}
    assert "micro-F1 50.00   AUPRC" in capsys.readouterr().out


def test_scores_of_pairs_that_were_learned_from(case, tmp_path, capsys):
    learned = make_example("t", "해담전자의 김도율이다.", "해담전자", "김도율", "소속")
    write_examples(tmp_path / "train.csv", [learned])
    case.train_file = str(tmp_path / "train.csv")
    evaluate(case)
    said = "7 examples whose entity pair is in the training file: micro-F1 50.00"
    assert said in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "report" / "slices.csv")
    assert table[table["by"] == BY_PAIR]["rows"].tolist() == [7]
