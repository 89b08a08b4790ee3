"""Rows under other names, with other ends, in other encodings: read as meant, and told."""

from __future__ import annotations

import json
import logging
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.builders import KLUE_RELATIONS

import prepare_data
from kore.common.errors import UserError
from kore.conversion.labels import KLUE_RELATIONS as KLUE_FILE
from kore.conversion.labels import named_labels, with_no_relation
from kore.conversion.tables import records_of_rows
from kore.data.faults import RowFault
from kore.data.label_files import read_label_names
from kore.data.rows import read_examples
from kore.data.schema import Entity, Span

SENTENCE = "비틀즈의 조지 해리슨은 비틀즈를 떠났다."
SUBJECT, OBJECT = Entity("조지 해리슨", Span(5, 11), "PER"), Entity("비틀즈", Span(0, 3), "ORG")


def row(subject: Any, object_: Any, **more: Any) -> dict[str, Any]:
    return {"sentence": SENTENCE, "subject_entity": subject, "object_entity": object_, **more}


def cells_of(rows: list[dict[str, Any]], ends: str = "auto") -> list[Any]:
    found = records_of_rows(list(enumerate(rows, start=1)), "rows.json", ends)
    return [
        str(one) if isinstance(one, RowFault) else
        tuple(
            (one[1][side]["word"], one[1][side]["start_idx"], one[1][side]["end_idx"])
            for side in ("subject_entity", "object_entity")
        )
        for one in found
    ]  # fmt: skip


GOOD = (("조지 해리슨", 5, 10), ("비틀즈", 0, 2))  # ends inclusive


@pytest.mark.parametrize(
    "cells",
    [
        ({"word": "조지 해리슨", "start_idx": 5, "end_idx": 10}, {"word": "비틀즈", "start": 0}),
        ({"text": "조지 해리슨", "start": 5, "end": 11}, {"text": "비틀즈", "start": 0, "end": 3}),
        ({"name": "조지 해리슨"}, {"name": "비틀즈", "offset": "0"}),
        ("조지 해리슨", {"mention": "비틀즈", "pos": [0, 3]}),
        (
            {"word": "조지 해리슨", "start_idx": 5.0, "end_idx": "10"},
            "{'word': '비틀즈', 'start': 0}",
        ),
        (
            "{'word': '조지 해리슨', 'start_idx': np.int64(5), 'end_idx': np.int64(10)}",
            '{"word": "비틀즈", "start_idx": 0, "end_idx": null}',
        ),
    ],
)
def test_other_keys_and_ends(cells: tuple[Any, Any]) -> None:
    assert cells_of([row(*cells)]) == [GOOD]


def test_offsets_of_a_document_are_moved(caplog: pytest.LogCaptureFixture) -> None:
    sides = [{"word": one.word, "start": one.span.start + 40} for one in (SUBJECT, OBJECT)]
    with caplog.at_level(logging.INFO, logger="kore"):
        assert cells_of([row(*sides)]) == [GOOD]
    assert "offsets of 1 rows count from elsewhere" in caplog.text
    # One of them fits already: then the other is an error, and stays one.
    sides[1]["start"] = 0
    ((subject, _),) = cells_of([row(*sides)])
    assert subject[1] == 45


def test_what_is_doubtful_is_asked_for() -> None:
    sides = ({"start": 5, "end": 10}, {"start": 0, "end": 2})
    with pytest.raises(UserError, match="say so with `ends` inclusive or exclusive"):
        cells_of([row(*sides)])
    assert cells_of([row(*sides)], "inclusive") == [GOOD]
    assert cells_of([row(*sides)], "exclusive")[0][0] == ("조지 해리", 5, 9)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("비틀즈", "조지 해리슨"), "stands 2 times in the sentence, expected once or offsets"),
        (("존 레논", "조지 해리슨"), "stands 0 times"),
        (({"start": 5}, "조지 해리슨"), "neither a word nor an end"),
        (({}, "조지 해리슨"), "neither a word nor offsets"),
        ((17, "조지 해리슨"), "found 17, expected the fields of an entity"),
        (({"word": "비틀즈", "start": "x"}, "조지 해리슨"), "found 'x', expected an offset"),
        (({"word": "비틀즈", "start": 0.5}, "조지 해리슨"), "found 0.5, expected a whole number"),
        (({"word": "비틀즈", "start": 10**400}, "조지 해리슨"), "expected an offset"),
    ],
)
def test_a_faulty_entity_has_one_sentence(cells: tuple[Any, Any], message: str) -> None:
    (found,) = cells_of([row(*cells)])
    assert message in found


