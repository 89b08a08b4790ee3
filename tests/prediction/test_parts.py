"""Parts of a prediction file: whole or not at all, resumed only by the same job."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kore.common.errors import UserError
from kore.common.manifest import Manifest
from kore.data.schema import LabelMap
from kore.prediction.formats import Table
from kore.prediction.parts import Parts, TableContent, is_finished, is_free_for, manifest_path
from kore.prediction.predictions import read_submission, schema_path

LABELS = LabelMap(("no_relation", "A"), "no_relation")
JOB = {"`on_bad_row`": "stop", "precision": "no", "the content of `test_file`": "bbbb"}
PROBS = np.array([[0.25, 0.75], [0.5, 0.5]])
WHOLE = (
    '"id","pred_label","probs"\n'
    '"0-a","A","[0.25, 0.75]"\n"0-b","no_relation","[0.5, 0.5]"\n'
    '"1-a","A","[0.25, 0.75]"\n"1-b","no_relation","[0.5, 0.5]"\n'
    '"2-a","A","[0.25, 0.75]"\n"2-b","no_relation","[0.5, 0.5]"\n'
)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "outputs" / "out.csv"


def begun(output: Path, resume: bool = False, changes: dict[str, Any] | None = None) -> Parts:
    parts = Parts(
        output, TableContent(output, Table(LABELS)), 3, Manifest({**JOB, **(changes or {})})
    )
    parts.open(resume=resume)
    return parts


def write(parts: Parts, *numbers: int) -> None:
    for number in numbers:
        parts.write(number, ([f"{number}-a", f"{number}-b"], PROBS))


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_of_somebody_else_stays(output: Path) -> None:
    folder = output.with_name("out.csv.parts")
    folder.mkdir(parents=True)
    begun(output)  # an empty one is as good as none
    (folder / "manifest.json").unlink()
    (folder / "thesis.txt").write_text("all my work")
    with pytest.raises(UserError, match="is not of such a run; move it away"):
        begun(output)
    assert (folder / "thesis.txt").read_text() == "all my work"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_parts_are_joined_in_order_whatever_order_they_came_in(
    output: Path, order: tuple[int, ...]
) -> None:
    parts = begun(output)
    left = [0, 1, 2]
    for number in order:
        assert parts.missing() == left
        write(parts, number)
        left.remove(number)
    assert parts.missing() == []
    assert not output.exists()
    parts.join()
    assert output.read_text() == WHOLE
    assert sorted(os.listdir(output.parent)) == [
        "out.csv",
        "out.csv.manifest.json",
        "out.labels.json",
    ]


def test_more_parts_than_a_digit_counts(output: Path) -> None:
    parts = Parts(output, TableContent(output, Table(LABELS)), 12, Manifest(JOB))
    parts.open(resume=False)
    write(parts, *reversed(range(12)))
    parts.join()
    ids = read_submission(output, LABELS).ids
    assert ids == [f"{number}-{letter}" for number in range(12) for letter in "ab"]


def test_parts_of_no_rows(output: Path) -> None:
    """Every row of a chunk may have been set aside."""
    for suffix in (".csv", ".csv.gz", ".parquet"):
        parts = begun(output.with_name(f"out{suffix}"))
        write(parts, 0, 2)
        parts.write(1, ([], np.empty((0, 2))))
        parts.join()
        assert read_submission(parts.output, LABELS).ids == ["0-a", "0-b", "2-a", "2-b"]


@pytest.mark.parametrize("crash", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_part_cut_short_is_still_missing(
    output: Path, crash: type[BaseException], suffix: str
) -> None:
    def ids() -> Iterator[str]:
        yield "1-a"
        raise crash

    parts = begun(output.with_name(f"out{suffix}"))
    write(parts, 0)
    with pytest.raises(crash):
        parts.write(1, (ids(), PROBS))
    assert parts.missing() == [1, 2]
    assert sorted(os.listdir(parts.folder)) == ["00000000.part", "manifest.json"]


def test_resume_takes_up_the_parts_of_the_same_job(output: Path) -> None:
    first = begun(output)
    write(first, 0, 2)
    before = content_of(first.folder)
    second = begun(output, resume=True)
    assert second.missing() == [1]
    assert content_of(second.folder) == before
    write(second, 1)
    second.join()
    assert output.read_text() == WHOLE


def test_resume_with_nothing_to_resume_begins(output: Path) -> None:
    parts = begun(output, resume=True)
    assert parts.missing() == [0, 1, 2]
    write(parts, 0)
    assert begun(output, resume=True).missing() == [1, 2]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"the content of `test_file`": "dddd"}, "(the content of `test_file` has changed)"),
        ({"`on_bad_row`": "skip"}, "(`on_bad_row` was stop, is skip)"),
        (
            {"`on_bad_row`": "skip", "precision": "bf16"},
            "(`on_bad_row` was stop, is skip; precision was no, is bf16)",
        ),
        ({"chunk_rows": 4}, "(chunk_rows is 4 and was not recorded)"),
    ],
)
def test_resume_of_another_job_is_refused_and_keeps_the_parts(
    output: Path, changes: dict[str, Any], difference: str
) -> None:
    parts = begun(output)
    write(parts, 0)
    before = content_of(parts.folder)
    with pytest.raises(UserError) as caught:
        begun(output, resume=True, changes=changes)
    assert str(caught.value) == (
        f"{parts.folder} was begun with other settings {difference}; give the same ones, or leave "
        "`resume` out to start from the beginning"
    )
    assert content_of(parts.folder) == before


def test_without_resume_all_starts_anew(output: Path) -> None:
    write(begun(output), 0, 1)
    other = {"precision": "bf16"}
    parts = begun(output, changes=other)
    assert parts.missing() == [0, 1, 2]
    assert os.listdir(parts.folder) == ["manifest.json"]
    assert begun(output, resume=True, changes=other).missing() == [0, 1, 2]


def finished(output: Path) -> Manifest:
    parts = begun(output)
    write(parts, 0, 1, 2)
    parts.join()
    return Manifest(JOB)


def test_a_finished_output_is_known_until_it_is_touched(output: Path) -> None:
    job = Manifest(JOB)
    assert not is_finished(output, job)
    finished(output)
    assert is_finished(output, job)
    assert not is_finished(output, Manifest({**JOB, "precision": "bf16"}))
    assert not is_finished(output.with_name("other.csv"), job)
    with output.open("a") as file:
        file.write("\n")
    assert not is_finished(output, job)


@pytest.mark.parametrize("lost", [manifest_path, schema_path])
def test_an_output_without_what_belongs_to_it_is_not_finished(
    output: Path, lost: Callable[[Path], Path]
) -> None:
    job = finished(output)
    assert is_finished(output, job, [schema_path(output)])
    lost(output).unlink()
    assert not is_finished(output, job, [schema_path(output)])


def test_what_another_job_left_is_in_the_way(output: Path) -> None:
    job, other = Manifest(JOB), Manifest({**JOB, "precision": "bf16"})
    assert is_free_for(output, job)
    write(begun(output), 0)
    assert is_free_for(output, job)  # parts to resume
    assert not is_free_for(output, other)
    finished(output)
    assert is_free_for(output, job)
    assert not is_free_for(output, other)
    output.write_text("a file of another program")
    assert not is_free_for(output, job)


def test_two_outputs_have_parts_of_their_own(output: Path) -> None:
    first = begun(output)
    write(first, 0)
    write(begun(output.with_name("out.csv.gz")), 1)
    write(begun(output.with_name("out.parquet")), 2)
    assert first.missing() == [1, 2]


def test_the_parts_are_kept_where_the_output_cannot_be_written(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output.parent.mkdir()
    output.write_text("old")
    parts = begun(output)
    write(parts, 0, 1, 2)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match=r"out\.csv cannot be written \(No space left"):
            parts.join()
    assert output.read_text() == "old"
    assert not schema_path(output).exists()
    resumed = begun(output, resume=True)
    assert resumed.missing() == []
    resumed.join()
    assert output.read_text() == WHOLE


def test_a_folder_in_the_place_of_the_output(output: Path) -> None:
    output.mkdir(parents=True)
    parts = begun(output)
    write(parts, 0, 1, 2)
    with pytest.raises(UserError, match=r"out\.csv cannot be written"):
        parts.join()
    assert parts.missing() == []


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    """Parquet readers take a folder "year=2024" for a column of its files."""
    parts = begun(tmp_path / "year=2024" / "out.parquet")
    write(parts, 0, 1, 2)
    parts.join()
    assert read_submission(parts.output, LABELS).ids == ["0-a", "0-b", "1-a", "1-b", "2-a", "2-b"]
