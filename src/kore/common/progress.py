"""Progress bars and notices, which a command shows and the library alone does not."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

_is_shown = False


def show_progress() -> None:
    """Lets `progress_bar` draw for the rest of the process; commands call it when they start."""
    global _is_shown
    _is_shown = True


def progress_bar(iterable: Any = None, *, quiet: bool = False, **settings: Any) -> tqdm[Any]:
    """A `tqdm` that draws only on a terminal, and only for a command."""
    return tqdm(iterable, disable=None if _is_shown and not quiet else True, **settings)


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
    if os.environ.get("RANK", "0") != "0":
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
