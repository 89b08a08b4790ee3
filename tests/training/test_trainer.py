"""The loop on a random BERT of 2 layers x 32: files, repeatability, resuming, faults."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.runs import (
    expect_user_error,
    read_json,
    train_flags,
    train_in,
)

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions
from kore.data.options import RowOptions
from kore.data.rows import read_examples
from kore.network.checkpoint import STATE_KIND, load_model, load_payload, save_payload
from kore.prediction.predictor import predict_examples
from kore.scoring.calibration import fit_temperature
from kore.scoring.metrics import score
from kore.training import loss as losses
from kore.training import trainer
from kore.training.trainer import Trainer


@pytest.fixture(scope="module")
def unbroken(shared: Path) -> dict[str, Any]:
    """A run that nothing stopped, to compare with."""
    return train_in(shared, run_name="unbroken")


def assert_same_weights(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["weights"].keys() == other["weights"].keys()
    for name, weight in one["weights"].items():
        assert torch.equal(weight, other["weights"][name]), name


def interrupt_at(update: int, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls `act` when the run is about to make that update, counted from 0 over the run."""
    original = Trainer._update

    def stopped(self: Trainer, rows: Any, step: int) -> Any:
        if step == update:
            act()
        return original(self, rows, step)

    monkeypatch.setattr(Trainer, "_update", stopped)


