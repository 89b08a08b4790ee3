"""The submission validator: every fault by its line, and nothing said of good rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.builders import make_example

import check_submission
from kore.common.errors import UserError
from kore.data.records import write_examples
from kore.data.schema import LabelMap
from kore.prediction.predictions import schema_path, write_submission

LABELS = LabelMap(("no_relation", "A"), "no_relation")
IDS = ["r0", "r1", "r2", "r3"]
GOOD = [f'{row_id},A,"[0.25, 0.75]"' for row_id in IDS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = (make_example(i, "김도율은 해담전자의 사원이다.", "김도율", "해담전자") for i in IDS)
    write_examples(tmp_path / "test.csv", rows)
    write_submission(
        tmp_path / "out.csv", ["x"], np.array([[0.5, 0.5]]), LABELS
    )  # for its labels.json
    return tmp_path


def check(folder: Path, lines: list[str], *flags: str) -> int:
    """The exit status for a submission of these lines."""
    text = "\n".join(["id,pred_label,probs", *lines])
    (folder / "out.csv").write_text(f"{text}\n", encoding="utf-8")
    test_file = str(folder / "test.csv")
    try:
        check_submission.main([str(folder / "out.csv"), "--test_file", test_file, *flags])
    except SystemExit as done:
        return int(str(done.code))
    return 0


def test_nothing_is_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, GOOD) == 0
    assert "out.csv: 4 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('r1,A,"[0.25, 0.5, 0.25]"', "probs: 3 numbers, expected 2"),
        ('r1,A,"[0.25, 0.7]"', "probs: they sum to 0.95"),
        ('r1,A,"[-0.25, 1.25]"', "probs: they sum to 1, expected numbers in [0, 1]"),
        ('r1,A,"[nan, 1]"', "probs: expected a list of numbers"),
        ('r1,A,"__import__(0)"', "probs: expected a list of numbers"),
        ('r1,no_relation,"[0.25, 0.75]"', "the largest of probs is that of 'A'"),
        ('r1,B,"[0.25, 0.75]"', "'B' is not one of the 2 relations"),
        (',A,"[0.25, 0.75]"', "id: is empty"),
        ('r0,A,"[0.25, 0.75]"', "id: 'r0' stands on line 2 as well"),
        ('q,A,"[0.25, 0.75]"', "id: 'q' is not in"),
    ],
)
def test_a_fault_by_its_line(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str, fault: str
) -> None:
    assert check(folder, [GOOD[0], line, *GOOD[2:]]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"{folder / 'out.csv'}:3 ")
    assert fault in printed[0]
    is_own_id = line.startswith("r1")
    assert any("'r1' of" in text and "has no row" in text for text in printed) is not is_own_id


def test_all_faults_are_found_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [GOOD[1], GOOD[0], 'r2,B,"[1]"', 'r2,A,"[0.5, 0.4]"']
    assert check(folder, lines) == 1
    printed = capsys.readouterr().out.splitlines()
    path = folder / "out.csv"
    assert printed == [
        f"{path}:3 id: 'r0' stands before 'r1' in {folder / 'test.csv'}",
        f"{path}:4 probs: 1 numbers, expected 2, one for every relation",
        f"{path}:5 id: 'r2' stands on line 4 as well",
        f"{path}:5 probs: they sum to 0.9, expected numbers in [0, 1] that sum to 1; are they "
        "logits? Apply a softmax first",
        f"{path}:6 id: 'r3' of {folder / 'test.csv'} has no row",
        f"5 faults in {path}",
    ]


def test_one_missing_row_is_one_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, GOOD[1:]) == 1
    assert "1 faults" in capsys.readouterr().out


def test_as_many_faults_are_shown_as_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty = [line.replace("A", "B") for line in GOOD]
    check(folder, faulty, "--show", "1")
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3
    assert printed[1] == "… and 3 more (--show 0 shows all)"
    check(folder, faulty, "--show", "0")
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_without_labels_beside_it_the_order_is_that_of_the_competition(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema_path(folder / "out.csv").unlink()
    assert check(folder, GOOD) == 1
    assert "2 numbers, expected 30" in capsys.readouterr().out


def test_files_that_cannot_be_checked(folder: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        check_submission.main([str(folder / "gone.csv"), "--test_file", str(folder / "test.csv")])
    with pytest.raises(UserError, match="no such file"):
        check(folder, GOOD, "--test_file", str(folder / "gone.csv"))
    with pytest.raises(UserError, match="2 SUBMISSION files given, expected one"):
        check_submission.main(["a.csv", "b.csv"])
    (folder / "out.csv").write_text("id,label\n1,A\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"out\.csv:1: no column pred_label, probs"):
        check_submission.main([str(folder / "out.csv"), "--test_file", str(folder / "test.csv")])
