"""Half a minute of mutated files and bodies in every run of the tests; see benchmarks/fuzz.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fuzz
from kore.common.errors import UserError


def test_every_reader_answers_or_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fuzz.main(["--seconds", "30", "--keep_dir", str(tmp_path)])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["faulty"] == []
    assert set(found["counts"]) == set(fuzz.readers())
    assert all(sum(count.values()) for count in found["counts"].values())


def test_the_fuzz_run_sees_a_traceback_a_hang_and_code_that_runs(tmp_path: Path) -> None:
    def divide(path: Path) -> object:
        return 1 / (len(path.read_bytes()) - 4)  # fails where the length is the same

    reader = fuzz.Reader(".x", b"abcd", divide)
    with pytest.raises(ZeroDivisionError):
        fuzz.fuzz("x", reader, tmp_path, 50, 0, 10)
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(fuzz.HangError):
        fuzz.answer_of(fuzz.Reader(".x", b"", lambda path: _wait_forever()), tmp_path / "x", 1)
    with pytest.raises(AssertionError, match="empty message"):
        fuzz.answer_of(fuzz.Reader(".x", b"", lambda path: _refuse("")), tmp_path / "x", 1)
    canary = tmp_path / "canary"
    import pickle

    pickle.loads(fuzz.hostile(canary)["labels pkl"])  # the hostile content does run where it may
    assert canary.exists()


def _wait_forever() -> None:
    while True:
        pass


def _refuse(message: str) -> None:
    raise UserError(message)
