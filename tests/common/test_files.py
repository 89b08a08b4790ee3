"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kore.common.errors import UserError
from kore.common.files import atomic_folder, atomic_write, checksum, safe_name


def write(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text)


def test_writes_utf8_with_the_line_ends_given(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "표.csv"
    write(path, "가\n나\r\n")
    assert path.read_bytes() == b"\xea\xb0\x80\n\xeb\x82\x98\r\n"
    assert os.listdir(path.parent) == ["표.csv"]


def test_writes_bytes(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "model.pth", "wb") as file:
        file.write(b"\x00\xff\n")
    assert (tmp_path / "model.pth").read_bytes() == b"\x00\xff\n"


def test_half_a_surrogate_pair_is_written_as_its_escape(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "가\ud83d")
    assert (tmp_path / "a.txt").read_bytes() == b"\xea\xb0\x80\\ud83d"


def test_replaces_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_content_and_no_litter(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_write(path) as file:
            file.write("half of the n")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_reported_and_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"a\.txt cannot be written \(No space left on device\)"):
        write(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_that_another_run_removes_meanwhile_is_named(tmp_path: Path) -> None:
    path = tmp_path / "parts" / "a.txt"
    said = r"parts was removed meanwhile\. If another run writes there"
    with pytest.raises(UserError, match=said), atomic_write(path):
        shutil.rmtree(path.parent)


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"a\.txt cannot be written"):
        write(tmp_path / "file" / "a.txt", "new")


def test_a_folder_in_the_place_of_the_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(UserError, match=r"a\.txt cannot be written"):
        write(tmp_path / "a.txt", "new")
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX's")
def test_others_may_read_what_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.txt", "new")
        assert os.umask(0o027) == 0o027  # left as it was
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name != "posix", reason="the umask is POSIX's")
def test_writing_never_touches_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to the whole process: between two calls, other threads would see another one."""
    before = os.umask(0o022)
    set_to: list[int] = []

    def record(mask: int) -> int:
        set_to.append(mask)
        return 0o022

    try:
        monkeypatch.setattr(os, "umask", record)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda n: write(tmp_path / f"{n}.txt", "new"), range(40)))
            list(threads.map(lambda n: write_a_folder(tmp_path / f"{n}"), range(40)))
        monkeypatch.undo()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert set_to == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 80
    assert {path.stat().st_mode & 0o777 for path in files} == {0o644}


def write_a_folder(path: Path) -> None:
    with atomic_folder(path) as folder:
        (folder / "a.txt").touch(mode=0o600)


def test_threads_that_write_one_file_leave_one_content(tmp_path: Path) -> None:
    texts = [letter * 10_000 for letter in "abcdefgh"]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda text: write(tmp_path / "a.txt", text), texts))
    assert (tmp_path / "a.txt").read_text() in texts
    assert os.listdir(tmp_path) == ["a.txt"]


def test_checksum_of_the_standard_s_example(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # the example of FIPS 180-2, appendix B.1
    assert checksum(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def write_half_a_folder(target: Path) -> None:
    with atomic_folder(target) as folder:
        (folder / "a.txt").write_text("half")
        raise KeyError("a defect")


def test_a_folder_comes_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "folder"
    with atomic_folder(target) as folder:
        (folder / "a.txt").write_text("first")
        assert not target.exists()
    with pytest.raises(KeyError, match="a defect"):
        write_half_a_folder(target)
    assert (target / "a.txt").read_text() == "first"
    with atomic_folder(target) as folder:
        (folder / "b.txt").write_text("second")
    assert [entry.name for entry in target.iterdir()] == ["b.txt"]
    assert [entry.name for entry in target.parent.iterdir()] == ["folder"]


def test_a_folder_that_cannot_take_its_place_leaves_the_earlier_one(tmp_path, monkeypatch):
    target = tmp_path / "folder"
    with atomic_folder(target) as folder:
        (folder / "a.txt").write_text("first")
    rename = os.replace

    def fails_for_the_new_one(source: Path, destination: Path) -> None:
        if source.name == "new":
            raise OSError(28, "No space left on device")
        rename(source, destination)

    monkeypatch.setattr(os, "replace", fails_for_the_new_one)
    with (
        pytest.raises(UserError, match=r"folder cannot be written \(No space left on device\)"),
        atomic_folder(target) as folder,
    ):
        (folder / "a.txt").write_text("second")
    assert (target / "a.txt").read_text() == "first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_files_of_a_folder_may_be_read_by_others(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic_folder(tmp_path / "folder") as folder:
            (folder / "a.txt").touch(mode=0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "folder" / "a.txt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("text", ["17", "klue-re-v1_train_00001", "행-3.b"])
def test_a_safe_name_is_left_as_it_is(text: str) -> None:
    assert safe_name(text) == text


@pytest.mark.parametrize("text", ["../a", "/etc/a", "a\\b", "a\0b", "..", "", "a b\n", "가" * 300])
def test_any_text_becomes_the_name_of_a_file_in_its_folder(tmp_path: Path, text: str) -> None:
    name = safe_name(text)
    (tmp_path / f"{name}_explanation.json").touch()
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}_explanation.json"]
    assert " " not in name


def test_different_texts_keep_different_names() -> None:
    assert (
        len({safe_name(text) for text in ("a/b", "a_b", "a b", ".a_b", "가" * 99, "가" * 98)}) == 6
    )
