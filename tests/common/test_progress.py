"""What a command shows of the library's notices."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from kore.common import progress
from kore.common.progress import log_to_stderr, progress_bar


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    logger = logging.getLogger("kore")
    before, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = before
    logger.setLevel(level)


@pytest.mark.parametrize(
    ("rank", "shown"), [(None, "NOTICE\n"), ("0", "NOTICE\n"), ("1", ""), ("12", "")]
)
def test_of_several_processes_the_first_shows_notices_once(
    rank: str | None,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    for _ in range(2):  # a second command in the same process
        log_to_stderr(str.upper)
    logging.getLogger("kore.data.rows").info("notice")
    assert capsys.readouterr().err == shown


@pytest.mark.parametrize(("seconds", "lines"), [(0, 2), (60, 0)])
def test_a_log_gets_lines_and_only_of_long_work(
    seconds: float,
    lines: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "_is_shown", True)
    monkeypatch.setattr(progress, "_SECONDS", seconds)
    with progress_bar(total=2, desc="working") as bar:
        time.sleep(0.001)  # tqdm compares times
        bar.update()
        bar.set_postfix(loss="0.5", refresh=False)
        log_to_stderr(str.upper)
        logging.getLogger("kore.data.rows").info("notice")
        time.sleep(0.001)
        bar.update()
    text = capsys.readouterr().err
    assert "\r" not in text
    assert text.count("NOTICE\n") == 1
    shown = text.replace("NOTICE\n", "").splitlines()
    assert all(line.startswith("working") for line in shown)
    assert len(shown) == lines + (lines > 0)  # and where it begins


def test_the_library_draws_nothing_and_starts_no_thread(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_is_shown", False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    before = threading.active_count()
    with progress_bar(total=2, desc="working") as bar:
        bar.update(2)
        bar.set_postfix(loss="0.5")
    assert list(progress_bar("ab")) == ["a", "b"]
    assert threading.active_count() == before
    assert capsys.readouterr() == ("", "")