def test_a_file_without_entities_says_what_it_found() -> None:
    with pytest.raises(UserError, match=r"holds subject, object; found the fields text, x;"):
        cells_of([{"text": "가", "x": 1}])


def prepared(path: Path, *flags: str) -> list[Any]:
    target = path.with_name("converted.csv")
    prepare_data.main(
        ["--input_file", str(path), "--output_file", str(target), "--overwrite", *flags]
    )
    return [(one.id, one.subject, one.object, one.label) for one in read_examples(target)]


HEADER = ["id", "text", "head", "head_offset", "tail", "tail_offset", "rel"]
LINES = [
    ["7", SENTENCE, "조지 해리슨", "5", "비틀즈", "0", "NA"],
    ["8", SENTENCE, "조지 해리슨", "5", "비틀즈", "13", "member"],
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_what_excel_writes(tmp_path: Path, encoding: str, separator: str) -> None:
    text = "".join(separator.join(line) + "\r\n" for line in [HEADER, *LINES])
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding))
    subject = SUBJECT._replace(type="")
    assert prepared(path, "--no_relation_label", "NA") == [
        ("7", subject, OBJECT._replace(type=""), "no_relation"),
        ("8", subject, Entity("비틀즈", Span(13, 16), ""), "member"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe\x00", "no text in UTF-8, UTF-16 or cp949"),
        (b"\x00\x01\x02", "no text in UTF-8"),
        (b"id,text,head,tail\n1,2,3,4,5\n", ":2: 5 cells, but the header has 4"),
        (b'id,text,head,tail\n1,"2,3,4\n', "not valid CSV"),
    ],
)
def test_a_broken_table_has_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        prepared(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1]", "expected an object"), ("[{", "not valid JSON"), ("3", "list of objects, found 3"),
     ('{"a": 1', "not valid JSON"), ("[" * 9999, "not valid JSON")],
)  # fmt: skip
def test_broken_json_has_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        prepared(path)


@pytest.mark.parametrize("shape", ["list", "lines", "wrapped", "columns", "list as jsonl"])
def test_shapes_of_json(tmp_path: Path, shape: str) -> None:
    rows: list[dict[str, Any]] = [dict(zip(HEADER, line, strict=True)) for line in LINES]
    texts = {
        "list": json.dumps(rows),
        "lines": "".join(json.dumps(one) + "\n" for one in rows),
        "wrapped": json.dumps({"version": 1, "data": rows}),
        "columns": json.dumps(
            {key: {str(n): one[key] for n, one in enumerate(rows)} for key in HEADER}
        ),
        "list as jsonl": json.dumps(rows, indent=1),
    }  # fmt: skip
    path = tmp_path / ("rows.jsonl" if shape.endswith("jsonl") else "rows.json")
    path.write_text(texts[shape], encoding="utf-8")
    assert [one[0] for one in prepared(path)] == ["7", "8"]


def numbered(tmp_path: Path, ids: list[str], metadata: dict[bytes, bytes] | None = None) -> Path:
    sides = [
        {"word": one.word, "start_idx": one.span.start, "end_idx": one.span.end - 1, "type": "A"}
        for one in (SUBJECT, OBJECT)
    ]
    columns = {
        "guid": ids,
        "sentence": [SENTENCE] * 2,
        "subject_entity": [sides[0]] * 2,
        "object_entity": [sides[1]] * 2,
        "label": [0, 29],
    }
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


def test_numbers_are_named_as_klue_counts_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = numbered(tmp_path, ["klue-re-v1_train_00000", "klue-re-v1_train_00001"])
    with caplog.at_level(logging.INFO, logger="kore"):
        assert [one[3] for one in prepared(path)] == ["no_relation", "per:title"]
    assert "named by KLUE's own order: 0 = no_relation, 29 = per:title" in caplog.text
    assert read_label_names(Path(KLUE_FILE)) == KLUE_RELATIONS


