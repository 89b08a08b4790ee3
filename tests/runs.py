"""Small runs of the commands, shared by the tests of training and of the whole way."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from transformers import BertConfig, BertModel

import train
from kore.common.errors import UserError, run_command
from kore.data.records import write_examples
from kore.data.sample_run import make_sample
from kore.network import mini
from kore.network.checkpoint import STATE_KIND, load_payload

REPOSITORY = Path(__file__).resolve().parents[1]


def write_sample(folder: Path, rows: int = 300) -> None:
    """train_data.csv and valid_data.csv of generated rows; the smallest sample is 300 rows."""
    sample = make_sample(rows, seed=7)
    for name, part in (("train", sample.train), ("valid", sample.valid), ("test", sample.test)):
        write_examples(folder / f"{name}_data.csv", part)


def save_tiny_bert(folder: Path) -> Path:
    """A random BERT of 2 layers x 32 with its tokenizer, as a folder that AutoModel loads.

    Always the same one, whatever was drawn before.
    """
    texts = (row.sentence for row in make_sample(300, seed=7).train)
    tokenizer = mini.learn_tokenizer(texts, 500)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=200,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = BertModel(config, add_pooling_layer=False)
    encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def train_flags(folder: Path, **flags: Any) -> list[str]:
    """Flags of a run that ends in seconds; `flags` win."""
    chosen = {
        "train_file": folder / "train_data.csv",
        "valid_file": folder / "valid_data.csv",
        "model_name_or_path": folder / "tiny",
        "model_dir": folder / "models",
        "output_dir": folder / "outputs",
        "num_epochs": 2,
        "batch_size": 32,
        "max_length": 96,
        "learning_rate": 1e-3,
        "run_name": "run",
        **flags,
    }
    return as_flags(**chosen)


def as_flags(**values: Any) -> list[str]:
    """["--name", "value", …] of the options of a command."""
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


def train_in(folder: Path, **flags: Any) -> dict[str, Any]:
    """Trains in this process; returns the weights of the last state and the log."""
    train.main(train_flags(folder, **flags))
    run_name = flags.get("run_name", "run")
    return final_state(folder, run_name)


def final_state(folder: Path, run_name: str = "run") -> dict[str, Any]:
    state = load_payload(folder / "models" / run_name / "last.pth", STATE_KIND)
    return {"weights": state["model"]["weights"], "history": state["position"]["history"]}


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def command(script: str, *flags: str, cwd: Path = REPOSITORY) -> Result:
    """Runs a command as its script does, but in this process: a new one takes seconds to start.

    tests/commands/test_readme.py runs every script as a user does, and tests/processes.py what
    needs a process of its own.
    """
    out, err = io.StringIO(), io.StringIO()
    status: Any = 0
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        try:
            run_command(lambda: importlib.import_module(Path(script).stem).main(list(flags)))
        except SystemExit as end:
            status = end.code or 0
    return Result(int(status), out.getvalue(), err.getvalue())


def process(script: str, *flags: str, cwd: Path = REPOSITORY) -> Result:
    """Runs a command as a user does, where it matters that the process is a new one."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "src" / script), *flags],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def assert_one_sentence(result: Result, *parts: str) -> None:
    """The user's mistake: exit status 2, a message with `parts` at the end, no traceback."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    message = result.stderr[result.stderr.index("error: ") :]
    for part in parts:
        assert part in message


def expect_user_error(flags: list[str], *parts: str) -> None:
    """The same in this process, for the many mistakes of one command."""
    with pytest.raises(UserError) as caught:
        train.main(flags)
    for part in parts:
        assert part in str(caught.value), str(caught.value)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
