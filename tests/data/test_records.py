"""Files of rows: the forms, gzip, line numbers, and files that are no such thing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from tests.builders import make_example

from kore.common.errors import UserError
from kore.conversion.content import objects_of
from kore.data import parquet as parquet_file
from kore.data.records import iter_records, write_examples
from kore.data.rows import read_examples
from kore.data.schema import Entity, Example, Span

HEADER = "id,sentence,subject_entity,object_entity\n"
FIELDS = {"guid": "a", "sentence": "가", "subject_entity": "나", "object_entity": "다"}


def records_of(path: Path, content: str | bytes) -> list[tuple[int, dict[str, Any]]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [(line, dict(record)) for line, record in iter_records(path)]


def refusal_of(path: Path, content: str | bytes) -> str:
    with pytest.raises(UserError) as caught:
        records_of(path, content)
    return str(caught.value)


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


@pytest.fixture
def json_file(tmp_path: Path) -> Path:
    return tmp_path / "rows.json"


@pytest.fixture
def jsonl_file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_csv_with_any_line_end_and_with_a_byte_order_mark(
    csv_file: Path, line_end: str, mark: bytes
) -> None:
    text = (HEADER + '1,"가, ""나""",다,라\n').replace("\n", line_end)
    record = {"id": "1", "sentence": '가, "나"', "subject_entity": "다", "object_entity": "라"}
    assert records_of(csv_file, mark + text.encode()) == [(2, record)]


def test_csv_lines_where_cells_run_over_lines_and_lines_are_empty(csv_file: Path) -> None:
    text = HEADER + '1,"가\n나\n",x,y\n2,다,x,y\n\n\n3,"라\r\n",x,y\n4,마,x,y'
    found = [(line, record["sentence"]) for line, record in records_of(csv_file, text)]
    assert found == [(2, "가\n나\n"), (5, "다"), (8, "라\r\n"), (10, "마")]


def test_csv_cells_beyond_the_header_and_missing_ones(csv_file: Path) -> None:
    records = records_of(csv_file, HEADER + "1,가,나,다,라,마\n2,가\n")
    assert records[0][1]["(surplus cells)"] == ["라", "마"]
    missing = {"subject_entity": None, "object_entity": None}
    assert records[1][1] == {"id": "2", "sentence": "가", **missing}


