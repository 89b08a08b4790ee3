"""k folds: who is held out when, what is written, and going on after a kill."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.builders import make_example
from tests.runs import save_tiny_bert, train_flags, write_sample

import evaluation
import train
from kore.common.errors import UserError
from kore.data.options import RowOptions
from kore.data.rows import read_examples
from kore.network.checkpoint import load_model
from kore.prediction.predictions import read_schema, read_submission
from kore.studies import folds_run as cross_validation
from kore.studies.folds_run import assign_folds
from kore.training.trainer import Trainer

FOLDS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both folds of the sample's training rows, trained."""
    folder = tmp_path_factory.mktemp("folds")
    write_sample(folder)
    save_tiny_bert(folder / "tiny")
    train.main(flags(folder))
    return folder


def flags(folder: Path, **changes: Any) -> list[str]:
    chosen = {"num_folds": FOLDS, "num_epochs": 1, "valid_file": folder / "none.csv", **changes}
    return train_flags(folder, **chosen)


def rows(counts: dict[str, int]) -> list[Any]:
    """Sentences of their own, but the last two rows of every relation share one."""
    made = []
    for label, count in counts.items():
        for number in range(count):
            sentence = f"김도율은 해담전자의 {label} {min(number, count - 2)} 사원이다."
            made.append(make_example(f"{label}{number}", sentence, "김도율", "해담전자", label))
    return made


def test_folds_keep_sentences_together_and_shares_alike() -> None:
    examples = rows({"A": 40, "B": 20})
    folds = assign_folds(examples, 4, seed=0)
    fold_of_sentence: dict[str, int] = {}
    for example, fold in zip(examples, folds, strict=True):
        assert fold_of_sentence.setdefault(example.sentence, fold) == fold
    for label, count in (("A", 10), ("B", 5)):
        held = Counter(folds[[row.label == label for row in examples]].tolist())
        assert set(held) == {0, 1, 2, 3}
        assert all(abs(number - count) <= 1 for number in held.values())
    assert np.array_equal(folds, assign_folds(examples, 4, seed=0))
    assert not np.array_equal(folds, assign_folds(examples, 4, seed=1))


def test_more_folds_than_sentences_of_a_relation_are_refused() -> None:
    """Five rows of B, two of which share a sentence."""
    with pytest.raises(UserError, match="`num_folds` 5, but B stands in 4 sentences only"):
        assign_folds(rows({"A": 40, "B": 5}), 5, seed=0)
    assert set(assign_folds(rows({"A": 40, "B": 5}), 4, seed=0)) == {0, 1, 2, 3}


def test_one_fold_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="--num_folds is 1"):
        train.main(flags(folder, num_folds=1))


def test_every_row_is_predicted_by_the_model_that_did_not_see_it(folder: Path) -> None:
    examples = read_examples(folder / "train_data.csv", RowOptions(), need_labels=True)
    output = folder / "outputs" / "run_oof.csv"
    labels = read_schema(output)
    assert labels is not None
    found = read_submission(output, labels)
    assert found.ids == [row.id for row in examples]
    held_out: list[str] = []
    for fold in range(1, FOLDS + 1):
        own = folder / "models" / "run" / f"fold{fold}"
        valid = read_examples(own / "valid_data.csv", RowOptions(), need_labels=True)
        trained = read_examples(own / "train_data.csv", RowOptions(), need_labels=True)
        assert not {row.sentence for row in valid} & {row.sentence for row in trained}
        assert len(valid) + len(trained) == len(examples)
        predicted = read_submission(own / "predictions.csv", labels)
        probs = dict(zip(found.ids, found.probs.tolist(), strict=True))
        assert [probs[row_id] for row_id in predicted.ids] == predicted.probs.tolist()
        held_out += predicted.ids
        assert (folder / "models" / f"run-fold{fold}.pth").exists()
    assert sorted(held_out) == sorted(found.ids)


def test_scores_of_folds_are_listed_and_the_file_can_be_scored(folder: Path) -> None:
    with (folder / "models" / "run" / "folds.csv").open(encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    for number, row in enumerate(listed, start=1):
        scores = load_model(folder / "models" / f"run-fold{number}.pth").scores
        assert float(row["micro_f1"]) == scores["micro_f1"]
        assert int(row["rows"]) == scores["rows"]
    evaluation.main(
        [
            *("--prediction_file", str(folder / "outputs" / "run_oof.csv")),
            *("--gold_file", str(folder / "train_data.csv"), "--resamples", "0"),
            *("--output_dir", str(folder / "report")),
        ]
    )
    assert (folder / "report" / "report.html").exists()


def test_a_killed_run_goes_on_in_its_fold(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the second fold: the first is not trained again, the outcome is the same."""

    class Killed(BaseException):
        pass

    updates: list[int] = []
    original = Trainer._update

    def counted(self: Trainer, numbers: np.ndarray, step: int) -> Any:
        updates.append(step)
        if len(updates) == 7:
            raise Killed
        return original(self, numbers, step)

    monkeypatch.setattr(Trainer, "_update", counted)
    with pytest.raises(Killed):
        train.main(flags(folder, run_name="killed", save_steps=2))
    before = len(updates)
    train.main(flags(folder, run_name="killed", save_steps=2, resume=True))
    assert len(updates) - before <= 4  # what was left of the second fold
    outputs = folder / "outputs"
    assert (outputs / "killed_oof.csv").read_bytes() == (outputs / "run_oof.csv").read_bytes()


def test_a_run_that_is_there_is_not_replaced(folder: Path) -> None:
    with pytest.raises(UserError, match=r"run-fold1\.pth is already there"):
        train.main(flags(folder))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 7}, r"run-fold1\.pth is already there"),
        ({"seed": 7, "resume": True}, "--seed was 42, is 7"),
        ({"num_folds": 3, "resume": True}, "--num_folds was 2, is 3"),
        ({"train_file": "other.csv", "resume": True}, "the checksum of --train_file was"),
    ],
)
def test_other_folds_leave_those_that_are_there_as_they_are(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    if "train_file" in changes:
        first_rows = (folder / "train_data.csv").read_text(encoding="utf-8").splitlines()[:-1]
        (folder / "other.csv").write_text("\n".join(first_rows), encoding="utf-8")
        changes = {**changes, "train_file": folder / "other.csv"}
    before = contents(folder / "models")
    with pytest.raises(UserError, match=said):
        train.main(flags(folder, **changes))
    assert contents(folder / "models") == before


def test_an_interrupt_names_the_whole_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the fold's own, whose name would begin other folds."""

    def interrupted(options: Any) -> Path:
        raise KeyboardInterrupt(f"go on with --run_name {options.run_name}")

    monkeypatch.setattr(cross_validation, "train", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"fold 1 of 2; .* --run_name stopped --resume"):
        train.main(flags(folder, run_name="stopped"))


def test_several_processes_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="leave accelerate launch out"):
        train.main(flags(folder, run_name="several"))
    assert not (folder / "models" / "several").exists()


def test_a_relation_with_one_sentence_is_not_advised_one_fold() -> None:
    lone = make_example("lone", "김도율은 해담전자를 세웠다.", "김도율", "해담전자", "B")
    with pytest.raises(UserError, match="B stands in 1 sentences only; bring more rows of it"):
        assign_folds([*rows({"A": 40}), lone], 2, seed=0)
