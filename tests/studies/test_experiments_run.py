"""A table of recipes and seeds: trained once, compared by their predictions."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.processes import start_command
from tests.runs import as_flags, save_tiny_bert, write_sample

import experiments
from kore.common.errors import UserError
from kore.data.records import write_examples
from kore.data.rows import read_examples
from kore.prediction.predictions import find_labels, read_submission
from kore.scoring.metrics import score
from kore.studies import experiments_run
from kore.studies.options import ExperimentOptions

BASE = {"num_epochs": 1, "batch_size": 32, "max_length": 96, "learning_rate": 1e-3}
VARIANTS = {"smoothed": {"label_smoothing": 0.1}, "[CLS] alone": {"use_span_pooling": False}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiments")
    write_sample(folder)
    recipe = {**BASE, "model_name_or_path": str(save_tiny_bert(folder / "tiny"))}
    write(folder / "base.json", recipe)
    write(folder / "variants.json", VARIANTS)
    return folder


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def flags_in(folder: Path, **flags: Any) -> list[str]:
    chosen = {
        "recipes": folder / "base.json",
        "variants": folder / "variants.json",
        "train_file": folder / "train_data.csv",
        "valid_file": folder / "valid_data.csv",
        "output_dir": folder / "out",
        "seeds": 2,
        "resamples": 50,
        **flags,
    }
    return as_flags(**chosen)


def run_at_once(command: str, arguments: list[str], log: Path, threads: int) -> None:
    """As `experiments_run._run`, without the seconds that a new process takes to start."""
    process = start_command(f"{command}.py".replace("predict", "inference"), arguments, log)
    assert process.wait() == 0, process.output()


@pytest.fixture(scope="module")
def results(folder: Path) -> list[dict[str, str]]:
    write(folder / "prior.json", {"no_relation": 0.6})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments_run, "_run", run_at_once)
        experiments.main(flags_in(folder, jobs=2, target_prior=folder / "prior.json"))
    with (folder / "out" / "results.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_scores_are_those_of_the_predictions(folder, results):
    assert [row["name"] for row in results] == ["base", *VARIANTS]
    files = sorted((folder / "out" / "predictions").glob("smoothed-seed*.csv"))
    assert len(files) == 2
    labels = find_labels(files[0], ExperimentOptions(label2id_path=""))
    rows = read_examples(folder / "valid_data.csv", need_labels=True)
    gold = np.asarray(labels.index(str(row.label) for row in rows))
    found = [score(gold, read_submission(file, labels).probs, labels) for file in files]
    for name in ("micro_f1", "auprc"):
        values = [getattr(one, name) for one in found]
        assert float(results[1][name]) == pytest.approx(np.mean(values))
        assert float(results[1][f"{name}_sd"]) == pytest.approx(np.std(values, ddof=1))
        difference = float(results[1][name]) - float(results[0][name])
        assert float(results[1][f"{name}_delta"]) == pytest.approx(difference)
    assert float(results[0]["micro_f1_p"]) == 1.0
    assert results[0]["micro_f1_adjusted"] != results[0]["micro_f1"]


def test_rows_that_no_run_has_seen_are_scored(folder, tmp_path, monkeypatch):
    """The best epoch is chosen on one file, the table scores another."""
    rows = read_examples(folder / "train_data.csv", need_labels=True)[:40]
    write_examples(tmp_path / "unseen.csv", rows)
    monkeypatch.setattr(experiments_run, "_run", run_at_once)
    flags = {"variants": "", "seeds": 1, "output_dir": tmp_path, "resamples": 2}
    flags["test_file"] = tmp_path / "unseen.csv"
    experiments.main(flags_in(folder, **flags))
    predicted = tmp_path / "predictions" / "base-seed0.csv"
    labels = find_labels(predicted, ExperimentOptions(label2id_path=""))
    submission = read_submission(predicted, labels)
    assert list(submission.ids) == [row.id for row in rows]
    gold = np.asarray(labels.index(str(row.label) for row in rows))
    with (tmp_path / "results.csv").open(encoding="utf-8") as file:
        (result,) = csv.DictReader(file)
    expected = score(gold, submission.probs, labels).micro_f1
    assert float(result["micro_f1"]) == pytest.approx(expected)
    write_examples(tmp_path / "unseen.csv", rows[1:])
    assert "the content of the scored file" in refusal(flags_in(folder, **flags))
    flags["test_file"] = tmp_path / "gone.csv"
    assert f"{tmp_path / 'gone.csv'}: no such file" in refusal(flags_in(folder, **flags))


def test_the_table_people_read(folder, results):
    lines = (folder / "out" / "results.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 + len(results)
    assert lines[0].startswith("|  | micro-F1 | AUPRC | Δ micro-F1 (p) | Δ AUPRC (p) |")
    assert len({line.count("|") for line in lines}) == 1
    mean, sd = float(results[1]["micro_f1"]), float(results[1]["micro_f1_sd"])
    assert f"| smoothed | {mean:.2f} ± {sd:.2f} |" in lines[3]


def test_finished_runs_are_kept(folder, results, monkeypatch, capsys):
    monkeypatch.setattr(experiments_run, "_run", lambda *_: pytest.fail("ran again"))
    experiments.main(flags_in(folder))
    assert "| smoothed |" in capsys.readouterr().out


def test_results_of_other_flags_or_rows_are_not_taken_for_these(folder, results, tmp_path):
    write(tmp_path / "v.json", {**VARIANTS, "smoothed": {"label_smoothing": 0.2}})
    message = refusal(flags_in(folder, variants=tmp_path / "v.json"))
    assert (
        "smoothed-seed0.csv was begun with other settings (`label_smoothing` was 0.1, is 0.2)"
        in message
    )
    message = refusal(flags_in(folder, valid_file=folder / "test_data.csv"))
    assert "base-seed0.csv" in message
    assert "the content of --valid_file has changed" in message


def test_predictions_without_a_record_are_not_taken_for_these(folder, results):
    record = folder / "out" / "predictions" / "smoothed-seed0.manifest.json"
    moved = record.rename(folder / "kept.json")
    try:
        assert "smoothed-seed0.manifest.json is missing beside it" in refusal(flags_in(folder))
    finally:
        moved.rename(record)


def refusal(flags: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        experiments.main(flags)
    return str(caught.value)


def test_what_is_refused_before_anything_is_trained(folder, tmp_path):
    assert "did you mean mini_cpu" in refusal(flags_in(folder, recipes="mini_cup"))
    write(tmp_path / "v.json", {"row": {"label_smothing": 0.1}})
    message = refusal(flags_in(folder, variants=tmp_path / "v.json"))
    assert "row: no flag 'label_smothing'; did you mean label_smoothing" in message
    write(tmp_path / "v.json", {"row": {"seed": 3}})  # the table's own business
    assert "no flag 'seed'" in refusal(flags_in(folder, variants=tmp_path / "v.json"))
    for name in ("recipe", "no_relation_label", "num_folds"):
        write(tmp_path / "v.json", {"row": {name: "x"}})
        assert f"no flag '{name}'" in refusal(flags_in(folder, variants=tmp_path / "v.json"))
    write(tmp_path / "v.json", {"row": {"label_smoothing": 3}})
    assert "row: `label_smoothing` is 3.0" in refusal(
        flags_in(folder, variants=tmp_path / "v.json")
    )
    write(tmp_path / "v.json", ["row"])
    assert 'expected {"name"' in refusal(flags_in(folder, variants=tmp_path / "v.json"))
    assert "--recipes names none" in refusal(["--train_file", "a.csv"])
    missing = flags_in(folder, target_prior=tmp_path / "none.json", output_dir=tmp_path / "out")
    assert "none.json: no such file" in refusal(missing)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ({"num_folds": 3}, "mine: sets num_folds, but a table compares"),
        ({"label2id_path": "mine.json"}, "all rows of a table share it; pass --label2id_path mine"),
        ({"train_file": "mine.csv"}, "mine: sets train_file, but all rows of a table share it"),
    ],
)
def test_a_recipe_that_sets_what_all_rows_share(folder, tmp_path, flag, said):
    write(tmp_path / "mine.json", {**BASE, **flag})
    assert said in refusal(flags_in(folder, recipes=tmp_path / "mine.json"))


def test_results_of_another_encoder_in_the_same_folder_are_not_taken_for_its(
    folder, results, monkeypatch
):
    config = folder / "tiny" / "config.json"
    before = config.read_text(encoding="utf-8")
    config.write_text(before + " ", encoding="utf-8")
    try:
        assert "the content of the encoder has changed" in refusal(flags_in(folder))
    finally:
        config.write_text(before, encoding="utf-8")
    monkeypatch.setattr(experiments_run, "_run", lambda *_: pytest.fail("ran again"))
    experiments.main(flags_in(folder))


def test_a_run_in_a_process_of_its_own_that_fails_is_told_in_its_own_words(folder, tmp_path):
    one = {"train_file": tmp_path / "none.csv", "output_dir": tmp_path, "seeds": 1, "variants": ""}
    message = refusal(flags_in(folder, **one))
    assert "a run failed: error: " in message
    assert "none.csv: no such file" in message
    assert ".log)" in message
