"""Ctrl-C and SIGTERM handled between two optimizer steps, and what stopped the process."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_LOGGER = logging.getLogger(__name__)
_stop_signal: int = signal.SIGINT


def stop_status() -> int:
    """The exit status of a process that a signal stopped, as shells report it: 128 + the signal."""
    return 128 + _stop_signal


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C or SIGTERM into a flag, so that no optimizer step is left half done.

    A second one stops at once. Outside the main thread, where Python allows no signal handlers,
    signals are left to the program that runs the thread.

    Yields:
        A function that says whether a signal has come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: Any) -> None:
        global _stop_signal
        _stop_signal = number
        if seen:
            raise KeyboardInterrupt("Stopped at once; the last saved state is kept")
        seen.append(number)
        _LOGGER.info("\nStopping after this optimizer step …")

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
