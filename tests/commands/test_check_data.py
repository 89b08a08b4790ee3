"""The command as a user runs it: report, exit status, JSON, the cleaned file, mistakes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.builders import EXAMPLES, make_example
from tests.inspection.test_checks import hired
from tests.inspection.test_run import write_rows
from tests.runs import assert_one_sentence, command, read_json, train_in, write_sample

import check_data
from kore.common.errors import UserError

ODD = make_example(
    "odd", "이서준은\u00a0해담\u200b전자 사원이다.", "이서준", "해담\u200b전자", "per:employee_of"
)
BORN = make_example("born", "박하늘은 7월생.", "박하늘", "7월", "per:date_of_birth", ("PER", "NOH"))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A faulty row, a tie, a double, a leak, an odd row, a clash."""
    path = write_rows(
        tmp_path / "rows.csv",
        EXAMPLES[0],  # stands in shared.csv
        EXAMPLES[1],
        EXAMPLES[1]._replace(id="double"),
        hired("tie 1", "no_relation"),
        hired("tie 2", "per:employee_of"),
        ODD,
        BORN,
        EXAMPLES[3]._replace(id=""),
    )
    write_rows(tmp_path / "shared.csv", EXAMPLES[0]._replace(label=None))
    return path


def status_of(*arguments: str | Path) -> int:
    try:
        check_data.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_clean_files_end_in_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_rows(tmp_path / "rows.csv", *EXAMPLES)
    assert status_of(path) == 0
    assert "Nothing serious was found." in capsys.readouterr().out


def test_all_that_is_found_in_json(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared, report = tmp_path / "shared.csv", tmp_path / "report.json"
    assert status_of(rows, "--against", shared, "--json", report, "--show", "1") == 1
    assert "Up to 1 findings of each kind are shown; --show 0 shows" in capsys.readouterr().out
    content = read_json(report)
    assert content["serious"] is True
    (file,) = content["files"]
    assert (file["file"], file["rows"], file["good_rows"]) == (str(rows), 8, 7)
    lines = {
        kind: [finding["lines"] for finding in found] for kind, found in file["findings"].items()
    }
    assert lines == {
        "faults": [[9]],
        "conflicts": [[5, 6]],
        "clashes": [[8]],
        "duplicates": [[4, 3], [6, 5]],
        "unusual_types": [],
        "particles": [],
        "characters": [[7], [7]],
    }
    assert content["leaks"] == [
        {
            "file": str(rows),
            "other": str(shared),
            "sentences": 1,
            "lines": [2],
            "other_lines": [2],
        }
    ]


def test_the_cleaned_file_is_clean_but_for_the_clash(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rows.read_bytes()
    clean, shared = tmp_path / "clean.csv", tmp_path / "shared.csv"
    assert status_of(rows, "--against", shared, "--fix", clean) == 1
    assert rows.read_bytes() == before
    assert "clean.csv (3 rows)" in capsys.readouterr().out
    with (tmp_path / "clean.changes.csv").open(encoding="utf-8", newline="") as file:
        changes = [tuple(row.values())[:3] for row in csv.DictReader(file)]
    assert changes == [
        ("2", "a", "left out"),
        ("4", "double", "left out"),
        ("5", "tie 1", "left out"),
        ("6", "tie 2", "left out"),
        ("7", "odd", "repaired"),
        ("9", "", "left out"),
    ]
    report = tmp_path / "again.json"
    assert status_of(clean, "--against", shared, "--json", report) == 1
    content = read_json(report)
    assert content["leaks"] == []
    found = {kind for kind, found in content["files"][0]["findings"].items() if found}
    assert found == {"clashes"}


def test_a_cleaned_file_trains(tmp_path: Path) -> None:
    write_sample(tmp_path)
    train = tmp_path / "train_data.csv"
    broken = train.read_text(encoding="utf-8").replace("'start_idx': 0,", "'start_idx': 1,", 3)
    (tmp_path / "broken.csv").write_text(broken, encoding="utf-8")
    assert status_of(tmp_path / "broken.csv", "--fix", train) == 1
    log = train_in(
        tmp_path,
        model_name_or_path="mini",
        num_epochs=1,
        label2id_path="auto",
        valid_file=train,
    )
    assert len(log["history"]) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,sentence,object_entity\n1,가,나\n", "rows.csv:1: no column subject_entity"),
        ("", "rows.csv: the file is empty"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        check_data.main([str(path)])
    assert message in str(caught.value)


def test_mistakes_end_in_one_sentence(tmp_path: Path) -> None:
    assert_one_sentence(command("tools/check_data.py"), "required: FILE")
    path = write_rows(tmp_path / "rows.csv", *EXAMPLES)
    result = command("tools/check_data.py", str(path), "--fix", str(path))
    assert_one_sentence(result, "would be replaced")
    unknown = command("tools/check_data.py", str(tmp_path / "rows.txt"))
    assert_one_sentence(unknown, "rows.txt: expected a file that ends in .csv")


def test_serious_findings_end_in_1_without_an_error(rows: Path) -> None:
    result = command("tools/check_data.py", str(rows))
    assert result.returncode == 1
    assert "error" not in result.stderr
    assert "Serious, marked with !:" in result.stdout
