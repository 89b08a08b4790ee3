"""Ctrl-C and SIGTERM inside and outside the guarded block."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from kore.common.interrupts import deferred_interrupt
from kore.common.resources import python_path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_noted_only(number: signal.Signals) -> None:
    with deferred_interrupt() as is_interrupted:
        assert not is_interrupted()
        os.kill(os.getpid(), number)
        assert is_interrupted()


def test_second_signal_stops_at_once() -> None:
    with deferred_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt, match="at once"):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with deferred_interrupt():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_outside_the_main_thread_signals_are_left_to_the_program() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def work() -> tuple[bool, bool]:
        with deferred_interrupt() as is_interrupted:
            after = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
            return is_interrupted(), after == before

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(work).result() == (False, True)


# Works until a signal comes, as training does.
WORKER = """
import time
from kore.common.errors import run_command
from kore.common.interrupts import deferred_interrupt

def main():
    with deferred_interrupt() as is_interrupted:
        print("working", flush=True)
        while not is_interrupted():
            time.sleep(0.01)
        raise KeyboardInterrupt("the state is saved")

run_command(main)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_status_says_which_signal_it_was(number: signal.Signals, status: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER],
        env={"PYTHONPATH": python_path()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (status, "the state is saved\n")
