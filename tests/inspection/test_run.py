"""Files read, examined and compared; names that make no sense refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.builders import EXAMPLES, make_example
from tests.inspection.test_checks import HIRED, hired

from kore.common.errors import UserError
from kore.data.records import write_examples
from kore.data.schema import Example
from kore.inspection.checks import Finding
from kore.inspection.lengths import length_encoder
from kore.inspection.options import CheckOptions
from kore.inspection.run import check_names, examine, find_leaks, lines_of_sentences, read_source


def write_rows(path: Path, *examples: Example) -> Path:
    write_examples(path, examples)
    return path


def test_faulty_rows_are_reported_by_line_and_column(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv", *EXAMPLES)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("'start_idx': 3,", "'start_idx': 2,"), encoding="utf-8")
    text = path.read_text(encoding="utf-8").replace('"b","이서준은', '"a","이서준은')
    path.write_text(text.replace("'word': '박하늘'", "'word': '박하늘의'"), encoding="utf-8")
    source = read_source(path)
    assert [row.example.id for row in source.rows] == ["a", "c"]
    assert source.faulty_rows == 2
    assert [(f.lines, f.id, f.column) for f in source.faults] == [
        ((3,), "a", "id"),
        ((5,), "d", "subject_entity"),
    ]
    assert source.faults[0].message == "'a' is also the id of the row at 2, expected every id once"


@pytest.mark.parametrize("blind", [None, "100"])
def test_labels_are_asked_for_only_where_others_have_one(tmp_path: Path, blind: str | None) -> None:
    bare = [example._replace(label=blind) for example in EXAMPLES]
    assert read_source(write_rows(tmp_path / "test.csv", *bare)).faults == []
    some = read_source(write_rows(tmp_path / "some.csv", EXAMPLES[0], bare[1], *EXAMPLES[2:]))
    assert some.faults == [Finding((3,), "b", "label", "is missing, whereas 3 rows have one")]
    assert [row.example.id for row in some.rows] == ["a", "c", "d"]
    assert some.faulty_rows == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "the file is empty"), ("id,sentence,subject_entity,object_entity\n", "holds no rows")],
)
def test_files_without_rows(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=rf"rows\.csv: {message}"):
        read_source(path)


def test_counts_of_a_file(tmp_path: Path) -> None:
    source = read_source(write_rows(tmp_path / "rows.csv", *EXAMPLES))
    report = examine(source, length_encoder("", EXAMPLES))
    assert (report.rows, report.good_rows) == (4, 4)
    assert report.labels == {"no_relation": 2, "per:employee_of": 1, "org:founded": 1}
    assert report.subject_types == {"PER": 3, "ORG": 1}
    assert report.object_types == {"ORG": 3, "DAT": 1}
    assert report.characters == {"50%": 16, "90%": 43, "99%": 43, "100%": 43}
    assert report.covered == {"128": 1.0, "160": 1.0, "256": 1.0}
    assert {kind: len(found) for kind, found in report.findings.items()} == {
        "faults": 0,
        "conflicts": 0,
        "clashes": 0,
        "duplicates": 0,
        "unusual_types": 0,
        "particles": 0,
        "characters": 0,
    }


def test_leaks_between_files_and_with_another(tmp_path: Path) -> None:
    elsewhere = make_example("x", "김도율은 부산 사람이다.", "김도율", "부산", "no_relation")
    train = write_rows(tmp_path / "a.csv", elsewhere, hired("1", "x"), hired("2", "y"))
    valid = write_rows(tmp_path / "b.csv", hired("1", "x"), *EXAMPLES)
    test = tmp_path / "test.jsonl"  # not examined: its rows may be faulty
    lines = [{"sentence": EXAMPLES[0].sentence}, {"id": "9"}, {"sentence": HIRED}]
    test.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    against = lines_of_sentences(test)
    assert against == {EXAMPLES[0].sentence: [1], HIRED: [3]}
    leaks = find_leaks([read_source(train), read_source(valid)], str(test), against)
    assert [leak._asdict() for leak in leaks] == [
        leak_of(train, valid, 1, [3, 4], [2]),
        leak_of(train, test, 1, [3, 4], [3]),
        leak_of(valid, test, 2, [2, 3], [1, 3]),
    ]


def leak_of(
    file: Path, other: Path, sentences: int, lines: list[int], other_lines: list[int]
) -> dict[str, Any]:
    return {
        "file": str(file),
        "other": str(other),
        "sentences": sentences,
        "lines": lines,
        "other_lines": other_lines,
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"files": ["a.csv", "./a.csv"]}, "is given twice"),
        ({"against": "folder/../a.csv"}, "`against` folder/../a.csv is one of the FILEs"),
        ({"files": ["a.csv", "b.csv"], "fix": "c.csv"}, "`fix` cleans one file, but 2 are given"),
        ({"fix": "a.csv"}, "a.csv is an input and would be replaced"),
        ({"fix": "clean.json"}, "expected a name that ends in .csv"),
        ({"fix": "test.csv", "against": "test.csv"}, "test.csv is an input"),
        ({"files": ["a.changes.csv"], "fix": "a.csv"}, "a.changes.csv is an input"),
        ({"json": "a.csv"}, "a.csv is an input"),
        ({"json": "model.pth", "tokenizer": "model.pth"}, "model.pth is an input"),
        (
            {"json": "c.changes.csv", "fix": "c.csv"},
            "`json` c.changes.csv is a file that `fix` writes",
        ),
    ],
)
def test_names_that_make_no_sense(flags: dict[str, Any], message: str) -> None:
    options = CheckOptions(**{"files": ["a.csv"], **flags})
    with pytest.raises(UserError) as caught:
        check_names(options, [Path(name) for name in options.files])
    assert message in str(caught.value)


def test_a_link_to_an_input_is_not_replaced(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.csv", *EXAMPLES)
    (tmp_path / "link.csv").symlink_to(rows)
    options = CheckOptions(files=[str(rows)], fix=str(tmp_path / "link.csv"))
    with pytest.raises(UserError, match="would be replaced"):
        check_names(options, [rows])