def test_csv_of_a_header_alone_has_no_records(csv_file: Path) -> None:
    assert records_of(csv_file, HEADER) == []


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file(csv_file: Path, json_file: Path, jsonl_file: Path, content: bytes) -> None:
    for path in (csv_file, json_file, jsonl_file):
        assert refusal_of(path, content) == f"{path}: the file is empty"


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("id,sentence,subject_entity,label", "object_entity"),
        ("sentence,label", "id, subject_entity, object_entity"),
        ("id;sentence;subject_entity", "id, sentence, subject_entity, object_entity"),
        ("\n1,가,나,다", "id, sentence, subject_entity, object_entity"),
    ],
)
def test_csv_without_a_column_names_what_is_missing(
    csv_file: Path, header: str, missing: str
) -> None:
    assert refusal_of(csv_file, header + "\n").startswith(
        f"{csv_file}:1: no column {missing}; expected id, sentence, subject_entity, object_entity"
    )


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_two_columns_of_one_name(tmp_path: Path, suffix: str) -> None:
    """One of them would be read and the other lost without a word."""
    path = tmp_path / f"rows{suffix}"
    text = "id,sentence,subject_entity,object_entity,label,label,,\n1,가,나,다,a,b,,\n"
    path.write_text(text if suffix == ".csv" else text.replace(",", "\t"), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        list(iter_records(path) if suffix == ".csv" else objects_of(path, lambda found: False))
    assert str(caught.value) == (
        f"{path}:1: 2 columns are called label; rename or remove all but one"
    )


def test_csv_may_name_its_rows_by_guid(csv_file: Path) -> None:
    text = "guid,sentence,subject_entity,object_entity\nklue-1,가,나,다\n"
    assert records_of(csv_file, text)[0][1]["guid"] == "klue-1"


@pytest.mark.parametrize(
    "text",
    [
        HEADER + '1,가,나,다\n2,"가,나,다\n3,라,"마",바\n',  # closed by the next row's quotes
        HEADER + '1,가,나,다\n2,"가,나,다\n3,라,마,바\n',  # never closed
    ],
)
def test_csv_with_an_unbalanced_quote_names_the_row_that_opens_it(
    csv_file: Path, text: str
) -> None:
    message = refusal_of(csv_file, text)
    assert message.startswith(f"{csv_file}:3: not valid CSV")
    assert "check the double quotes" in message


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
def test_a_file_that_is_not_utf8_names_the_line_and_the_cure(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    content = HEADER.encode() + "1,ab가,나,다\n".encode("cp949")
    message = refusal_of(path, content)
    assert message.startswith(f"{path}:2: byte 5 is not UTF-8")
    assert f"iconv -f cp949 -t utf-8 rows{suffix}" in message


def test_files_that_cannot_be_rows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv: no such file"):
        list(iter_records(tmp_path / "none.csv"))
    with pytest.raises(UserError, match=r"expected a file that ends in \.csv, \.json, \.jsonl"):
        list(iter_records(tmp_path / "rows.xlsx"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match=r"folder\.csv: no such file"):
        list(iter_records(tmp_path / "folder.csv"))


def test_json_lines_of_objects_written_over_several(json_file: Path) -> None:
    text = '\n[\n  {"a": 1,\n   "b": "\\n"},\n  {"a": 2}, {"a": 3}\n,{"a": 4}]\n'
    found = [(line, record["a"]) for line, record in records_of(json_file, text)]
    assert found == [(1, 1), (2, 2), (3, 3), (4, 4)]  # two begin on line 5


def test_json_as_klue_writes_it(json_file: Path) -> None:
    text = "\ufeff" + json.dumps([FIELDS, FIELDS], ensure_ascii=False, indent=4)
    assert records_of(json_file, text) == [(2, FIELDS), (8, FIELDS)]


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('{"id": 1}', ":1", "expected a JSON list of rows, found one object of the fields id"),
        ('[\n{"a": 1},\n{"a": }]', ":3", "not valid JSON"),
        ('[\n{"a": 1},\n{"a": 2}\n', ":4", "not valid JSON"),  # the list is not closed
        ('[\n{"a": 1},\n7]', ":3", "expected an object of fields, found 7"),
        ('[\n{"a": ' + "1" * 5000 + "}]", ":2", "not valid JSON"),
        ("[\n" + "[" * 100_000, ":2", "not valid JSON"),
    ],
)
def test_broken_json_names_its_line(json_file: Path, text: str, place: str, reason: str) -> None:
    assert refusal_of(json_file, text).startswith(f"{json_file}{place}: {reason}")


def test_jsonl_with_empty_lines_and_a_byte_order_mark(jsonl_file: Path) -> None:
    text = '\ufeff{"a": 1}\n\n  \n{"a": "가\\n나"}'
    assert records_of(jsonl_file, text) == [(1, {"a": 1}), (4, {"a": "가\n나"})]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1}\n{"a": 1', "not valid JSON"),
        ('{"a": 1}\n{"a": ' + "1" * 5000 + "}", "not valid JSON"),
        ('{"a": 1}\n[1, 2]', "expected an object of fields, found [1, 2]"),
    ],
)
def test_broken_jsonl_names_its_line(jsonl_file: Path, text: str, reason: str) -> None:
    assert refusal_of(jsonl_file, text).startswith(f"{jsonl_file}:2: {reason}")


def test_examples_are_written_as_the_competition_writes_them(csv_file: Path) -> None:
    example = make_example(
        "7", "비틀즈의 조지 해리슨", "비틀즈", "조지 해리슨", "org:members", ("ORG", "PER")
    )
    write_examples(csv_file, [example])
    assert records_of(csv_file, csv_file.read_bytes()) == [
        (
            2,
            {
                "id": "7",
                "sentence": "비틀즈의 조지 해리슨",
                "subject_entity": "{'word': '비틀즈', 'start_idx': 0, 'end_idx': 2, 'type': 'ORG'}",
                "object_entity": (
                    "{'word': '조지 해리슨', 'start_idx': 5, 'end_idx': 10, 'type': 'PER'}"
                ),
                "label": "org:members",
                "source": "test",
            },
        )
    ]


@given(first=st.text(min_size=1), second=st.text(min_size=1), label=st.text(min_size=1))
def test_whatever_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, first: str, second: str, label: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.csv"
    example = Example(
        "1",
        f"{first}와 {second}",
        Entity(first, Span(0, len(first)), "A,'\"\n"),
        Entity(second, Span(len(first) + 2, len(first) + 2 + len(second)), "\r"),
        f"{label}:",  # never the blind label
    )
    write_examples(path, [example])
    assert read_examples(path, need_labels=True) == [example]


