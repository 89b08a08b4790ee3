"""Names of runs and the readable files in their folders."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.runs import read_json

from kore.common.errors import UserError
from kore.training.options import TrainOptions
from kore.training.run_files import RunFiles, run_files, write_log, write_options


def options(folder: Path, **changes: object) -> TrainOptions:
    return TrainOptions(model_name_or_path="klue/roberta-large", model_dir=str(folder), **changes)  # type: ignore[arg-type]


def test_names_are_numbered_by_what_is_there(tmp_path: Path) -> None:
    assert run_files(options(tmp_path)).run_name == "roberta-large-1"
    for name in ("roberta-large-2.pth", "roberta-large-x.pth", "mini-7.pth"):
        (tmp_path / name).touch()
    (tmp_path / "roberta-large-4").mkdir()  # a run that has no checkpoint yet
    assert run_files(options(tmp_path)).run_name == "roberta-large-5"
    assert run_files(options(tmp_path, resume=True)).run_name == "roberta-large-4"


def test_resume_without_an_earlier_run_is_the_first(tmp_path: Path) -> None:
    assert run_files(options(tmp_path, resume=True)).run_name == "roberta-large-1"


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "a\\b"])
def test_names_that_are_no_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="`run_name`"):
        run_files(options(tmp_path, run_name=name))


@pytest.mark.parametrize("existing", ["old.pth", "old/last.pth"])
def test_an_earlier_run_is_not_written_over(tmp_path: Path, existing: str) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / existing).touch()
    with pytest.raises(UserError, match="already there"):
        run_files(options(tmp_path, run_name="old"))
    assert run_files(options(tmp_path, run_name="old", resume=True)).best == tmp_path / "old.pth"


def test_log_and_options(tmp_path: Path) -> None:
    row = {"train_loss": 1.5, "valid_loss": 1.6, "micro_f1": 40.0, "auprc": 30.0, "accuracy": 50.0}
    history = [{"epoch": 1, **row}, {"epoch": 2, **row, "micro_f1": 41.25}]
    files = RunFiles(tmp_path, "run")
    write_log(files.folder, history)
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["micro_f1"]) for row in rows] == [("1", "40.0"), ("2", "41.25")]
    write_options(files.folder, options(tmp_path, seed=5))
    assert read_json(tmp_path / "run" / "options.json")["seed"] == 5
