"""Folds of taggers: every text is held out once, and tagged by the model that held it out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.runs import as_flags, save_tiny_bert

import train_ner
from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions
from kore.data.ner import TaggedText, read_tagged, write_klue
from kore.data.sample_run import make_sample, tagged_row
from kore.network.tagger_file import load_tagger
from kore.prediction.tagging import EntityFinder
from kore.studies.ner_folds_run import assign_folds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    write_klue(folder / "ner.tsv", map(tagged_row, make_sample(300, seed=7).train[:120]))
    save_tiny_bert(folder / "tiny")
    train_ner.main(flags(folder))
    return folder


def flags(folder: Path, **changed: object) -> list[str]:
    return as_flags(
        **{
            "train_file": folder / "ner.tsv",
            "model_name_or_path": folder / "tiny",
            "model_dir": folder / "models",
            "output_dir": folder / "outputs",
            "run_name": "run",
            "num_folds": 2,
            "num_epochs": 1,
            "learning_rate": 5e-3,
            **changed,
        }
    )


def test_every_text_is_held_out_once(folder: Path) -> None:
    texts = read_tagged(folder / "ner.tsv")
    held_out = []
    for fold in (1, 2):
        own = folder / "models" / "run" / f"fold{fold}"
        kept, held = (read_tagged(own / f"{part}.jsonl") for part in ("train", "valid"))
        assert sorted([*kept, *held]) == sorted(texts)
        assert len(held) == 60
        held_out += held
    assert sorted(held_out) == sorted(texts)
    with (folder / "models" / "run" / "folds.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        trained = load_tagger(folder / "models" / f"run-fold{row['fold']}.pth")
        assert float(row["accuracy"]) == pytest.approx(trained.scores["accuracy"])


def test_what_was_found_comes_from_the_model_of_the_fold(folder: Path) -> None:
    found = [json.loads(line) for line in (folder / "outputs" / "run_oof.jsonl").open()]
    assert read_tagged(folder / "outputs" / "run_gold.jsonl") == read_tagged(folder / "ner.tsv")
    texts = read_tagged(folder / "ner.tsv")
    assert [row["id"] for row in found] == [row.id for row in texts]
    held = read_tagged(folder / "models" / "run" / "fold2" / "valid.jsonl")
    trained = load_tagger(folder / "models" / "run-fold2.pth")
    finder = EntityFinder(trained, make_accelerator(DeviceOptions(use_cuda="False")))
    by_id = {row["id"]: row["result"] for row in found}
    for row, hits in zip(held, finder([row.text for row in held]), strict=True):
        spans = [(hit.entity.span.start, hit.entity.span.end) for hit in hits]
        assert [(one["start"], one["end"]) for one in by_id[row.id]] == spans


def test_a_text_that_stands_twice_is_in_one_fold() -> None:
    texts = list(map(tagged_row, make_sample(300, seed=7).train[:120]))
    folds = assign_folds([*texts, *texts[:40]], 2, seed=1)
    assert folds[120:].tolist() == folds[:40].tolist()
    assert np.bincount(folds).min() > 60
    # One without an entity is no obstacle.
    assert len(assign_folds([*texts, TaggedText("x", "없음", ())], 2, seed=1)) == 121


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_folds": 1}, "--num_folds is 1"),
        (
            {"num_folds": 61, "run_name": "x"},
            "--num_folds 61, but .* texts have .* as",
        ),
        ({"valid_file": "ner.tsv", "run_name": "x"}, "leave --valid_file out"),
        ({"seed": 7}, "is already there"),
    ],
)
def test_faults(folder: Path, changed: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        train_ner.main(flags(folder, **changed))