ROWS = [
    {"id": "1", "sentence": '가, "나"\n둘째 줄', "subject_entity": "다", "object_entity": "라"},
    {"id": "2", "sentence": "마🎻", "subject_entity": "", "object_entity": "{'a': 1}"},
]
PLAIN_FILES = {  # name -> content, and the line of each row
    "rows.csv": (HEADER + '1,"가, ""나""\n둘째 줄",다,라\n2,마🎻,,{\'a\': 1}\n', [2, 4]),
    "rows.jsonl": ("".join(json.dumps(row) + "\n" for row in ROWS), [1, 2]),
    "rows.json": (json.dumps(ROWS, ensure_ascii=False, indent=1), [2, 8]),
}


def parquet_bytes(rows: list[dict[str, Any]], **options: Any) -> bytes:
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(rows), sink, **options)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("name", PLAIN_FILES)
def test_a_gzipped_file_gives_the_records_of_the_plain_one(tmp_path: Path, name: str) -> None:
    text, lines = PLAIN_FILES[name]
    expected = list(zip(lines, ROWS, strict=True))
    assert records_of(tmp_path / name, text) == expected
    path = tmp_path / f"{name}.gz"
    assert records_of(path, gzip.compress(text.encode())) == expected
    assert records_of(path, gzip.compress(b"\xef\xbb\xbf" + text.encode())) == expected
    # As `cat a.gz b.gz` joins them, here in the middle of a character.
    cut = len(HEADER) + 4
    members = [gzip.compress(part) for part in (text.encode()[:cut], text.encode()[cut:])]
    assert records_of(path, b"".join(members)) == expected


def test_parquet_gives_the_same_records_and_counts_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    assert records_of(path, parquet_bytes(ROWS)) == [(1, ROWS[0]), (2, ROWS[1])]


def test_parquet_rows_are_counted_over_batches_and_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_file, "ROWS_AT_ONCE", 2)
    rows = [{**ROWS[0], "id": str(number)} for number in range(5)]
    found = records_of(tmp_path / "rows.parquet", parquet_bytes(rows, row_group_size=3))
    assert found == list(enumerate(rows, start=1))


def test_parquet_holds_entities_as_structs_or_as_text(tmp_path: Path) -> None:
    words = ("비틀즈", "조지 해리슨")
    expected = make_example("7", "비틀즈의 조지 해리슨", *words, "org:members", ("ORG", "PER"))
    subject = {"word": "비틀즈", "start_idx": 0, "end_idx": 2, "type": "ORG"}
    object_ = {"word": "조지 해리슨", "start_idx": 5, "end_idx": 10, "type": "PER"}
    row = {"guid": 7, "sentence": expected.sentence, "label": "org:members", "source": "test"}
    for spelled in (dict, str, json.dumps):
        entities = {"subject_entity": spelled(subject), "object_entity": spelled(object_)}
        path = tmp_path / "rows.parquet"
        path.write_bytes(parquet_bytes([{**row, **entities}]))
        assert read_examples(path, need_labels=True) == [expected]


def assert_one_sentence(message: str, path: Path, reason: str) -> None:
    assert message.startswith(f"{path}: {reason}")
    assert "\n" not in message


@pytest.mark.parametrize("name", PLAIN_FILES)
@pytest.mark.parametrize("left_out", [1, 8, 9, 30])  # of the end: 8 bytes are checksum and size
def test_a_truncated_gzip_file(tmp_path: Path, name: str, left_out: int) -> None:
    path = tmp_path / f"{name}.gz"
    whole = gzip.compress(PLAIN_FILES[name][0].encode())
    message = refusal_of(path, whole[:-left_out])
    assert_one_sentence(message, path, "not a whole gzip file (Compressed file ended")


def test_gzip_files_that_are_damaged_or_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    text = PLAIN_FILES["rows.csv"][0].encode()
    whole = gzip.compress(text)
    assert_one_sentence(refusal_of(path, text), path, "not a whole gzip file (Not a gzipped file")
    wrong_checksum = whole[:-8] + bytes(4) + whole[-4:]
    message = refusal_of(path, wrong_checksum)
    assert_one_sentence(message, path, "not a whole gzip file (CRC check failed")
    unknown_block = whole[:10] + b"\xff" + whole[11:]
    message = refusal_of(path, unknown_block)
    assert_one_sentence(message, path, "not a whole gzip file (Error -3 while decompressing")
    assert refusal_of(path, b"") == f"{path}: the file is empty"
    assert refusal_of(path, gzip.compress(b"")) == f"{path}: the file is empty"


