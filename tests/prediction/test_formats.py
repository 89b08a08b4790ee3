"""The forms of a prediction file: what is written is read again, in parts or at once."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pytest
from pyarrow import parquet

from kore.common.errors import UserError
from kore.data.schema import LabelMap
from kore.prediction.formats import Table, format_of
from kore.prediction.predictions import read_submission, schema_path, write_submission

LABELS = LabelMap(("no_relation", "per:title", 'a,"b'), "no_relation")
SUFFIXES = [".csv", ".csv.gz", ".parquet"]
IDS = ["7,8", '그 "것"', "줄\n바꿈", "a\rb", "c\r\nd", "👪🏽", " 빈칸 ", "'", "0", "=1+1", "\u2028"]
PROBS = np.array([[1 / 3, 2 / 3, 0], [0.25, 0.25, 0.5], [1, 0, 0]] * 4)[: len(IDS)]
# The same to 9 digits, written by hand.
READ = [[0.333333333, 0.666666667, 0], [0.25, 0.25, 0.5], [1, 0, 0]] * 4
PRED_LABELS = ["per:title", 'a,"b', "no_relation"] * 4


def write_parts(path: Path, cuts: list[int]) -> None:
    """The file of all rows, in parts that end before the rows of those numbers."""
    parts = []
    for start, end in zip([0, *cuts], [*cuts, len(IDS)], strict=True):
        part = path.with_name(f"{start}-{end}.part")
        with part.open("wb") as file:
            format_of(path).write_part(file, IDS[start:end], PROBS[start:end], Table(LABELS))
        parts.append(part)
    with path.open("wb") as file:
        format_of(path).join(parts, file, Table(LABELS))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_whatever_is_written_is_read_again(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_submission(path, IDS, PROBS, LABELS)
    found = read_submission(path, LABELS)
    assert found.ids == IDS
    assert found.pred_labels == PRED_LABELS[: len(IDS)]
    assert found.probs.tolist() == READ[: len(IDS)]
    assert schema_path(path) == tmp_path / "out.labels.json"
    assert schema_path(path).is_file()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("cuts", [[], [1], [4, 4, 9], [0, len(IDS)]])  # some parts are empty
def test_parts_join_to_the_file_written_at_once(
    tmp_path: Path, suffix: str, cuts: list[int]
) -> None:
    at_once, joined = tmp_path / f"once{suffix}", tmp_path / f"joined{suffix}"
    write_submission(at_once, IDS, PROBS, LABELS)
    write_parts(joined, cuts)
    if suffix == ".parquet":  # row groups differ
        assert parquet.read_table(joined).equals(parquet.read_table(at_once))
    else:
        assert joined.read_bytes() == at_once.read_bytes()


def test_the_forms_word_for_word(tmp_path: Path) -> None:
    rows = (["7", "x"], PROBS[:2], LABELS)
    for suffix in SUFFIXES:
        write_submission(tmp_path / f"out{suffix}", *rows)
    text = (
        b'"id","pred_label","probs"\n'
        b'"7","per:title","[0.333333333, 0.666666667, 0.0]"\n'
        b'"x","a,""b","[0.25, 0.25, 0.5]"\n'
    )
    assert (tmp_path / "out.csv").read_bytes() == text
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == text
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.schema.names == ["id", "pred_label", "probs"]
    assert table.to_pylist() == [
        {"id": "7", "pred_label": "per:title", "probs": [0.333333333, 0.666666667, 0]},
        {"id": "x", "pred_label": 'a,"b', "probs": [0.25, 0.25, 0.5]},
    ]


def test_gzip_holds_neither_time_nor_name(tmp_path: Path) -> None:
    """Equal predictions are equal bytes; RFC 1952: flags in byte 3, the time in bytes 4 to 7."""
    contents = []
    for name in ("a.csv.gz", "b.csv.gz"):
        write_submission(tmp_path / name, IDS, PROBS, LABELS)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    assert contents[0][3:8] == bytes(5)


def test_parts_may_be_open_files() -> None:
    part, whole = io.BytesIO(), io.BytesIO()
    output_format = format_of(Path("out.csv"))
    output_format.write_part(part, ["7"], PROBS[2:3], Table(LABELS))
    assert not part.closed
    part.seek(0)
    output_format.join([part], whole, Table(LABELS))
    assert whole.getvalue() == b'"id","pred_label","probs"\n"7","no_relation","[1.0, 0.0, 0.0]"\n'


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_that_are_not_sure_are_marked_and_keep_their_label(
    tmp_path: Path, suffix: str
) -> None:
    """The highest probabilities are 2/3, 1/2 and 1; what equals the bound is not below it."""
    path = tmp_path / f"out{suffix}"
    for bound, marks in ((0.5, [False, False, False]), (0.6, [False, True, False])):
        table = Table(LABELS, abstain_below=bound)
        part = io.BytesIO()
        format_of(path).write_part(part, ["a", "b", "c"], PROBS[:3], table)
        part.seek(0)
        with path.open("wb") as file:
            format_of(path).join([part], file, table)
        is_parquet = suffix == ".parquet"
        frame = pandas.read_parquet(path) if is_parquet else pandas.read_csv(path)
        assert frame["abstain"].tolist() == marks
        assert frame["pred_label"].tolist() == PRED_LABELS[:3]
        assert read_submission(path, LABELS).probs.tolist() == READ[:3]


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.gz", "out.parquet.gz", "out.csv.zip"])
def test_an_unknown_suffix(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(UserError) as caught:
        write_submission(path, IDS, PROBS, LABELS)
    assert str(caught.value) == (f"{path}: expected a name that ends in .csv, .csv.gz, .parquet")
    assert list(tmp_path.iterdir()) == []


def refusal_of(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_submission(path, LABELS)
    message = str(caught.value)
    assert message.startswith(f"{path}:")
    assert "\n" not in message
    return message


def test_damaged_gzip(tmp_path: Path) -> None:
    path = tmp_path / "out.csv.gz"
    write_submission(path, IDS, PROBS, LABELS)
    whole = path.read_bytes()
    for left_out in (1, 8, 40):
        assert "Compressed file ended" in refusal_of(path, whole[:-left_out])
    assert "CRC check failed" in refusal_of(path, whole[:-8] + bytes(4) + whole[-4:])
    assert "Error -3" in refusal_of(path, whole[:10] + b"\xff" + whole[11:])
    assert "Not a gzipped file" in refusal_of(path, gzip.decompress(whole))
    assert "no column id, pred_label, probs" in refusal_of(path, b"")


def test_damaged_parquet(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    write_submission(path, IDS, PROBS, LABELS)
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], b"id,pred_label,probs\n"):
        assert "cannot be read as Parquet from its beginning (" in refusal_of(path, content)


def test_parquet_of_other_programs(tmp_path: Path) -> None:
    """Numbers as ids, coarser probabilities, other columns; and columns that are not there."""
    path = tmp_path / "out.parquet"
    row = {"note": None, "probs": [0.3, 0.6995, 0.0], "id": 0, "pred_label": "per:title"}
    parquet.write_table(pyarrow.Table.from_pylist([row, {**row, "id": 1}]), path)
    assert read_submission(path, LABELS).ids == ["0", "1"]
    parquet.write_table(pyarrow.Table.from_pylist([{**row, "id": None}]), path)
    assert refusal_of(path, path.read_bytes()) == f"{path}:1 id: is empty"
    parquet.write_table(pyarrow.Table.from_pylist([{**row, "probs": None}]), path)
    assert f"{path}:1 probs: expected a list" in refusal_of(path, path.read_bytes())
    parquet.write_table(pyarrow.Table.from_pylist([{"id": "1"}]), path)
    assert f"{path}:1: no column pred_label, probs" in refusal_of(path, path.read_bytes())
    parquet.write_table(pyarrow.Table.from_pylist([row]).slice(0, 0), path)
    assert refusal_of(path, path.read_bytes()) == f"{path}: holds no predictions"
