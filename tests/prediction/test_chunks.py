"""Chunks of a file: surveyed, read and encoded, in this process or ahead of it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.builders import EXAMPLES, make_bert_tokenizer, make_scheme
from torch.utils.data import get_worker_info

from kore.common.errors import UserError
from kore.data.dataset import EncodedExample, InputEncoder
from kore.data.options import RowOptions
from kore.data.records import write_examples
from kore.data.schema import Example
from kore.prediction import chunks as streaming
from kore.prediction.chunks import Chunk, FileSurvey, stream_chunks, survey

CHUNK_ROWS = 4


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "CHUNK_ROWS", CHUNK_ROWS)


@pytest.fixture(scope="module")
def encoder() -> InputEncoder:
    return InputEncoder(make_bert_tokenizer(), make_scheme(), 64)


def write_rows(path: Path, kinds: str) -> list[Example]:
    """A row a letter, named by its number: g is good, b has no sentence, d has the id of row 0."""
    rows = []
    for number, kind in enumerate(kinds):
        row = EXAMPLES[number % len(EXAMPLES)]._replace(id="0" if kind == "d" else str(number))
        rows.append(row._replace(sentence="") if kind == "b" else row)
    write_examples(path, rows)
    return rows


def surveyed(path: Path, on_bad_row: str = "skip") -> FileSurvey:
    return survey(path, RowOptions(on_bad_row=on_bad_row, output_dir=str(path.parent)))


def chunks_of(path: Path, encoder: Any, **changes: Any) -> list[Chunk]:
    """All chunks of the file as the survey has found it, unless `changes` say otherwise."""
    found = changes.pop("found", None) or surveyed(path)
    arguments = {"wanted": range(found.chunks), "num_workers": 0, **changes}
    return list(stream_chunks(path, encoder, found, **arguments))


@pytest.mark.parametrize(
    ("kinds", "rejected", "chunks"),
    [
        ("g", set(), 1),
        ("gggg", set(), 1),
        ("ggggg", set(), 2),
        ("bbggg", {0, 1}, 2),
        ("gbgdg", {1, 3}, 2),
        ("gggb", {3}, 1),  # shares its chunk with good rows
        ("ggggdb", {4, 5}, 2),  # a chunk of faulty rows at the end,
        ("bbbbg", {0, 1, 2, 3}, 2),  # at the start
        ("ggggbbbbbgg", {4, 5, 6, 7, 8}, 3),  # and in the middle
    ],
)
def test_survey_knows_the_faulty_rows_wherever_they_stand(
    tmp_path: Path, small_chunks: None, kinds: str, rejected: set[int], chunks: int
) -> None:
    write_rows(tmp_path / "rows.csv", kinds)
    found = surveyed(tmp_path / "rows.csv")
    assert found.rows == kinds.count("g")
    assert found.rejected == rejected
    assert found.chunks == chunks
    assert (tmp_path / "rows.csv.rejected.csv").exists() is bool(rejected)


def test_survey_gathers_the_types_of_good_rows(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.csv", "ggg")
    assert surveyed(tmp_path / "rows.csv").types == {"PER", "ORG", "DAT"}
    odd = rows[0].subject._replace(type="ANIMAL")
    faulty = rows[2]._replace(sentence="")  # the only one with a date
    write_examples(tmp_path / "rows.csv", [rows[0]._replace(subject=odd), rows[1], faulty])
    assert surveyed(tmp_path / "rows.csv").types == {"PER", "ORG", "ANIMAL"}


def test_survey_stops_at_faulty_rows_unless_they_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path, "gbg")
    with pytest.raises(UserError, match=r"rows\.csv:3 sentence: found '', expected a sentence"):
        surveyed(path, "stop")
    write_rows(path, "b")
    with pytest.raises(UserError, match=r"rows\.csv: holds no rows that can be used$"):
        surveyed(path, "skip")


@pytest.mark.parametrize(
    ("kinds", "ids"),
    [
        ("gggg", [["0", "1", "2", "3"]]),
        ("ggggggg", [["0", "1", "2", "3"], ["4", "5", "6"]]),
        ("gbgdg", [["0", "2"], ["4"]]),
        ("bgggggbb", [["1", "2", "3"], ["4", "5"]]),
        ("ggggdbbbbg", [["0", "1", "2", "3"], [], ["9"]]),
        ("gggggbbbbb", [["0", "1", "2", "3"], ["4"], []]),
    ],
)
def test_chunks_hold_the_good_rows_in_order(
    tmp_path: Path, small_chunks: None, encoder: InputEncoder, kinds: str, ids: list[list[str]]
) -> None:
    path = tmp_path / "rows.csv"
    rows = {row.id: row for row in reversed(write_rows(path, kinds))}  # the first of an id wins
    chunks = chunks_of(path, encoder)
    assert [chunk.number for chunk in chunks] == list(range(len(ids)))
    assert [chunk.ids for chunk in chunks] == ids
    for chunk in chunks:
        assert chunk.rows == encoder.encode([rows[row_id] for row_id in chunk.ids])


def test_only_the_chunks_wanted_are_made(
    tmp_path: Path, small_chunks: None, encoder: InputEncoder
) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path, "g" * 14)
    everything = chunks_of(path, encoder)
    encoded: list[int] = []

    class Counting:
        def encode(self, examples: Sequence[Example], quiet: bool) -> list[EncodedExample]:
            assert quiet  # the caller shows a progress bar of its own
            encoded.append(len(examples))
            return encoder.encode(examples)

    assert chunks_of(path, Counting(), wanted=[1, 3]) == [everything[1], everything[3]]
    assert encoded == [4, 2]
    assert chunks_of(path, Counting(), wanted=[]) == []


def test_chunks_are_made_one_at_a_time(
    tmp_path: Path, small_chunks: None, encoder: InputEncoder
) -> None:
    """Memory holds one chunk, whatever the file's length: the second is broken, the first comes."""
    path = tmp_path / "rows.csv"
    write_rows(path, "ggggbggg")
    found = FileSurvey(8, frozenset(), frozenset())
    chunks = stream_chunks(path, encoder, found, [0, 1], 0)
    assert next(chunks).ids == ["0", "1", "2", "3"]
    with pytest.raises(UserError):
        next(chunks)