def test_a_gzipped_file_that_is_not_utf8_names_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    content = HEADER.encode() + "1,ab가,나,다\n".encode("cp949")
    message = refusal_of(path, gzip.compress(content))
    assert message.startswith(f"{path}:2: byte 5 is not UTF-8")
    assert "gzip -dc rows.csv.gz | iconv -f cp949 -t utf-8 > utf8_rows.csv" in message


def test_parquet_files_that_are_truncated_or_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    rows = [{**ROWS[0], "id": str(number), "sentence": str(number**9)} for number in range(500)]
    whole = parquet_bytes(rows)
    damaged = whole[:1000] + bytes(100) + whole[1100:]  # within the pages, the footer is whole
    for content in (b"", b"PAR1", PLAIN_FILES["rows.csv"][0].encode(), whole[:-100], damaged):
        assert_one_sentence(
            refusal_of(path, content), path, "cannot be read as Parquet from its beginning ("
        )


def test_parquet_without_a_column_or_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    assert refusal_of(
        path, parquet_bytes([{"id": "1", "sentence": "가", "object_entity": "나"}])
    ) == (
        f"{path}:1: no column subject_entity; expected id, sentence, subject_entity, "
        "object_entity, found id, sentence, object_entity; src/tools/prepare_data.py converts data "
        "of other tools"
    )
    table = pyarrow.Table.from_pylist(ROWS)
    parquet.write_table(table.slice(0, 0), path)
    with pytest.raises(UserError, match=r"rows\.parquet: the file is empty$"):
        list(iter_records(path))


def test_parquet_with_text_in_another_encoding(tmp_path: Path) -> None:
    """The advice to convert the file with iconv is for text files alone."""
    cells = {name: [row[name] for row in ROWS] for name in ROWS[0] if name != "sentence"}
    binary = pyarrow.array([row["sentence"].encode("utf-16") for row in ROWS], pyarrow.binary())
    bytes_as_text = pyarrow.StringArray.from_buffers(len(ROWS), *binary.buffers()[1:])
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({**cells, "sentence": bytes_as_text}), path)
    message = refusal_of(path, path.read_bytes())
    assert_one_sentence(message, path, "cannot be read as Parquet from its beginning (")
    assert "utf-8" in message
    assert "iconv" not in message


@pytest.mark.parametrize(
    "name", ["rows.xlsx", "rows.parquet.gz", "rows.gz", "rows", "rows.csv.zip", "rows.tar.gz"]
)
def test_an_unknown_suffix(tmp_path: Path, name: str) -> None:
    assert refusal_of(tmp_path / name, HEADER) == (
        f"{tmp_path / name}: expected a file that ends in .csv, .json, .jsonl, .parquet, "
        "or in .csv.gz, .json.gz, .jsonl.gz"
        + ("; save it as CSV in UTF-8" if name == "rows.xlsx" else "")
    )


@pytest.mark.parametrize(
    ("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")]
)
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("id_column", ["id", "guid"])
def test_another_separator_is_named(
    csv_file: Path, separator: str, name: str, quote: str, id_column: str
) -> None:
    columns = [id_column, "sentence", "subject_entity", "object_entity", "label"]
    header = separator.join(f"{quote}{column}{quote}" for column in columns)
    message = refusal_of(csv_file, f"\ufeff{header}\r\n".encode())
    assert message == f"{csv_file}:1: columns are separated by {name}, expected commas"


def test_a_comma_file_may_have_other_separators_in_its_header(csv_file: Path) -> None:
    header = "id,sentence,subject_entity,object_entity,a;b|c\td"
    assert len(records_of(csv_file, f"{header}\n1,가,나,다,라\n")) == 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".csv.gz"])
def test_utf_16_is_known_by_its_mark(tmp_path: Path, suffix: str, encoding: str) -> None:
    content = f"\ufeff{HEADER}1,가,나,다\n".encode(encoding)
    path = tmp_path / f"rows{suffix}"
    message = refusal_of(path, gzip.compress(content) if suffix.endswith(".gz") else content)
    assert message.startswith(f"{path}: is UTF-16, expected UTF-8; convert it: ")
    assert "iconv -f utf-16 -t utf-8" in message


@pytest.mark.parametrize("name", ["rows.xlsx", "rows.xls", "rows.ods", "rows.tsv"])
def test_a_spreadsheet_is_to_be_saved_as_csv(tmp_path: Path, name: str) -> None:
    assert refusal_of(tmp_path / name, b"PK").endswith("; save it as CSV in UTF-8")
