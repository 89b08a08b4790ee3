"""What a run was begun with: recorded, compared in words, refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from kore.common.errors import UserError
from kore.common.manifest import Manifest, read_manifest, with_defaults


@dataclass
class Options:
    seed: int = 42
    rate: float = 0.1
    names: tuple[str, ...] = ("a", "b")
    text_file: str = "a.txt"
    run_name: str = "first"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("one\n")
    return path


def manifest_of(path: Path | None, options: Options | None = None) -> Manifest:
    options = options or Options()
    return Manifest.of(options, free={"run_name"}, files={"text_file": path}, **{"the device": "x"})


def test_settings_are_named_as_messages_name_them(text: Path) -> None:
    settings = manifest_of(text).settings
    assert list(settings) == [
        "`seed`",
        "`rate`",
        "`names`",
        "the content of `text_file`",
        "the device",
    ]
    assert settings["`names`"] == ["a", "b"]  # as JSON gives it back
    # printf 'one\n' | sha256sum
    assert settings["the content of `text_file`"] == (
        "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"
    )


def test_nothing_differs_from_what_was_written_and_read(tmp_path: Path, text: Path) -> None:
    manifest_of(text).write(tmp_path / "m.json")
    before = read_manifest(tmp_path / "m.json")
    assert manifest_of(text).changes(before) == []
    assert manifest_of(text, Options(run_name="other", text_file="moved")).changes(before) == []


def test_a_moved_file_is_the_same_and_a_changed_one_is_not(tmp_path: Path, text: Path) -> None:
    before = manifest_of(text).settings
    moved = text.rename(tmp_path / "b.txt")
    assert manifest_of(moved).changes(before) == []
    moved.write_text("two\n")
    assert manifest_of(moved).changes(before) == ["the content of `text_file` has changed"]
    moved.unlink()
    assert manifest_of(moved).changes(before) == ["the content of `text_file` is missing"]
    assert manifest_of(None).changes(before) == ["the content of `text_file` is missing"]
    assert manifest_of(None).changes(manifest_of(None).settings) == []


def test_a_file_that_is_no_longer_named_is_a_change(text: Path) -> None:
    """A command may record a file only where one is named."""
    before = {**manifest_of(text).settings, "the content of `valid_file`": "0123"}
    assert manifest_of(text).changes(before) == ["the content of `valid_file` is missing"]
    before["the content of `valid_file`"] = None  # was not named before either
    assert manifest_of(text).changes(before) == []


def test_every_change_is_said_in_one_sentence(text: Path) -> None:
    before = manifest_of(text).settings
    with pytest.raises(UserError) as caught:
        manifest_of(text, Options(seed=7, rate=0.2)).refuse_changes(before, Path("run"), "wait")
    assert str(caught.value) == (
        "run was begun with other settings (`seed` was 42, is 7; `rate` was 0.1, is 0.2); give "
        "the same ones, or wait"
    )


def test_what_was_not_recorded_counts_as_a_change_even_where_it_is_none() -> None:
    assert Manifest({"a": None}).changes({"b": 1}) == ["a is None and was not recorded"]


def test_an_option_that_is_newer_than_the_run_had_its_default(text: Path) -> None:
    before = manifest_of(text).settings
    del before["`rate`"]
    complete = with_defaults(Options(), before)
    assert manifest_of(text).changes(complete) == []
    assert manifest_of(text, Options(rate=0.2)).changes(complete) == ["`rate` was 0.1, is 0.2"]


def test_an_option_that_was_removed_since_is_not_asked_for(text: Path) -> None:
    assert manifest_of(text).changes({**manifest_of(text).settings, "`old`": 3}) == []


def test_what_is_begun_is_continued_with_the_same_settings_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "m.json"
    Manifest({"a": 1}).begin_or_continue(path, "it", "wait")
    assert json.loads(path.read_text()) == {"a": 1}
    Manifest({"a": 1}).begin_or_continue(path, "it", "wait")
    with pytest.raises(UserError, match=r"it was begun with other settings \(a was 1, is 2\)"):
        Manifest({"a": 2}).begin_or_continue(path, "it", "wait")
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00"])
def test_a_damaged_manifest_continues_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(content)
    with pytest.raises(UserError, match="its record of them is damaged"):
        Manifest({"a": 1}).begin_or_continue(path, "it", "wait")
