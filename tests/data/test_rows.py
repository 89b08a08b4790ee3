"""Every way a row can be wrong, told with file, line and column; and rows that are right."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore.common.errors import UserError
from kore.common.resources import python_path
from kore.data.entity_cells import parse_entity, read_entity
from kore.data.rows import check_records, iter_checked, read_examples
from kore.data.schema import Entity, Example, Span

SENTENCE = "비틀즈의 조지 해리슨이 노래했다."
GOOD: dict[str, Any] = {
    "id": "0",
    "sentence": SENTENCE,
    "subject_entity": "{'word': '비틀즈', 'start_idx': 0, 'end_idx': 2, 'type': 'ORG'}",
    "object_entity": "{'word': '조지 해리슨', 'start_idx': 5, 'end_idx': 10, 'type': 'PER'}",
    "label": "org:members",
    "source": "wikipedia",
}
EXAMPLE = Example(
    "0",
    SENTENCE,
    Entity("비틀즈", Span(0, 3), "ORG"),
    Entity("조지 해리슨", Span(5, 11), "PER"),
    "org:members",
    "wikipedia",
)
KNOWN = ("no_relation", "org:members")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_json(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def entity(word: str, start: Any, end: Any, type_name: Any = "ORG") -> str:
    return str({"word": word, "start_idx": start, "end_idx": end, "type": type_name})


def faults_of(path: Path, **arguments: Any) -> list[str]:
    """The lines of the message that a faulty file ends in."""
    arguments = {"need_labels": True, "known_labels": KNOWN, **arguments}
    with pytest.raises(UserError) as caught:
        read_examples(path, **arguments)
    return str(caught.value).splitlines()


def labels_of(path: Path) -> list[str | None]:
    return [example.label for example in read_examples(path)]


@pytest.mark.parametrize(
    ("changes", "column", "message"),
    [
        pytest.param(
            {"sentence": ""}, "sentence", "found '', expected a sentence", id="empty sentence"
        ),
        pytest.param({"sentence": " \u3000 "}, "sentence", "expected a sentence", id="blank"),
        pytest.param({"sentence": "NaN"}, "sentence", "found 'NaN', expected", id="not a number"),
        pytest.param(
            {"subject_entity": "비틀즈"},
            "subject_entity",
            "found '비틀즈', expected {'word': '…', 'start_idx': 0, 'end_idx': 1, 'type': '…'}",
            id="no dict",
        ),
        pytest.param(
            {"object_entity": GOOD["object_entity"][:-1]},
            "object_entity",
            "found \"{'word': '조지 해리슨', 'start_idx': 5, 'end_idx': 10, 'type': 'PER'\"",
            id="not closed",
        ),
        pytest.param({"object_entity": ""}, "object_entity", "found ''", id="empty entity"),
        pytest.param({"object_entity": "{[]: 1}"}, "object_entity", "found", id="unhashable key"),
        pytest.param({"object_entity": "[" * 999}, "object_entity", "found '[[[", id="too nested"),
        pytest.param(
            {"object_entity": "{'word': '조지', 'start_idx': 5, 'end_idx': 6}"},
            "object_entity",
            "found",
            id="no type",
        ),
        pytest.param(
            {"subject_entity": entity("비틀즈", "0", "2")},
            "subject_entity",
            "expected {'word'",
            id="indices as text",
        ),
        pytest.param(
            {"subject_entity": entity("비", False, False)},
            "subject_entity",
            "expected {'word'",
            id="indices as booleans",
        ),
        pytest.param(
            {"object_entity": entity(".", 17, 18)},
            "object_entity",
            "start_idx 17 and end_idx 18 lie outside the sentence of 18 characters",
            id="beyond the end",
        ),
        pytest.param(
            {"subject_entity": entity("비", -1, 0)},
            "subject_entity",
            "start_idx -1 and end_idx 0 lie outside the sentence of 18 characters",
            id="before the start",
        ),
        pytest.param(
            {"subject_entity": entity("", 2, 1)},
            "subject_entity",
            "start_idx 2 and end_idx 1 lie outside",
            id="empty span",
        ),
        pytest.param(
            {"subject_entity": entity("비틀스", 0, 2)},
            "subject_entity",
            "word is '비틀스', but characters 0 to 2 of the sentence are '비틀즈'",
            id="another word",
        ),
        pytest.param(
            {"subject_entity": entity("비틀즈", 0, 3)},
            "subject_entity",
            "word is '비틀즈', but characters 0 to 3 of the sentence are '비틀즈의'; "
            "end_idx is inclusive here: subtract 1",
            id="exclusive end",
        ),
        pytest.param(
            {"object_entity": entity("즈의 조지", 2, 6)},
            "object_entity",
            "'즈의 조지' overlaps the subject '비틀즈', expected two separate spans",
            id="overlap",
        ),
        pytest.param(
            {"object_entity": GOOD["subject_entity"]}, "object_entity", "overlaps", id="the same"
        ),
        pytest.param(
            {"label": "org:member"},
            "label",
            "'org:member' is not one of the 2 relations; "
            "correct it, or name a label map that has it (`label2id_path` auto takes",
            id="unknown label",
        ),
        pytest.param(
            {"label": "100"}, "label", "found '100', expected the name of a relation", id="blind"
        ),
        pytest.param({"label": ""}, "label", "found '', expected the name", id="no label"),
        pytest.param(
            {"id": "0"},
            "id",
            "'0' is also the id of the row at 2, expected every id once",
            id="twice",
        ),
        pytest.param({"id": ""}, "id", "is empty, expected an id of its own", id="empty id"),
    ],
)
def test_a_faulty_cell_is_named(
    tmp_path: Path, changes: dict[str, Any], column: str, message: str
) -> None:
    path = write_csv(tmp_path / "rows.csv", [GOOD, {**GOOD, "id": "1", **changes}])
    fault, summary = faults_of(path)
    assert fault.startswith(f"{path}:3 {column}: ")
    assert message in fault
    assert summary == (
        f"1 faulty rows in {path}: correct them, set them aside with `on_bad_row` skip, or convert "
        "data of another tool with src/tools/prepare_data.py"
    )


@pytest.mark.parametrize(
    "code",
    [
        "__import__('pathlib').Path({path!r}).touch()",
        "{{'word': __import__('pathlib').Path({path!r}).touch(), 'start_idx': 0, 'end_idx': 2}}",
        "[open({path!r}, 'w') for _ in [0]]",
    ],
)
def test_code_in_a_cell_is_a_fault_and_does_not_run(tmp_path: Path, code: str) -> None:
    trap = tmp_path / "ran"
    cell = code.format(path=str(trap))
    path = write_csv(tmp_path / "rows.csv", [{**GOOD, "subject_entity": cell}])
    assert faults_of(path)[0].startswith(f"{path}:2 subject_entity: found ")
    assert not trap.exists()
    eval(cell)  # the trap is a real one
    assert trap.exists()


def test_surplus_cells_are_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    text = "id,sentence,subject_entity,object_entity\n1,비틀즈, 그리고,a,b,c\n"
    path.write_text(text, encoding="utf-8")
    assert faults_of(path, need_labels=False)[0] == (
        f"{path}:2 row: 2 more cells than the header has columns, "
        "expected double quotes around cells that hold a comma"
    )


def test_missing_cells_are_faults_of_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"sentence,subject_entity,object_entity,id\n{SENTENCE}\n", encoding="utf-8")
    faults = faults_of(path, need_labels=False)
    assert faults[0].startswith(f"{path}:2 subject_entity: found None")
    assert faults[1].startswith(f"{path}:2 object_entity: found None")
    path.write_text("sentence,id\n", encoding="utf-8")
    assert "no column subject_entity, object_entity" in faults_of(path)[0]


def test_line_numbers_count_lines_of_the_file(tmp_path: Path) -> None:
    rows = [
        {**GOOD, "id": "1", "sentence": SENTENCE + "\n둘째 줄\n"},  # lines 2 to 4
        {**GOOD, "id": "2", "sentence": "\n"},  # lines 5 and 6
        {**GOOD, "id": "1"},  # line 7
    ]
    path = write_csv(tmp_path / "rows.csv", rows)
    faults = faults_of(path)
    assert faults[0].startswith(f"{path}:5 sentence: ")
    assert faults[1].startswith(f"{path}:7 id: '1' is also the id of the row at 2")


def test_all_faults_are_gathered_and_the_first_20_shown(tmp_path: Path) -> None:
    bad = [{**GOOD, "id": str(number), "sentence": ""} for number in range(22)]
    both = {**GOOD, "id": "x", "subject_entity": "", "object_entity": ""}
    path = write_csv(tmp_path / "rows.csv", [*bad, {**GOOD, "id": "y"}, both])
    lines = faults_of(path)
    assert len(lines) == 22
    assert lines[0].startswith(f"{path}:2 sentence: ")
    assert lines[19].startswith(f"{path}:21 sentence: ")
    assert lines[20] == "… and 4 more"
    assert lines[21].startswith(f"23 faulty rows in {path}: ")


def test_exactly_20_faults_leave_nothing_out(tmp_path: Path) -> None:
    bad = [{**GOOD, "id": str(number), "sentence": ""} for number in range(20)]
    lines = faults_of(write_csv(tmp_path / "rows.csv", bad))
    assert len(lines) == 21
    assert "more" not in lines[19]


def test_skip_keeps_the_good_rows_and_writes_the_others_with_reasons(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    wrong_word = {**GOOD, "id": "1", "subject_entity": entity("비틀스", 0, 2)}
    doubled = {**GOOD, "label": "org:member"}
    path = write_csv(tmp_path / "rows.csv", [GOOD, wrong_word, {**GOOD, "id": "2"}, doubled])
    examples = read_examples(
        path,
        need_labels=True,
        known_labels=KNOWN,
        on_bad_row="skip",
        output_dir=tmp_path / "outputs",
    )
    assert examples == [EXAMPLE, EXAMPLE._replace(id="2")]
    rejected = tmp_path / "outputs" / "rows.csv.rejected.csv"
    assert caplog.messages == [f"{path}: 2 faulty rows set aside in {rejected}"]
    with rejected.open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    places = [(row.pop("line"), row.pop("column"), row.pop("reason")[:12]) for row in written]
    assert places == [
        ("3", "subject_entity", "word is '비틀스"),
        ("5", "id", "'0' is also "),
        ("5", "label", "'org:member'"),
    ]
    assert {row.pop("file") for row in written} == {str(path)}
    assert written == [wrong_word, doubled, doubled]


def test_skip_with_nothing_left_stops(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [{**GOOD, "sentence": ""}])
    with pytest.raises(UserError, match=r"rows\.csv: holds no rows that can be used$"):
        read_examples(path, on_bad_row="skip", output_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", "id,sentence,subject_entity,object_entity\n"),
        ("rows.json", "[]"),
    ],
)
def test_a_file_without_rows_stops(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=f"{name}: holds no rows$"):
        read_examples(tmp_path / name)


def test_the_three_forms_give_the_same_examples(tmp_path: Path) -> None:
    fields = {
        "guid": "0",
        "sentence": SENTENCE,
        "subject_entity": {"word": "비틀즈", "start_idx": 0, "end_idx": 2, "type": "ORG"},
        "object_entity": {"word": "조지 해리슨", "start_idx": 5, "end_idx": 10, "type": "PER"},
        "label": "org:members",
        "source": "wikipedia",
    }
    files = [
        write_csv(tmp_path / "a.csv", [GOOD]),
        write_json(tmp_path / "b.json", [fields]),
        tmp_path / "c.jsonl",
        tmp_path / "d.csv",
    ]
    files[2].write_text(json.dumps(fields, ensure_ascii=False) + "\n", encoding="utf-8")
    files[3].write_bytes(b"\xef\xbb\xbf" + files[0].read_bytes())  # as Excel saves it
    for path in files:
        assert read_examples(path, need_labels=True) == [EXAMPLE], path


def test_blind_and_missing_labels_where_none_is_needed(tmp_path: Path) -> None:
    blind = [{**GOOD, "label": "100"}, {**GOOD, "id": "1", "label": ""}]
    assert labels_of(write_csv(tmp_path / "blind.csv", blind)) == [None, None]
    unlabelled = {name: cell for name, cell in GOOD.items() if name not in ("label", "source")}
    assert labels_of(write_csv(tmp_path / "none.csv", [unlabelled])) == [None]
    numbers = [{**GOOD, "label": 100}, {**GOOD, "id": "1", "label": None}]
    assert labels_of(write_json(tmp_path / "rows.json", numbers)) == [None, None]


def test_labels_are_free_where_none_are_known(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [{**GOOD, "label": "약물:부작용"}])
    assert labels_of(path) == ["약물:부작용"]
    examples = read_examples(path, need_labels=True)
    assert examples[0].label == "약물:부작용"


def test_json_rows_on_one_line_are_told_apart(tmp_path: Path) -> None:
    rows = [GOOD, GOOD, {**GOOD, "id": "2", "sentence": ""}]
    path = write_json(tmp_path / "rows.json", rows)
    faults = faults_of(path)
    assert faults[0].startswith(f"{path}:2 id: '0' is also the id of the row at 1,")
    assert faults[1].startswith(f"{path}:3 sentence: found ''")
    assert faults[2].startswith("2 faulty rows")


@pytest.mark.parametrize(
    ("changes", "column", "found"),
    [
        ({"sentence": None}, "sentence", "found None"),
        ({"sentence": float("nan")}, "sentence", "found nan"),
        ({"subject_entity": ["비틀즈", 0, 2]}, "subject_entity", "found ['비틀즈', 0, 2]"),
        ({"id": None}, "id", "is empty"),
    ],
)
def test_json_values_of_another_kind(
    tmp_path: Path, changes: dict[str, Any], column: str, found: str
) -> None:
    path = write_json(tmp_path / "rows.json", [{**GOOD, **changes}])
    assert faults_of(path)[0].startswith(f"{path}:1 {column}: {found}")


def test_half_an_emoji_is_a_fault_that_can_be_set_aside(tmp_path: Path) -> None:
    """JSON can say what no UTF-8 text holds, and no tokenizer takes."""
    path = write_json(tmp_path / "rows.json", [GOOD, {**GOOD, "sentence": SENTENCE + "\ud83d"}])
    assert "sentence: '비틀즈의 조지 해리슨이 노래했다.\\ud83d' holds half" in faults_of(path)[0]
    assert read_examples(path, need_labels=True, on_bad_row="skip", output_dir=tmp_path) == [
        EXAMPLE
    ]
    assert "노래했다.\\ud83d" in (tmp_path / "rows.json.rejected.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "cell"),
    [
        ("비틀즈", '{"word": "비틀즈", "start_idx": 0, "end_idx": 2, "type": "ORG"}'),
        ("'Abbey Road'", '{\'word\': "\'Abbey Road\'", \'start_idx\': 0, \'end_idx\': 11, '
         "'type': 'ORG'}"),
        ('"그"의', "{'word': '\"그\"의', 'start_idx': 0, 'end_idx': 3, 'type': 'ORG'}"),
        ("그's \"것\"", "{'word': '그\\'s \"것\"', 'start_idx': 0, 'end_idx': 6, 'type': 'ORG'}"),
        ("10,000명: 가", "{'word': '10,000명: 가', 'start_idx': 0, 'end_idx': 9, 'type': 'ORG'}"),
        ("가{나}[다]", "{'word': '가{나}[다]', 'start_idx': 0, 'end_idx': 6, 'type': 'ORG'}"),
        ("참", '{"word": "참", "start_idx": 0, "end_idx": 0, "type": "ORG", "more": null}'),
    ],
)  # fmt: skip
def test_entities_in_both_spellings_with_quotes_commas_and_colons(
    tmp_path: Path, word: str, cell: str
) -> None:
    expected = Entity(word, Span(0, len(word)), "ORG")
    assert parse_entity(cell, word + " 끝") == expected
    # and through a CSV, where quotes are doubled
    object_ = entity("끝", len(word) + 1, len(word) + 1)
    row = {**GOOD, "sentence": word + " 끝", "subject_entity": cell, "object_entity": object_}
    path = write_csv(tmp_path / "rows.csv", [row])
    assert read_examples(path, need_labels=True)[0].subject == expected


# What could end a literal, escape something or turn a number into another one.
_TEXTS = st.text(st.sampled_from("가a1'\"\\\n\r\0\f\u2028{}[]:,# ")) | st.text()


@given(word=_TEXTS, start=st.integers(), end=st.integers(), type_name=_TEXTS)
def test_an_entity_cell_that_python_has_printed_is_read_back(
    word: str, start: int, end: int, type_name: str
) -> None:
    fields = {"word": word, "start_idx": start, "end_idx": end, "type": type_name}
    assert read_entity(str(fields)) == Entity(word, Span(start, end + 1), type_name)


def test_rows_come_one_by_one_with_their_numbers_and_faults_after_the_last() -> None:
    read: list[int] = []

    def records() -> Iterator[tuple[int, dict[str, Any]]]:
        for number, sentence in enumerate(["", SENTENCE, "", SENTENCE, ""]):
            read.append(number)
            yield number + 2, {**GOOD, "id": str(number), "sentence": sentence}

    checked = iter_checked("rows.csv", records())
    assert next(checked)[0] == 1
    assert read == [0, 1]  # nothing is read ahead
    assert next(checked) == (3, EXAMPLE._replace(id="3"))
    with pytest.raises(UserError) as caught:
        next(checked)
    lines = str(caught.value).splitlines()
    assert [line.split(" ")[0] for line in lines[:3]] == ["rows.csv:2", "rows.csv:4", "rows.csv:6"]
    assert lines[3].startswith("3 faulty rows in rows.csv: ")


def test_an_id_is_known_again_however_many_rows_lie_between() -> None:
    ids = [str(number) for number in range(5000)]
    ids[4321] = "17"
    ids[4999] = "17"
    records = [(line, {**GOOD, "id": row_id}) for line, row_id in enumerate(ids, start=2)]
    with pytest.raises(UserError) as caught:
        check_records("rows.csv", records)
    assert str(caught.value).splitlines()[:-1] == [
        f"rows.csv:{line} id: '17' is also the id of the row at 19, expected every id once"
        for line in (4323, 5001)
    ]


def test_ids_differ_by_the_smallest_thing(tmp_path: Path) -> None:
    ids = ["a", "A", "a ", "á", "a\u0301", "0", "00", "0.0", "가", "가\0"]
    path = write_json(tmp_path / "rows.json", [{**GOOD, "id": row_id} for row_id in ids])
    assert [row.id for row in read_examples(path, need_labels=True)] == ids


def test_every_published_row_is_read_alike_from_csv_and_json(real_data: Path) -> None:
    folder = real_data / "klue_re"
    from_csv = read_examples(folder / "train.csv", need_labels=True)
    from_json = read_examples(folder / "klue-re-v1.1_train.json", need_labels=True)
    assert len(from_csv) == 32_470
    assert [example.id for example in from_csv] == [str(number) for number in range(32_470)]
    assert from_json[7].id == "klue-re-v1_train_00007"
    assert [example._replace(id="") for example in from_csv] == [
        example._replace(id="") for example in from_json
    ]
    assert all(row.sentence[slice(*row.subject.span)] == row.subject.word for row in from_csv)
    assert len({example.label for example in from_csv}) == 30


def test_every_blind_row_is_read(real_data: Path) -> None:
    path = real_data / "klue_re" / "test_data_unlabelled.csv"
    labels = labels_of(path)
    assert len(labels) == 7_765
    assert set(labels) == {None}


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl"])
def test_the_label_may_stand_in_a_column_called_relation(tmp_path: Path, kind: str) -> None:
    fields = {**GOOD, "relation": "org:members"}
    del fields["label"]
    path = tmp_path / f"rows.{kind}"
    if kind == "csv":
        write_csv(path, [fields])
    else:
        content = fields if kind == "jsonl" else [fields]
        path.write_text(json.dumps(content), encoding="utf-8")
    assert read_examples(path, need_labels=True, known_labels=KNOWN) == [EXAMPLE]
    assert labels_of(path) == ["org:members"]


def test_a_label_goes_before_a_relation(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [{**GOOD, "relation": "something else"}])
    assert labels_of(path) == ["org:members"]


@pytest.mark.parametrize("on_bad_row", ["stop", "skip"])
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_column_that_no_row_has_is_named_once(tmp_path: Path, kind: str, on_bad_row: str) -> None:
    rows = [{name: GOOD[name] for name in GOOD if name != "label"} | {"id": i} for i in "012"]
    path = tmp_path / f"rows.{kind}"
    write_csv(path, rows) if kind == "csv" else write_json(path, rows)
    message = (
        f"{path}: no column label; expected id, sentence, subject_entity, object_entity, label, "
        "found id, sentence, subject_entity, object_entity, source"
    )
    arguments = {"on_bad_row": on_bad_row, "output_dir": tmp_path / "outputs"}
    assert faults_of(path, **arguments) == [message]
    assert not (tmp_path / "outputs").exists()
    assert labels_of(path) == [None] * 3


def test_json_of_another_toolkit_names_the_fields_it_has(tmp_path: Path) -> None:
    rows = [{"token": ["비틀즈"], "subj_start": 0, "relation": "org:members"}] * 3
    (message,) = faults_of(write_json(tmp_path / "rows.json", rows))
    assert message.endswith(
        "rows.json: no column id, sentence, subject_entity, object_entity; expected id, sentence, "
        "subject_entity, object_entity, label, found token, subj_start, relation"
    )


def test_a_single_row_without_a_field_is_a_fault_of_that_row(tmp_path: Path) -> None:
    bare = {"id": "1", "sentence": SENTENCE, "subject_entity": GOOD["subject_entity"]}
    faults = faults_of(write_json(tmp_path / "rows.json", [GOOD, bare]))
    assert "rows.json:2 object_entity: found None" in faults[0]


@pytest.mark.parametrize("label", ["100", "100.0", 100, 100.0, "", None, float("nan")])
def test_blind_labels_as_they_come_back_from_pandas(tmp_path: Path, label: Any) -> None:
    assert labels_of(write_json(tmp_path / "rows.json", [{**GOOD, "label": label}])) == [None]


def test_a_number_in_place_of_a_relation_is_named_so(tmp_path: Path) -> None:
    fault, _ = faults_of(write_csv(tmp_path / "rows.csv", [GOOD, {**GOOD, "id": "1", "label": 29}]))
    assert "'29' is not one of the 2 relations (a number, expected a name); correct it" in fault


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("{'word': '비틀즈', 'start_idx': 0.0, 'end_idx': 2}", "; without type"),
        ("{'text': '비틀즈', 'start': 0, 'end': 3}", "; without word, start_idx, end_idx, type"),
        (entity("비틀즈", 0.0, 2), "; start_idx is 0.0, not a whole number"),
        (entity("비틀즈", 0, "2"), "; end_idx is '2', not a whole number"),
        (entity("비틀즈", 0, 2, None), "; type is None, not text"),
        (
            "{'word': '비틀즈', 'start_idx': np.int64(0), 'end_idx': np.int64(2), 'type': 'ORG'}",
            "; numpy's numbers are no literals: turn them into int before they are written",
        ),
    ],
)
def test_the_field_of_an_entity_that_is_at_fault_is_named(cell: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r"expected \{'word'") as caught:
        parse_entity(cell, SENTENCE)
    assert str(caught.value).endswith(hint)


NFD_SENTENCE = unicodedata.normalize("NFD", "그의 조지")  # 그 의 2 jamo each; 조지 begins at 5


@pytest.mark.parametrize(
    ("sentence", "word", "start", "end", "hint"),
    [
        ("그의 조지", unicodedata.normalize("NFD", "조지"), 3, 4, "composition"),
        (NFD_SENTENCE, "조지", 5, 8, "composition"),
        (NFD_SENTENCE, "조지", 3, 4, "composition"),  # counted in the composed sentence
        ("그의 조지", "조지", 5, 8, "composition"),  # counted in the decomposed one
        ("그의 조\u200b지", "조지", 3, 4, "composition"),
        ("그의\u00a0조지", "그의 조지", 0, 4, "composition"),
        ("🎻🎻 조지", "조지", 5, 6, "count UTF-16 units here, expected characters"),
        ("그의 조지", "조지", 7, 12, "count bytes of UTF-8 here, expected characters"),
        ("그의 조지", "조지", 3, 5, "outside the sentence of 5 characters; end_idx is inclusive"),
    ],
)
def test_why_a_span_does_not_cut_out_its_word(
    sentence: str, word: str, start: int, end: int, hint: str
) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_entity(entity(word, start, end), sentence)


def test_a_word_that_is_another_one_has_no_hint() -> None:
    with pytest.raises(ValueError, match=r"of the sentence are '조지'$"):
        parse_entity(entity("존 레논", 3, 4), "그의 조지 해리슨")


def test_reading_as_a_library_is_silent_and_names_no_flags(tmp_path: Path) -> None:
    """In a process of its own: a command that ran before would still show bars and notices."""
    path = write_csv(tmp_path / "rows.csv", [GOOD, {**GOOD, "id": "1", "label": "other"}])
    code = f"""
import sys
from pathlib import Path
from kore.data.records import iter_records
from kore.data.rows import iter_checked, read_examples
path, known = Path({str(path)!r}), {KNOWN!r}
assert len(read_examples(path)) == len(list(iter_checked("rows.csv", iter_records(path)))) == 2
settings = {{"need_labels": True, "known_labels": known, "output_dir": path.parent}}
assert len(read_examples(path, on_bad_row="skip", **settings)) == 1
assert "torch" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": python_path()}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert "--" not in "".join(faults_of(path))


def test_an_unknown_choice_for_bad_rows_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [GOOD])
    with pytest.raises(UserError, match="`on_bad_row` is 'Skip', expected stop or skip"):
        read_examples(path, on_bad_row="Skip")
