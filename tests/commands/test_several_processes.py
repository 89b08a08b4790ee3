"""`accelerate launch` with two processes: the results of one, one writer, exact resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.builders import make_trained
from tests.processes import run_both, start_both
from tests.runs import (
    REPOSITORY,
    command,
    final_state,
    train_flags,
)

from kore.data.ner import write_klue
from kore.data.sample_run import make_sample, tagged_row
from kore.network.checkpoint import save_model

# Without a GPU as well: --multi_gpu only says that torch's own launcher starts the processes.
LAUNCH = [
    *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
    *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
    *("--main_process_port", "0"),
]
TRAIN = {"use_cuda": "False", "dropout": 0, "num_epochs": 2}


def launch(script: str, *flags: str) -> str:
    """Runs a command as the README says to, and returns all that was printed."""
    process = subprocess.Popen(
        [*LAUNCH, str(REPOSITORY / "src" / script), *flags],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=200)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output
    return output


def losses(folder: Path, run_name: str) -> list[float]:
    state = final_state(folder, run_name)
    return [row[name] for row in state["history"] for name in ("train_loss", "valid_loss")]


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 2e-3)])
def test_training_equals_one_process_of_twice_the_rows(folder, precision, tolerance):
    same: dict[str, Any] = {**TRAIN, "precision": precision}
    one = command("train.py", *train_flags(folder, run_name="one", batch_size=16, **same))
    assert one.returncode == 0, one.stderr
    flags = train_flags(folder, run_name="two", batch_size=8, **same)
    if precision == "fp32":
        output = launch("train.py", *flags)
    else:
        output = run_both("train.py", flags, folder / "log")
    assert losses(folder, "two") == pytest.approx(losses(folder, "one"), abs=tolerance)
    assert output.count("Checkpoint:") == 1  # one process prints and writes
    assert output.count("epoch 2:") == 1


@pytest.mark.parametrize("is_joint", [False, True])
def test_a_killed_run_resumes_exactly(folder, is_joint):
    flags = {**TRAIN, "dropout": 0.1, "batch_size": 8, "save_steps": 3}
    if is_joint:
        flags["ner_file"] = folder / "ner.tsv"
        write_klue(folder / "ner.tsv", [tagged_row(row) for row in make_sample(300, seed=3).train])
    run_both("train.py", train_flags(folder, run_name="whole", **flags), folder / "log")
    killed = train_flags(folder, run_name="killed", **flags)
    both = start_both("train.py", killed, folder / "killed")
    both[0].wait_for(folder / "models" / "killed" / "log.csv")  # the first epoch of two is done
    for process in both:
        process.kill()
        assert process.returncode == -signal.SIGKILL
    run_both("train.py", [*killed, "--resume"], folder / "resumed")
    whole, resumed = final_state(folder, "whole"), final_state(folder, "killed")
    for name, weight in whole["weights"].items():
        assert torch.equal(weight, resumed["weights"][name]), name


def test_prediction_gives_the_identical_file(folder):
    save_model(folder / "model.pth", make_trained())
    rows = many(folder / "test_data.csv", folder / "many.csv")
    flags = ["--model_file", str(folder / "model.pth"), "--test_file", str(rows)]
    one = command("inference.py", *flags, "--output_dir", str(folder / "one"))
    assert one.returncode == 0, one.stderr
    output = run_both("inference.py", [*flags, "--output_dir", str(folder / "two")], folder / "log")
    names = sorted(path.name for path in (folder / "two").iterdir())
    assert names == [f"model_many.{end}" for end in ("csv", "csv.manifest.json", "labels.json")]
    assert (folder / "two" / names[0]).read_bytes() == (folder / "one" / names[0]).read_bytes()
    assert output.count("examples predicted with") == 1


def many(rows: Path, path: Path) -> Path:
    """The rows again and again under new ids, so that there are several chunks."""
    header, *lines = rows.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith('"')
    copies = -(-6000 // len(lines))
    numbered = [f'"{copy}-{line[1:]}' for copy in range(copies) for line in lines]
    path.write_text("\n".join([header, *numbered]) + "\n", encoding="utf-8")
    return path


def test_a_fault_in_the_input_ends_both(folder):
    save_model(folder / "model.pth", make_trained())
    (folder / "bad.csv").write_text("id,sentence\n", encoding="utf-8")
    flags = ["--model_file", str(folder / "model.pth"), "--test_file", str(folder / "bad.csv")]
    both = start_both("inference.py", [*flags, "--output_dir", str(folder / "out")], folder / "log")
    assert all(process.wait() != 0 for process in both)
    output = "".join(process.output() for process in both)
    assert output.count("error: ") == 1
    assert "bad.csv:1: no column subject_entity, object_entity" in output