def test_run_writes_every_file(shared: Path, unbroken: dict[str, Any]) -> None:
    folder = shared / "models" / "unbroken"
    assert sorted(path.name for path in folder.iterdir()) == [
        "last.pth",
        "learning_curve.png",
        "log.csv",
        "options.json",
        "reliability.png",
    ]
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])
    assert read_json(folder / "options.json")["num_epochs"] == 2
    assert (folder / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    best = load_model(shared / "models" / "unbroken.pth")
    highest = max(rows, key=lambda row: float(row["micro_f1"]))
    assert best.scores["epoch"] == int(highest["epoch"])
    assert best.scores["micro_f1"] == pytest.approx(float(highest["micro_f1"]))


def test_same_flags_give_the_same_weights(folder: Path, unbroken: dict[str, Any]) -> None:
    assert_same_weights(train_in(folder), unbroken)


def test_another_seed_gives_other_weights(folder: Path, unbroken: dict[str, Any]) -> None:
    other = train_in(folder, seed=43)
    assert not torch.equal(other["weights"]["head.1.weight"], unbroken["weights"]["head.1.weight"])


@pytest.mark.parametrize("update", [1, 5, 11])
def test_killed_run_resumes_to_the_same_weights(
    folder: Path, unbroken: dict[str, Any], update: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch has 8 updates: before the first saved state, inside an epoch, inside the second."""

    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    with monkeypatch.context() as patched:
        interrupt_at(update, kill, patched)
        with pytest.raises(Killed):
            train_in(folder, save_steps=3)
    assert_same_weights(train_in(folder, save_steps=3, resume=True), unbroken)


def stopped_state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Any]]:
    """`last.pth` of a run that was stopped in its first epoch, and what it holds."""
    with monkeypatch.context() as patched:
        interrupt_at(4, lambda: os.kill(os.getpid(), signal.SIGINT), patched)
        with pytest.raises(KeyboardInterrupt):
            train_in(folder)
    path = folder / "models" / "run" / "last.pth"
    return path, load_payload(path, STATE_KIND)


def test_the_seconds_of_an_epoch_are_those_of_all_its_parts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, state = stopped_state(folder, monkeypatch)
    assert state["position"]["seconds"] > 0
    state["position"]["seconds"] += 1_000
    save_payload(path, STATE_KIND, state)
    first, second = train_in(folder, resume=True)["history"]
    assert first["seconds"] > 1_000 > second["seconds"]


def test_a_state_of_another_version_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, state = stopped_state(folder, monkeypatch)
    del state["position"]["count"]  # as before 0.5.0
    save_payload(path, STATE_KIND, state)
    expect_user_error(
        train_flags(folder, resume=True), "last.pth was written by another version of KoRE"
    )


TECHNIQUES: dict[str, Any] = {
    "weight_average": "swa",
    "r_drop": 1.0,
    "fgm": 0.5,
    "mask_tokens": 0.2,
    "bilstm": True,
    "last_layers": 2,
    "entity_type_embedding": True,
    "type_restriction": "both",
    "cue_sentence": True,
    "layer_lr_decay": 0.8,
    "class_balanced_beta": 0.9,
    "asymmetric_loss": True,
    "replace_entities": 0.2,
    "oversample_to": 9,
    "span_pooling": "start_end",
}


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_changes_the_run(folder: Path, unbroken: dict[str, Any], name: str) -> None:
    run = train_in(folder, num_epochs=1, **{name: TECHNIQUES[name]})
    scores = ("train_loss", "valid_loss")
    first = unbroken["history"][0]
    assert [run["history"][0][score] for score in scores] != [first[score] for score in scores]


WITH_STATE: dict[str, dict[str, Any]] = {
    "ema": {"weight_average": "ema", "ema_decay": 0.9},
    "swa": {"weight_average": "swa"},
    "draws": {"r_drop": 1.0, "fgm": 0.5, "mask_tokens": 0.2, "replace_entities": 0.2},
    "parts": {
        "bilstm": True,
        "last_layers": 2,
        "entity_type_embedding": True,
        "type_restriction": "both",
        "layer_lr_decay": 0.8,
    },
}


@pytest.mark.parametrize("name", WITH_STATE)
def test_techniques_resume_to_the_same_weights(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    flags = WITH_STATE[name]
    whole = train_in(folder, run_name="whole", **flags)
    with monkeypatch.context() as patched:
        interrupt_at(11, kill, patched)
        with pytest.raises(Killed):
            train_in(folder, save_steps=3, **flags)
    resumed = train_in(folder, save_steps=3, resume=True, **flags)
    assert_same_weights(resumed, whole)
    first, second = (load_model(folder / "models" / f"{run}.pth") for run in ("whole", "run"))
    for key, weight in first.model.state_dict().items():
        assert torch.equal(weight, second.model.state_dict()[key])  # averaged, where they are


def test_a_run_of_a_version_without_a_flag_is_gone_on_with(folder: Path) -> None:
    train_in(folder, num_epochs=1)
    path = folder / "models" / "run" / "last.pth"
    state = torch.load(path, weights_only=True)
    del state["model"]["options"]["r_drop"]
    torch.save(state, path)
    train_in(folder, num_epochs=1, resume=True)
    flags = train_flags(folder, num_epochs=1, resume=True, r_drop=1.0)
    expect_user_error(flags, "--r_drop was 0.0, is 1.0")


def test_an_average_is_what_is_kept_and_the_run_goes_on_without_it(folder: Path) -> None:
    run = train_in(folder, num_epochs=1, weight_average="ema", ema_decay=0.9)
    kept = load_model(folder / "models" / "run.pth").model.state_dict()["head.1.weight"]
    own = run["weights"]["head.1.weight"]
    plain = train_in(folder, num_epochs=1, run_name="plain")["weights"]["head.1.weight"]
    assert torch.equal(own, plain)
    assert not torch.equal(kept, own)


def test_flags_that_do_not_go_together(folder: Path) -> None:
    flags = train_flags(folder, last_layers=3)
    expect_user_error(flags, "--last_layers 3, but", "has 2")
    expect_user_error([*train_flags(folder), "--focal_loss", "--asymmetric_loss"], "choose one")
    flags = train_flags(folder, cue_sentence=True, use_entity_markers=False)
    expect_user_error(flags, "--cue_sentence needs --use_entity_markers")
    (folder / "table.json").write_text('{"per:parents": "per:parent"}', encoding="utf-8")
    flags = train_flags(folder, swap_entities=folder / "table.json")
    expect_user_error(flags, "'per:parent' is not one of the 30 relations")
    assert not (folder / "models").exists()


def test_ctrl_c_saves_and_says_how_to_go_on(
    folder: Path, unbroken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        interrupt_at(10, lambda: os.kill(os.getpid(), signal.SIGINT), patched)
        with pytest.raises(KeyboardInterrupt, match="--run_name run --resume"):
            train_in(folder)
    resumed: list[int] = []
    interrupt_at(11, lambda: resumed.append(11), monkeypatch)
    interrupt_at(10, lambda: resumed.append(10), monkeypatch)
    assert_same_weights(train_in(folder, resume=True), unbroken)
    assert resumed == [11]  # update 10 was finished and saved before the run stopped


def test_resuming_a_finished_run_changes_nothing(folder: Path, unbroken: dict[str, Any]) -> None:
    train_in(folder)
    again = train_in(folder, resume=True)
    assert_same_weights(again, unbroken)
    assert len(again["history"]) == 2


def test_resume_refuses_other_flags(folder: Path) -> None:
    train_in(folder, num_epochs=1)
    flags = train_flags(folder, num_epochs=1, learning_rate=1e-4, resume=True)
    expect_user_error(flags, "--learning_rate was 0.001, is 0.0001")


def test_resume_refuses_changed_data(folder: Path) -> None:
    train_in(folder, num_epochs=1)
    rows = (folder / "train_data.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "train_data.csv").unlink()
    (folder / "train_data.csv").write_text("".join(rows[:-1]), encoding="utf-8")
    flags = train_flags(folder, num_epochs=1, resume=True)
    expect_user_error(flags, "train_data.csv", "has changed")


def test_accumulated_steps_equal_one_large_step(folder: Path) -> None:
    whole = train_in(folder, run_name="whole", num_epochs=1, dropout=0, precision="fp32")
    parts = train_in(
        folder,
        run_name="parts",
        num_epochs=1,
        dropout=0,
        precision="fp32",
        batch_size=8,
        gradient_accumulation_steps=4,
    )
    assert parts["history"][0]["train_loss"] == pytest.approx(
        whole["history"][0]["train_loss"], abs=1e-4
    )


def test_more_steps_than_rows_are_refused(folder: Path) -> None:
    flags = train_flags(folder, batch_size=1, gradient_accumulation_steps=300)
    expect_user_error(flags, "240 training rows", "--gradient_accumulation_steps")


def test_non_finite_loss_stops_and_keeps_the_best(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def poisoned(options: Any, counts: list[int]) -> losses.Loss:
        good = losses.make_loss(options, counts)

        def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += 1  # 8 updates and a validation, then the third update of epoch 2
            return good(logits, labels) * (torch.nan if calls == 12 else 1)

        return loss

    monkeypatch.setattr(trainer, "make_loss", poisoned)
    with pytest.raises(UserError, match=r"the loss is nan in epoch 2.*keeps the best epoch so far"):
        train_in(folder)
    kept = load_model(folder / "models" / "run.pth")
    assert kept.scores["epoch"] == 1
    assert all(torch.isfinite(weight).all() for weight in kept.model.state_dict().values())


def test_patience_stops_after_epochs_without_a_better_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([10.0, 30.0, 20.0, 30.0, 99.0])
    original = Trainer._validate

    def scripted(self: Trainer) -> Any:
        result = original(self)
        return result._replace(scores=replace(result.scores, micro_f1=next(scores)))

    monkeypatch.setattr(Trainer, "_validate", scripted)
    run = train_in(folder, num_epochs=5, patience=2)
    assert [row["micro_f1"] for row in run["history"]] == [10.0, 30.0, 20.0, 30.0]
    assert load_model(folder / "models" / "run.pth").scores["epoch"] == 2  # the first of equals


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ({"max_length": 201}, ["--max_length 201", "positions for 200 tokens"]),
        ({"max_length": 10}, ["--max_length 10 is too small"]),
        ({"run_name": "../other"}, ["--run_name"]),
        ({"use_cuda": "True"}, ["--use_cuda True"]),
        ({"no_relation_label": "관계없음"}, ["--no_relation_label '관계없음'"]),
        (
            {"model_name_or_path": "no/such-encoder"},
            ["no/such-encoder", "--model_name_or_path mini"],
        ),
    ],
)
def test_faults_are_told_before_anything_is_written(
    folder: Path, flags: dict[str, Any], parts: list[str]
) -> None:
    if flags.get("use_cuda") and torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    expect_user_error(train_flags(folder, **flags), *parts)
    assert not (folder / "models").exists()


def test_temperature_of_the_best_epoch_is_kept(shared: Path, unbroken: dict[str, Any]) -> None:
    """The log has the calibrated scores and both calibration errors; fitting made it no worse."""
    best = load_model(shared / "models" / "unbroken.pth")
    row = unbroken["history"][best.scores["epoch"] - 1]
    assert float(best.classifier.temperature) == pytest.approx(row["temperature"])
    assert row["temperature"] != 1.0
    assert best.scores["ece"] == row["ece"]
    valid = read_examples(shared / "valid_data.csv", RowOptions(), need_labels=True)
    gold = np.asarray(best.labels.index(str(example.label) for example in valid))
    probs = predict_examples(best, valid, make_accelerator(DeviceOptions(use_cuda="False")))
    assert score(gold, probs, best.labels).auprc == pytest.approx(row["auprc"], abs=1e-3)
    assert fit_temperature(gold, probs) == pytest.approx(1.0, abs=0.01)


def test_a_hold_out_with_the_balance_of_training_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_in(folder, num_epochs=1)
    assert "class balance" not in capsys.readouterr().err
    train_in(folder, num_epochs=1, run_name="same", valid_file=folder / "train_data.csv")
    assert "have the class balance of the training rows" in capsys.readouterr().err
