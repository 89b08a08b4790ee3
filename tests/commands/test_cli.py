"""The table of commands: `kore NAME`, the scripts in src, and what a process does not load."""

from __future__ import annotations

import dataclasses
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from kore import cli
from kore.common import memory
from kore.common.errors import ExitStatus, UserError
from kore.common.resources import python_path

SRC = Path(__file__).parents[2] / "src"
SCRIPTS = {
    "train": "train",
    "inference": "predict",
    "evaluation": "evaluate",
    "ensemble": "ensemble",
    "search": "search",
    "pretrain": "pretrain",
    "check_data": "check-data",
    "prepare_data": "prepare-data",
    "make_sample_data": "make-sample-data",
    "experiments": "experiments",
    "export": "export",
    "explain": "explain",
    "check_submission": "check-submission",
    "predict_on_ray": "predict-on-ray",
    "extract_on_ray": "extract-on-ray",
    "plots": "eda",
    "train_ner": "train-ner",
    "inference_ner": "tag",
    "extract": "extract",
    "serve": "serve",
    "train_emotion": "train-emotion",
    "inference_emotion": "predict-emotion",
}
HEAVY = {
    *("torch", "transformers", "tokenizers", "accelerate", "numpy", "pandas", "pyarrow", "scipy"),
    *("sklearn", "matplotlib", "ray", "optuna", "fastapi", "uvicorn"),
}

# Prints the help of every command, and after each the modules that are loaded by then.
EVERY_HELP = """
import contextlib, io, json, sys
import kore
from_import = sorted(sys.modules)
from kore import cli
helps = {}
for name in cli.COMMANDS:
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        cli.run(name, ["--help"])
    helps[name] = shown.getvalue()
print(json.dumps([from_import, sorted(sys.modules), helps]))
"""


def run_python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={"PYTHONPATH": python_path(), "COLUMNS": "100"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str], dict[str, str]]:
    """Modules after `import kore`, modules after every --help, and what each --help shows."""
    done = run_python("-c", EVERY_HELP, cwd=tmp_path_factory.mktemp("elsewhere"))
    assert done.stderr == ""
    after_import, after_help, helps = json.loads(done.stdout)
    return set(after_import), set(after_help), helps


def test_import_loads_nothing_heavy(loaded) -> None:
    after_import, _, _ = loaded
    assert "kore" in after_import
    assert after_import.isdisjoint(HEAVY | {"argparse", "kore.cli"})


def test_help_loads_nothing_heavy(loaded) -> None:
    _, after_help, _ = loaded
    assert "argparse" in after_help
    assert after_help.isdisjoint(HEAVY)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_shows_every_flag_in_a_named_group(loaded, name) -> None:
    _, _, helps = loaded
    lines = helps[name].splitlines()
    assert lines[0].startswith("usage: ")
    assert lines[2] == cli.COMMANDS[name].about
    for field in dataclasses.fields(cli._load(cli.COMMANDS[name].options)):
        shown = field.metadata["positional"] or f"--{field.name}"
        assert any(line.startswith(f"  {shown} ") for line in lines)
        assert not any(f"--{alias} " in helps[name] for alias in field.metadata["aliases"])
    headings = [line for line in lines if line and not line.startswith(" ")][2:]
    assert headings[0] == "Essentials:"
    assert headings[-1] == "Help:"
    assert all(heading.endswith(":") and len(heading) > 1 for heading in headings)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_what_a_command_runs_exists(name) -> None:
    assert callable(cli._load(cli.COMMANDS[name].run))


def test_there_is_a_script_for_every_command() -> None:
    assert set(SCRIPTS.values()) == set(cli.COMMANDS)
    found = {path.stem for folder in (SRC, SRC / "tools") for path in folder.glob("*.py")}
    assert found == {*SCRIPTS, "quickstart", "locked_requirements"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_runs_its_command(monkeypatch, script) -> None:
    ran: list[str] = []
    monkeypatch.setattr(cli, "run", lambda name, arguments=None: ran.append(name))
    module = importlib.import_module(script)
    monkeypatch.setattr(module, "run", cli.run, raising=False)  # plots calls it by this name
    module.main(["eda"])
    assert ran == [SCRIPTS[script]]


def test_a_script_finds_the_package_from_any_folder(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, str(SRC / "tools" / "check_data.py"), "--help"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: check_data.py [flags] FILE ...\n")


def test_the_console_command(tmp_path) -> None:
    done = run_python("-m", "kore", "make-sample-data", "--num_rows", "300", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "data/sample/train_data.csv").is_file()


def console(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["kore", *arguments])
    cli.main()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_the_console_command_lists_all_commands(monkeypatch, capsys, arguments) -> None:
    console(monkeypatch, *arguments)
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert listed == list(cli.COMMANDS)


def test_an_unknown_command_ends_in_one_sentence(monkeypatch, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        console(monkeypatch, "serach")
    assert caught.value.code == 2
    message = "error: 'serach' is not a command; did you mean search or extract or serve?\n"
    assert capsys.readouterr().err == message


@pytest.fixture
def command(monkeypatch):
    """Lets a command run a function of the test instead."""

    def replace(name, function) -> None:
        load = cli._load
        place = cli.COMMANDS[name].run
        monkeypatch.setattr(cli, "_load", lambda at: function if at == place else load(at))

    return replace


def test_messages_name_the_flags_of_the_command(command) -> None:
    def fail(options: object) -> None:
        raise UserError("`seed` is odd, `batch_size` is not an option here")

    command("make-sample-data", fail)
    with pytest.raises(UserError, match=r"^--seed is odd, `batch_size` is not an option here$"):
        cli.run("make-sample-data", [])


def test_a_check_that_finds_something_exits_with_1(command) -> None:
    command("check-data", lambda options: ExitStatus.FOUND)
    with pytest.raises(SystemExit) as caught:
        cli.run("check-data", ["a.csv"])
    assert caught.value.code == 1


def test_only_commands_that_train_keep_all_freed_memory(monkeypatch, command) -> None:
    kept: list[str] = []
    for name in cli.COMMANDS:
        monkeypatch.setattr(cli, "keep_freed_memory", lambda name=name: kept.append(name))
        command(name, lambda options: None)
        positional = {"check-data", "check-submission", "ensemble", "pretrain"}
        cli.run(name, ["a"] if name in positional else [])
    assert kept == ["train", "train-ner", "train-emotion", "search", "pretrain"]
    assert memory.keep_freed_memory is not cli.keep_freed_memory
