"""What cleaning leaves out, repairs and leaves as it is, each with its reason."""

from __future__ import annotations

import csv
import json
import unicodedata
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.builders import make_example
from tests.inspection.test_checks import hired, numbered

from kore.common.errors import UserError
from kore.data.duplicates import Change, Row
from kore.data.rows import read_examples
from kore.inspection.checks import Finding
from kore.inspection.fix import changes_file, clean, write_cleaned
from kore.inspection.run import read_source


def cleaned_ids(labels: list[str | None]) -> tuple[list[str], list[str]]:
    """(ids that are kept, reasons) of rows with the same question and these labels."""
    rows = numbered([hired(str(number), label) for number, label in enumerate(labels)])
    kept, changes = clean(rows, [], {})
    assert {change.what for change in changes} <= {"left out"}
    return [row.example.id for row in kept], [change.why for change in changes]


def test_of_exact_duplicates_the_first_stays() -> None:
    assert cleaned_ids(["a", "a", "a"]) == (["0"], ["repeats line 2"] * 2)
    assert cleaned_ids([None, None]) == (["0"], ["repeats line 2"])


def test_the_commonest_label_wins() -> None:
    kept, reasons = cleaned_ids(["b", "a", "a"])
    assert kept == ["1"]
    assert reasons == ["repeats line 3, outvoted: a (2) to b (1)", "repeats line 3"]


def test_a_tie_is_left_out() -> None:
    kept, reasons = cleaned_ids(["a", "b"])
    assert kept == []
    assert (
        reasons == ["rows with the same question have other labels, undecided: a (1) to b (1)"] * 2
    )
    assert cleaned_ids(["a", "b", "c", "a", "b"])[0] == []
    assert cleaned_ids(["a", "b", "c", "a"])[0] == ["0"]


def test_rows_that_become_equal_by_repair_are_duplicates() -> None:
    rows = numbered(
        [
            make_example("a", "김도율은\u00a0해담전자 사원이다.", "김도율", "해담전자", "x"),
            make_example("b", "김도율은 해담전자 사원이다.", "김도율", "해담전자", "x"),
        ]
    )
    kept, changes = clean(rows, [], {})
    assert [row.example.sentence for row in kept] == ["김도율은 해담전자 사원이다."]
    assert changes == [
        Change(2, "a", "repaired", "U+00A0 NO-BREAK SPACE (odd space)"),
        Change(3, "b", "left out", "repeats line 2"),
    ]


def test_shared_sentences_are_left_out_before_and_after_repair() -> None:
    rows = numbered(
        [
            make_example("a", "김도율은 해담전자 사원이다.", "김도율", "해담전자", "x"),
            make_example("b", "김도율은\u3000해담전자 사원이다.", "김도율", "해담전자", "y"),
            make_example("c", "김도율은\u3000부산 사람이다.", "김도율", "부산", "y"),
            make_example("d", "김도율은 대전 사람이다.", "김도율", "대전", "y"),
        ]
    )
    against = {"김도율은 해담전자 사원이다.", "김도율은\u3000부산 사람이다."}
    kept, changes = clean(rows, [], against)
    assert [row.example.id for row in kept] == ["d"]
    left_out = [change for change in changes if change.what == "left out"]
    assert [change.id for change in left_out] == ["a", "b", "c"]
    assert {change.why for change in left_out} == {
        "its sentence also occurs in the file given as against"
    }


def test_what_cannot_be_repaired_stays_and_is_listed() -> None:
    rows = numbered([make_example("a", "김도율은 \u200b이다.", "김도율", "\u200b", "x")])
    kept, changes = clean(rows, [], {})
    assert kept == rows
    (change,) = changes
    assert (change.line, change.id, change.what) == (2, "a", "left as it is")


def test_all_faults_of_a_row_are_one_change() -> None:
    faults = [
        Finding((7,), "a", "subject_entity", "is wrong"),
        Finding((7,), "a", "object_entity", "is missing"),
        Finding((9,), "b", "sentence", "is empty"),
    ]
    kept, changes = clean([Row(8, hired("c", "x"))], faults, {})
    assert [row.line for row in kept] == [8]
    assert changes == [
        Change(7, "a", "left out", "subject_entity: is wrong; object_entity: is missing"),
        Change(9, "b", "left out", "sentence: is empty"),
    ]


def test_both_files_are_written(tmp_path: Path) -> None:
    target = tmp_path / "new" / "clean.v2.csv"
    rows = numbered([hired("a", "x")])
    write_cleaned(target, rows, [Change(3, "b", "left out", "repeats line 2")])
    assert read_examples(target, need_labels=True) == [rows[0].example]
    assert changes_file(target) == tmp_path / "new" / "clean.v2.changes.csv"
    with changes_file(target).open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["line", "id", "what", "why"],
            ["3", "b", "left out", "repeats line 2"],
        ]


def test_nothing_left_ends_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"clean\.csv: no row would be left"):
        write_cleaned(tmp_path / "clean.csv", [], [])
    assert list(tmp_path.iterdir()) == []


def test_rows_whose_words_differ_in_composition_alone_are_repaired(tmp_path: Path) -> None:
    nfd = partial(unicodedata.normalize, "NFD")
    sentence = "김도율은 해담전자 사원이다."  # 김도율 0 to 2, 해담전자 5 to 8
    company = {"word": "해담전자", "start_idx": 5, "end_idx": 8, "type": "ORG"}
    person = {"word": "김도율", "start_idx": 0, "end_idx": 2, "type": "PER"}
    rows: list[dict[str, Any]] = [
        {"id": "good", "sentence": "그 " + sentence},
        {"id": "nfd word", "subject_entity": {**person, "word": nfd("김도율")}},
        {"id": "nfd sentence", "sentence": nfd(sentence + "!")},
        {"id": "zero width", "sentence": "김도\u200b율은 해담전자 사원이다?"},
        {"id": "another word", "subject_entity": {**person, "word": "김도윤"}},
        {"id": "nfd word"},
    ]
    base = {"sentence": sentence, "subject_entity": person, "object_entity": company, "label": "x"}
    rows[0] |= {
        "subject_entity": {**person, "start_idx": 2, "end_idx": 4},
        "object_entity": {**company, "start_idx": 7, "end_idx": 10},
    }
    rows[5] |= {"sentence": nfd(sentence + ".")}
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({**base, **row}) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    source = read_source(path)
    kept, changes = clean(source.rows, source.faults, {}, source.repairable)
    assert [row.example.sentence for row in kept] == [
        "그 김도율은 해담전자 사원이다.",
        "김도율은 해담전자 사원이다.",
        "김도율은 해담전자 사원이다.!",
        "김도율은 해담전자 사원이다?",
    ]
    assert {(row.example.subject.word, row.example.object.word) for row in kept} == {
        ("김도율", "해담전자")
    }
    assert [(change.line, change.what) for change in changes] == [
        (2, "repaired"),
        (3, "repaired"),
        (4, "repaired"),
        (5, "left out"),
        (6, "left out"),
    ]