def test_numbers_are_named_by_the_file_or_the_user_or_asked_for(tmp_path: Path) -> None:
    names = [f"r{number}" for number in range(30)]
    features = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    own = numbered(tmp_path, ["a", "b"], {b"huggingface": json.dumps(features).encode()})
    assert [one[3] for one in prepared(own)] == ["r0", "r29"]
    path = numbered(tmp_path, ["a", "b"])
    with pytest.raises(UserError, match=r"numbers from 0 to 29; name them with --label2id_path"):
        prepared(path)
    assert [one[3] for one in prepared(path, "--label2id_path", "auto")] == ["0", "29"]
    chosen = prepared(path, "--label2id_path", "dict_label_to_num.pkl")
    assert [one[3] for one in chosen] == ["no_relation", "per:religion"]
    few = tmp_path / "few.json"
    few.write_text('["a", "b"]', encoding="utf-8")
    with pytest.raises(UserError, match=r"label 29, but .*few.json names 0 to 1"):
        prepared(path, "--label2id_path", str(few))


def test_the_input_is_never_replaced_and_a_missing_negative_is_named(tmp_path: Path) -> None:
    path = tmp_path / "converted.csv"
    path.write_text("\n".join(map(",".join, [HEADER, *LINES])), encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(UserError, match="which is never replaced"):
        prepared(path)
    assert path.read_bytes() == before
    other = path.rename(tmp_path / "rows.csv")
    with pytest.raises(UserError, match="--no_relation_label Other is not among NA, member"):
        prepared(other, "--no_relation_label", "Other")


def test_words_of_another_composition_are_made_to_agree(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nfd = unicodedata.normalize("NFD", SENTENCE)  # its offsets were counted in NFC
    line = ["7", nfd, "조지 해리슨", "5", "비틀즈", "0", "member"]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(map(",".join, [HEADER, line])), encoding="utf-8")
    with caplog.at_level(logging.INFO, logger="kore"):
        ((_, subject, _, _),) = prepared(path)
    assert unicodedata.normalize("NFC", subject.word) == "조지 해리슨"
    assert "1 rows whose word and sentence differed in composition" in caplog.text


def test_words_that_look_like_numbers_are_words() -> None:
    fields = {"sentence": "이순신은 1545년 1,000 명", "head": "이순신", "tail": "1,000"}
    ((_, record),) = records_of_rows([(1, fields)], "rows.csv")  # type: ignore[misc]
    assert record["object_entity"]["word"] == "1,000"


def test_types_may_stand_beside_whole_entities() -> None:
    cell = "{'word': '비틀즈', 'start_idx': 0, 'end_idx': 2}"
    other = "{'word': '조지 해리슨', 'start_idx': 5, 'end_idx': 10, 'type': 'PER'}"
    fields = row(other, cell, subject_type="XXX", object_type="ORG")
    ((_, record),) = records_of_rows([(1, fields)], "rows.csv")  # type: ignore[misc]
    assert record["subject_entity"]["type"] == "PER"  # what the entity itself says
    assert record["object_entity"] == {
        "word": "비틀즈", "start_idx": 0, "end_idx": 2, "type": "ORG",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ((3.0, None, "0.0"), ["three", None, "zero"]),
        (("3", "-1", "0"), ["three", None, "zero"]),
        ((3, "", 0), ["three", None, "zero"]),
        ((1.5, "x", "-1"), ["1.5", "x", None]),
    ],
)
def test_numbers_beside_empty_cells_are_numbers(
    tmp_path: Path, labels: tuple[Any, ...], expected: list[str | None]
) -> None:
    names = tmp_path / "names.json"
    names.write_text('["zero", "one", "two", "three"]', encoding="utf-8")
    records: Any = [(number, {"label": label}) for number, label in enumerate(labels)]
    path = "" if "x" in labels else str(names)
    named = named_labels(records, tmp_path / "rows.csv", path)
    assert [one[1]["label"] for one in named] == expected  # type: ignore[index]


def test_names_for_labels_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names numbers, but the labels are a, b; leave it out"):
        named_labels([(1, {"label": "a"}), (2, {"label": "b"})], tmp_path, "x.json")


def test_a_negative_label_may_be_a_number() -> None:
    found = with_no_relation([(1, {"label": 0}), (2, {"label": 1})], "0", "no_relation")
    assert [one[1]["label"] for one in found] == ["no_relation", 1]  # type: ignore[index]


def test_a_list_of_json_in_a_txt_of_one_long_line(tmp_path: Path) -> None:
    rows = [dict(zip(HEADER, line, strict=True), more="x" * 200_000) for line in LINES]
    path = tmp_path / "rows.txt"
    path.write_text(json.dumps(rows), encoding="utf-8")
    assert [one[0] for one in prepared(path)] == ["7", "8"]
