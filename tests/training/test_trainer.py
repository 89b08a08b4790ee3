"""The loop on a random BERT of 2 layers x 32: files, repeatability, resuming, faults."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
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
from kore.common.resources import python_path
from kore.data.rows import read_examples
from kore.network.checkpoint import STATE_KIND, load_model, load_payload, save_payload
from kore.prediction.predictor import predict_examples
from kore.scoring.calibration import fit_temperature
from kore.scoring.label_shift import read_prior, row_weights
from kore.scoring.metrics import score
from kore.training import loss as losses
from kore.training import relation
from kore.training.relation import RelationObjective
from kore.training.trainer import Trainer


@pytest.fixture(scope="module")
def unbroken(shared: Path) -> dict[str, Any]:
    """A run that nothing stopped, to compare with."""
    return train_in(shared, run_name="unbroken")


def assert_same_weights(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["weights"].keys() == other["weights"].keys()
    for name, weight in one["weights"].items():
        assert torch.equal(weight, other["weights"][name]), name


def interrupt_at(step: int, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls `act` before that optimizer step, counted from 0 over the run."""
    original = Trainer._optimizer_step

    def stopped(self: Trainer, batch: Any, number: int) -> Any:
        if number == step:
            act()
        return original(self, batch, number)

    monkeypatch.setattr(Trainer, "_optimizer_step", stopped)


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


