"""Where faulty rows go: a file for every source, written once."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

from kore.common.errors import UserError
from kore.data.faults import RowFault, faults_error, stop_or_reject


def fault(line: int, row_id: str) -> RowFault:
    return RowFault(line, "sentence", "is empty", {"id": row_id, "file": "a column of the user's"})


def rejected_ids(path: Path) -> list[tuple[str, str]]:
    """(source, id) of every row of a file of rejected rows."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["file", "line", "column", "reason", "id", "file"]
    return [(row[0], row[4]) for row in rows[1:]]


def test_files_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    for _ in range(2):  # again: each replaces its own
        stop_or_reject("a/rows.csv", [fault(2, "0"), fault(3, "1")], "skip", tmp_path)
        stop_or_reject("b/rows.csv", [fault(7, "2")], "skip", tmp_path)
    digest = hashlib.sha256(b"b/rows.csv").hexdigest()[:8]
    first, second = tmp_path / "rows.csv.rejected.csv", tmp_path / f"rows.csv-{digest}.rejected.csv"
    assert sorted(tmp_path.iterdir()) == sorted([first, second])
    assert rejected_ids(first) == [("a/rows.csv", "0"), ("a/rows.csv", "1")]
    assert rejected_ids(second) == [("b/rows.csv", "2")]


def test_the_log_names_the_file_that_was_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for name in ("a/rows.csv", "b/rows.csv"):
        stop_or_reject(name, [fault(2, "0")], "skip", tmp_path)
    written = [Path(message.rpartition(" in ")[2]) for message in caplog.messages]
    assert sorted(written) == sorted(tmp_path.iterdir())


def test_of_several_processes_the_main_one_writes_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    stop_or_reject("rows.csv", [fault(2, "0")], "skip", tmp_path)
    assert (list(tmp_path.iterdir()), caplog.messages) == ([], [])
    monkeypatch.setenv("RANK", "0")
    stop_or_reject("rows.csv", [fault(2, "0")], "skip", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv.rejected.csv"]
    assert len(caplog.messages) == 1


def test_every_process_stops_at_faulty_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(UserError, match=r"rows\.csv:2 sentence: is empty"):
        stop_or_reject("rows.csv", [fault(2, "0")], "stop", tmp_path)


def test_the_faults_beyond_those_shown_are_counted() -> None:
    assert str(faults_error("rows.csv", ["one", "two"], faults=5, rows=3)) == (
        "one\ntwo\n… and 3 more\n"
        "3 faulty rows in rows.csv: correct them, set them aside with `on_bad_row` skip, or "
        "convert data of another tool with src/tools/prepare_data.py"
    )