@pytest.mark.parametrize(
    ("kinds", "place"),
    [
        ("gggggb", ":7"),  # a row has become faulty
        ("ggggg", ""),  # one is gone,
        ("gggg", ""),  # or a whole chunk,
        ("ggggggg", ""),  # or one has come
    ],
)
def test_a_file_that_changes_after_the_survey_is_told(
    tmp_path: Path, small_chunks: None, encoder: InputEncoder, kinds: str, place: str
) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path, "gggggg")
    found = surveyed(path)
    write_rows(path, kinds)
    with pytest.raises(UserError) as caught:
        chunks_of(path, encoder, found=found)
    assert str(caught.value) == (
        f"{path}{place}: the file has changed while it was being read; give the same command once "
        "more"
    )


def test_rows_that_come_behind_the_last_chunk_are_not_predicted(
    tmp_path: Path, small_chunks: None, encoder: InputEncoder
) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path, "gggg")
    found = surveyed(path)
    write_rows(path, "ggggg")
    assert [chunk.ids for chunk in chunks_of(path, encoder, found=found)] == [["0", "1", "2", "3"]]


def test_processes_that_read_ahead_give_the_same_chunks_and_errors(
    tmp_path: Path, encoder: InputEncoder
) -> None:
    """In chunks of 2048 rows: a spawned process knows nothing of what a test has changed."""
    path = tmp_path / "rows.jsonl"
    rows = write_rows(tmp_path / "rows.csv", "g" * 4104)

    def line(row: Example) -> str:
        entities = {
            column: {
                "word": entity.word,
                "start_idx": entity.span.start,
                "end_idx": entity.span.end - 1,
                "type": entity.type,
            }
            for column, entity in (("subject_entity", row.subject), ("object_entity", row.object))
        }
        return json.dumps({"id": row.id, "sentence": row.sentence, **entities}) + "\n"

    lines = [line(row) for row in rows]
    lines[3000] = line(rows[3000]._replace(sentence=""))
    path.write_text("".join(lines), encoding="utf-8")
    found = surveyed(path)
    alone = chunks_of(path, encoder, found=found)
    assert [len(chunk.ids) for chunk in alone] == [2048, 2047, 8]
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    ahead = stream_chunks(path, encoder, found, [0, 1, 2], 2)
    assert [next(ahead) for _ in range(2)] == alone[:2]
    with pytest.raises(UserError) as caught:
        next(ahead)
    assert str(caught.value).startswith(f"{path}: the file has changed")
    assert "Traceback" not in str(caught.value)


class DiesAhead(InputEncoder):
    """Does what the system does to a process that takes too much memory."""

    def encode(self, examples: Sequence[Example], quiet: bool = False) -> list[EncodedExample]:
        assert get_worker_info() is not None
        os.kill(os.getpid(), signal.SIGKILL)
        return []


def test_a_process_that_is_killed_is_told(tmp_path: Path, encoder: InputEncoder) -> None:
    write_rows(tmp_path / "rows.csv", "ggg")
    dying = DiesAhead(encoder.tokenizer, encoder.scheme, encoder.max_length)
    with pytest.raises(UserError) as caught:
        chunks_of(tmp_path / "rows.csv", dying, num_workers=1)
    assert str(caught.value) == (
        "a process that read ahead was killed, perhaps because memory was full; what is predicted "
        "is kept: give the same command with `resume` (and `num_workers` 0)"
    )


def test_a_defect_of_ours_in_a_process_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DataLoader raises the worker's own kind of error again, with its traceback as the text."""

    def broken(*arguments: Any, **options: Any) -> Iterator[Chunk]:
        raise RuntimeError("Caught RuntimeError in DataLoader worker process 0.\nOriginal …")
        yield

    write_rows(tmp_path / "rows.csv", "g")
    monkeypatch.setattr(streaming, "DataLoader", broken)
    with pytest.raises(RuntimeError, match="in DataLoader worker process 0"):
        chunks_of(tmp_path / "rows.csv", None, num_workers=1)