@pytest.mark.parametrize("step", [1, 5, 11])
def test_killed_run_resumes_to_the_same_weights(
    folder: Path, unbroken: dict[str, Any], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch has 8 optimizer steps: before the first saved state, and inside both epochs."""

    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    with monkeypatch.context() as patched:
        interrupt_at(step, kill, patched)
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
    del state["manifest"], state["state_version"]  # as in 0.5
    save_payload(path, STATE_KIND, state)
    expect_user_error(
        train_flags(folder, resume=True), "last.pth was written by another version of KoRE"
    )


WITH_STATE: dict[str, dict[str, Any]] = {
    "draws": {"r_drop": 1.0, "fgm": 0.5, "mask_tokens": 0.2},
    "parts": {
        "ngram_buckets": 100,
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
        assert torch.equal(weight, second.model.state_dict()[key])


def test_a_run_of_a_version_without_an_option_is_continued(folder: Path) -> None:
    train_in(folder, num_epochs=1)
    path = folder / "models" / "run" / "last.pth"
    state = torch.load(path, weights_only=True)
    del state["manifest"]["`r_drop`"]
    torch.save(state, path)
    train_in(folder, num_epochs=1, resume=True)
    flags = train_flags(folder, num_epochs=1, resume=True, r_drop=1.0)
    expect_user_error(flags, "--r_drop was 0.0, is 1.0")


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


def test_ctrl_c_saves_and_says_how_to_continue(
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
    assert resumed == [11]  # step 10 was finished and saved before the run stopped


def test_resuming_a_finished_run_changes_nothing(folder: Path, unbroken: dict[str, Any]) -> None:
    train_in(folder)
    again = train_in(folder, resume=True)
    assert_same_weights(again, unbroken)
    assert len(again["history"]) == 2


def test_a_finished_run_says_how_to_train_further(folder: Path) -> None:
    train_in(folder, num_epochs=1)
    best = folder / "models" / "run.pth"
    expect_user_error(
        train_flags(folder, num_epochs=3, resume=True),
        "--num_epochs was 1, is 3",
        f"pass another --run_name, and --model_name_or_path {best} to begin with its model",
    )


def test_a_run_without_its_state_is_not_resumed(folder: Path) -> None:
    train_in(folder, num_epochs=1)
    (folder / "models" / "run" / "last.pth").unlink()
    expect_user_error(
        train_flags(folder, num_epochs=1, resume=True),
        "last.pth is missing, so that run cannot be resumed; pass another --run_name, and",
    )


def test_data_files_that_were_moved_are_the_same_run(
    folder: Path, unbroken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_state(folder, monkeypatch)
    for name in ("train", "valid"):
        (folder / f"{name}_data.csv").rename(folder / f"moved_{name}.csv")
    moved = {f"{name}_file": folder / f"moved_{name}.csv" for name in ("train", "valid")}
    assert_same_weights(train_in(folder, resume=True, **moved), unbroken)


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
    expect_user_error(flags, "the content of --train_file has changed")


def test_accumulated_micro_batches_equal_one_large_batch(folder: Path) -> None:
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


def test_more_micro_batches_than_examples_are_refused(folder: Path) -> None:
    flags = train_flags(folder, batch_size=1, gradient_accumulation_steps=300)
    expect_user_error(flags, "240 training examples", "--gradient_accumulation_steps")


def test_non_finite_loss_stops_and_keeps_the_best(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def poisoned(options: Any) -> losses.Loss:
        good = losses.make_loss(options)

        def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += 1  # 8 optimizer steps and a validation, then the third step of epoch 2
            return good(logits, labels) * (torch.nan if calls == 12 else 1)

        return loss

    monkeypatch.setattr(relation, "make_loss", poisoned)
    with pytest.raises(UserError, match=r"the loss is nan in epoch 2.*keeps the best epoch so far"):
        train_in(folder)
    kept = load_model(folder / "models" / "run.pth")
    assert kept.scores["epoch"] == 1
    assert all(torch.isfinite(weight).all() for weight in kept.model.state_dict().values())


def test_patience_stops_after_epochs_without_a_better_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([10.0, 30.0, 20.0, 30.0, 99.0])
    original = RelationObjective.validate

    def scripted(self: RelationObjective, *inputs: Any) -> Any:
        result = original(self, *inputs)
        return result._replace(row={**result.row, "micro_f1": next(scores)})

    monkeypatch.setattr(RelationObjective, "validate", scripted)
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
        ({"target_prior": "gone.json"}, ["--target_prior gone.json: no such file"]),
        ({"no_relation_label": "관계없음"}, ["--no_relation_label '관계없음'"]),
        (
            {"model_name_or_path": "no/such-encoder"},
            ["no/such-encoder", "--model_name_or_path kore-mini"],
        ),
    ],
)
def test_faults_are_reported_before_anything_is_written(
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
    valid = read_examples(shared / "valid_data.csv", need_labels=True)
    gold = np.asarray(best.labels.index(str(example.label) for example in valid))
    probs = predict_examples(best, valid, make_accelerator(DeviceOptions(use_cuda="False")))
    assert score(gold, probs, best.labels).auprc == pytest.approx(row["auprc"], abs=1e-3)
    assert fit_temperature(gold, probs) == pytest.approx(1.0, abs=0.01)


def test_the_class_shares_that_are_expected_go_into_the_model(folder: Path) -> None:
    (folder / "shares.json").write_text('{"no_relation": 0.9}', encoding="utf-8")
    run = train_in(folder, target_prior=folder / "shares.json")
    best = load_model(folder / "models" / "run.pth")
    train, valid = (
        read_examples(folder / f"{part}_data.csv", need_labels=True) for part in ("train", "valid")
    )
    learned = np.mean([example.label == "no_relation" for example in train])
    odds = best.classifier.log_odds
    first = best.labels.names.index("no_relation")
    assert float(odds[first]) == pytest.approx(np.log(0.9 / learned), abs=1e-5)
    # The log's scores are those of its predictions, under these shares.
    gold = np.asarray(best.labels.index(str(example.label) for example in valid))
    probs = predict_examples(best, valid, make_accelerator(DeviceOptions(use_cuda="False")))
    shares = read_prior(folder / "shares.json", best.labels)
    expected = score(gold, probs, best.labels, row_weights(gold, shares))
    row = run["history"][best.scores["epoch"] - 1]
    assert row["accuracy"] == pytest.approx(expected.accuracy, abs=0.5)
    assert row["auprc"] == pytest.approx(expected.auprc, abs=0.5)


def test_the_relations_alone_move_half_the_way_to_what_is_expected(folder: Path) -> None:
    (folder / "shares.json").write_text('{"org:founded": 0.4}', encoding="utf-8")
    prior = {"target_prior": folder / "shares.json", "target_prior_scope": "relations"}
    train_in(folder, **prior, target_prior_strength=0.5, num_epochs=1)
    best = load_model(folder / "models" / "run.pth")
    labels = [str(row.label) for row in read_examples(folder / "train_data.csv", need_labels=True)]
    learned, none = (labels.count(name) / len(labels) for name in ("org:founded", "no_relation"))
    expected = 0.4 / (0.4 + 0.6 * 28 / 29) * (1 - none)  # 29 others share what is left
    odds = dict(zip(best.labels.names, best.classifier.log_odds.tolist(), strict=True))
    assert odds["no_relation"] == 0.0
    assert odds["org:founded"] == pytest.approx(np.log(expected / learned) / 2, abs=1e-5)


@pytest.mark.parametrize(
    "flag", [{"target_prior_scope": "relations"}, {"target_prior_strength": 0.5}]
)
def test_how_far_to_go_needs_a_target(folder: Path, flag: dict[str, Any]) -> None:
    expect_user_error(train_flags(folder, **flag), "goes with --target_prior")


def test_a_single_relation_is_refused_before_anything_is_written(folder: Path) -> None:
    text = (folder / "train_data.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [line for line in text[1:] if '"org:founded"' in line]
    (folder / "one.csv").write_text("".join([text[0], *rows]), encoding="utf-8")
    expect_user_error(
        train_flags(folder, train_file=folder / "one.csv"),
        f"one.csv: all examples ({len(rows)}) have the relation org:founded, so there is nothing",
    )
    assert not (folder / "models").exists()


def test_training_and_validating_on_the_same_file_is_warned_about(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_in(folder, num_epochs=1)
    assert "validation examples" not in caplog.text
    train_in(folder, num_epochs=1, run_name="same", valid_file=folder / "train_data.csv")
    assert "240 of the 240 validation examples are training examples as well" in caplog.text


@pytest.mark.parametrize("module", ["kore.training.run", "kore.pretraining.run"])
def test_a_run_starts_without_what_only_draws(module: str) -> None:
    """seaborn, matplotlib and scikit-learn take seconds, which a run need not wait for."""
    code = (
        f"import sys, {module}\n"
        "print(sorted({'matplotlib', 'seaborn', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
