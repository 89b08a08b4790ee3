"""Exit statuses and messages of a command, for everything that can end it."""

from __future__ import annotations

import errno
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from kore.common.errors import UserError, run_command

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture(autouse=True)
def _restore_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """run_command replaces the form of warnings for the whole process."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)


def failing(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("--seed is -1"), 2, "error: --seed is -1\n"),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "없다.csv"),
            2,
            "error: 없다.csv: No such file or directory\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            2,
            "error: No space left on device\n",
        ),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (
            KeyboardInterrupt("Interrupted; continue with --resume."),
            130,
            "Interrupted; continue with --resume.\n",
        ),
    ],
)
def test_what_the_user_can_fix_ends_in_one_sentence(
    error: BaseException, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_command(failing(error))
    assert caught.value.code == status
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("error", [ValueError("ours"), OSError("raised by a library")])
def test_defects_of_kore_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        run_command(failing(error))
    assert caught.value is error


def test_a_command_that_ends_well_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    run_command(lambda: print("done"))  # SystemExit would fail the test
    captured = capsys.readouterr()
    assert captured.out == "done\n"
    assert captured.err == ""


def run_script(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"from kore.common.errors import *\n{code}"],
        cwd=SRC,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_status_and_stderr_of_a_process() -> None:
    process = run_script("def main(): raise UserError('no rows')\nrun_command(main)")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (2, "", "error: no rows\n")


def test_a_warning_is_one_line() -> None:
    process = run_script("import warnings\nrun_command(lambda: warnings.warn('3 rows cut'))")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "warning: 3 rows cut\n")


@pytest.mark.parametrize("lines", [1, 99_999])  # less than a buffer, more than a pipe
def test_a_closed_pipe_is_no_traceback(lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `| head -1`: nobody reads what is printed."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    process = run_script(f"run_command(lambda: print('x\\n' * {lines}))")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), errors) == (1, "")
