"""Files of a corpus become the same tables, whatever they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.builders import EXAMPLES

from kore.common.errors import UserError
from kore.data.corpus import FAULTS, ROWS, SUMMARY, input_files, parse_rows, read_rows, summarize
from kore.data.records import write_examples

PLAIN = [example._replace(label=None, source="") for example in EXAMPLES]


def as_records() -> list[dict[str, Any]]:
    def cell(entity: Any) -> dict[str, Any]:
        end = entity.span.end - 1
        return {
            "word": entity.word,
            "start_idx": entity.span.start,
            "end_idx": end,
            "type": entity.type,
        }

    return [
        {
            "id": row.id,
            "sentence": row.sentence,
            "subject_entity": cell(row.subject),
            "object_entity": cell(row.object),
        }
        for row in PLAIN
    ]


def write_parquet(path: Path, records: list[dict[str, Any]], **options: Any) -> Path:
    pq.write_table(pa.Table.from_pylist(records), path, **options)
    return path


def read_back(path: Path, rows_per_table: int = 3) -> list[Any]:
    """All examples of a file; none of its rows is faulty."""
    tables = list(read_rows(path, rows_per_table))
    assert [table.num_rows for table in tables] == [3, 1][: len(tables)]
    assert all(table.schema == ROWS for table in tables)
    parsed = [parse_rows(table) for table in tables]
    assert not any(part.faults for part in parsed)
    return [example for part in parsed for example in part.examples]


def test_csv(tmp_path):
    write_examples(tmp_path / "a.csv", EXAMPLES)
    read = read_back(tmp_path / "a.csv")
    assert read == list(EXAMPLES)


def test_csv_cells_over_many_lines_are_known_by_their_first(tmp_path):
    rows = [row._replace(sentence=f'{row.sentence} "그",\n\r\n끝') for row in PLAIN]
    write_examples(tmp_path / "a.csv", rows)
    assert [row.sentence for row in read_back(tmp_path / "a.csv")] == [r.sentence for r in rows]
    lines = [n for table in read_rows(tmp_path / "a.csv", 3) for n in table["line"].to_pylist()]
    assert lines == [2, 5, 8, 11]


def test_parquet_with_entities_as_structs_or_text(tmp_path):
    structs = write_parquet(tmp_path / "a.parquet", as_records(), row_group_size=2)
    assert read_back(structs) == PLAIN
    texts = [{name: str(cell) for name, cell in record.items()} for record in as_records()]
    for text in texts:
        text["guid"] = text.pop("id")
    assert read_back(write_parquet(tmp_path / "b.parquet", texts)) == PLAIN


def test_parquet_takes_numbers_for_ids_and_passes_over_other_columns(tmp_path):
    records = [{**row, "id": n, "blob": b"\xff"} for n, row in enumerate(as_records())]
    read = read_back(write_parquet(tmp_path / "a.parquet", records))
    assert [row.id for row in read] == ["0", "1", "2", "3"]


def test_faults_name_file_row_and_column(tmp_path):
    records = as_records()
    records[1]["sentence"] = None
    records[2]["id"] = None
    records[3]["subject_entity"] = None
    path = write_parquet(tmp_path / "a.parquet", records)
    (table,) = read_rows(path, 100)
    parsed = parse_rows(table)
    assert parsed.examples == PLAIN[:1]
    assert [(f["file"], f["line"], f["id"], f["column"]) for f in parsed.faults] == [
        (str(path), 2, "b", "sentence"),
        (str(path), 3, None, "id"),
        (str(path), 4, "d", "subject_entity"),
    ]
    assert list(parsed.faults[0]) == ["file", "line", "record", "id", "column", "reason"]
    assert json.loads(parsed.faults[1]["record"])["sentence"] == PLAIN[2].sentence
    summary = summarize(table)
    assert summary.schema == SUMMARY
    (row,) = summary.to_pylist()
    assert row["rows"] == 4
    assert row["types"] == ["ORG", "PER"]
    assert [fault["line"] for fault in row["faults"]] == [2, 3, 4]
    assert set(row["faults"][0]) == set(FAULTS.names)


def test_files_of_a_folder_and_those_below(tmp_path):
    for name in ("b.csv", "day=1/a.csv", "_old/a.csv", ".hidden.csv"):
        write_examples(tmp_path / name, EXAMPLES)
    write_parquet(tmp_path / "c.parquet", as_records())
    (tmp_path / "notes.txt").touch()
    names = [str(path.relative_to(tmp_path)) for path in input_files(tmp_path)]
    assert names == ["b.csv", "c.parquet", "day=1/a.csv"]


def test_a_relative_path_is_made_absolute(tmp_path, monkeypatch):
    write_examples(tmp_path / "a.csv", EXAMPLES)
    monkeypatch.chdir(tmp_path)
    assert input_files(Path("a.csv")) == [tmp_path / "a.csv"]


def test_parquet_damaged_in_the_middle(tmp_path):
    """Its footer is whole, so that only reading on finds it."""
    path = write_parquet(tmp_path / "a.parquet", as_records() * 2000, row_group_size=4000)
    second = pq.read_metadata(path).row_group(1).column(0)
    content = bytearray(path.read_bytes())
    start = second.dictionary_page_offset or second.data_page_offset
    content[start : start + 400] = b"\xff" * 400
    path.write_bytes(content)
    assert input_files(path) == [path]
    with pytest.raises(UserError, match=r"a\.parquet: cannot be read as Parquet after row \d+ \("):
        list(read_rows(path, 1000))
