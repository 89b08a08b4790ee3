"""Progress bars and notices, which a command shows and the library alone does not."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from tqdm import tqdm

from kore.common.processes import is_main_process

_SECONDS = 60  # between two lines of a log

_is_shown = False


def show_progress() -> None:
    """Lets `progress_bar` draw for the rest of the process; commands call it when they start."""
    global _is_shown
    _is_shown = True


def progress_bar(iterable: Any = None, *, quiet: bool = False, **settings: Any) -> Any:
    """A `tqdm` for a command, which draws on a terminal and writes a line a minute to a file.

    For the library alone it is nothing that can be seen.
    """
    if not _is_shown or quiet:  # even a disabled tqdm starts a thread
        return _NoBar(iterable)
    if sys.stderr.isatty():
        return tqdm(iterable, **settings)
    timing: dict[str, Any] = {"mininterval": _SECONDS, "delay": _SECONDS, "miniters": 1}
    return _Lines(iterable, maxinterval=math.inf, leave=False, **timing, **settings)


class _Lines(tqdm):
    """A bar that can be read in a log: each state of it is a line, and nothing is drawn over."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        if msg is None:  # "" wipes a bar out
            self.fp.write(f"{self}\n")
            self.fp.flush()

    def clear(self, nolock: bool = False) -> None:
        pass

    def refresh(self, nolock: bool = False, lock_args: Any = None) -> None:
        if not nolock:  # else a notice has been written, below which a bar would be drawn again
            super().refresh(lock_args=lock_args)

    def close(self) -> None:
        self.delay = math.inf  # as if nothing had been drawn, which would be wiped out
        super().close()


class _NoBar(AbstractContextManager["_NoBar"]):
    """What a `tqdm` offers to those who use it here, without a bar."""

    def __init__(self, iterable: Any) -> None:
        self._iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        return iter(self._iterable)

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, count: int = 1) -> None:
        pass

    def set_postfix(self, **values: Any) -> None:
        pass


def log_to_stderr(spelling: Callable[[str], str]) -> None:
    """Shows what the library logs, one line per message; commands call it when they start.

    Of several processes of `accelerate launch`, which all log the same, only the first shows it.

    Args:
        spelling: turns a message of the library into one of the command.
    """
    logger = logging.getLogger("kore")
    for handler in [old for old in logger.handlers if isinstance(old, _StderrHandler)]:
        logger.removeHandler(handler)
    handler = _StderrHandler(spelling)
    if not is_main_process():
        handler.setLevel(logging.CRITICAL)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


class _StderrHandler(logging.Handler):
    """Writes to the current `sys.stderr`, above any progress bar."""

    def __init__(self, spelling: Callable[[str], str]) -> None:
        super().__init__()
        self._spelling = spelling

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self._spelling(self.format(record)), file=sys.stderr)
