"""Commands in processes of their own, for kills, signals and runs of several processes.

A process that imports torch and KoRE takes six seconds to start. These are forked from one that has
imported them already, and start at once.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kore.common.errors import run_command

REPOSITORY = Path(__file__).resolve().parents[1]
# Modules that import wherever KoRE runs: an error but ImportError would end the process.
_IMPORTED = [
    "tests.processes",
    "kore.studies.run",
    "kore.prediction.run",
    "kore.evaluation.figures",
    "optuna",
]


class Forked:
    """A function at work in a process of its own; all that it prints is in `log`.

    Args:
        function: one that a process can import, as its arguments are pickled.
        environment: variables that only this process has.
    """

    def __init__(
        self,
        log: Path,
        function: Callable[..., object],
        *arguments: Any,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self._process = server().Process(
            target=_work, args=(log, environment or {}, function, arguments)
        )
        self._process.start()
        atexit.register(self.kill)  # a test that fails leaves nothing behind

    @property
    def returncode(self) -> int | None:
        """The exit status, None while it runs; -9 where SIGKILL ended it."""
        return self._process.exitcode

    def wait(self, timeout: float = 200) -> int:
        self._process.join(timeout)
        assert self.returncode is not None, f"still at work: {self.output()}"
        return self.returncode

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def send_signal(self, number: int) -> None:
        os.kill(self._process.pid or 0, number)

    def wait_for(self, path: Path) -> None:
        """Until the file is there; fails where the process ends before that."""
        while not path.exists():
            assert self.returncode is None, self.output()
            time.sleep(0.01)

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")


def start_command(
    script: str, flags: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Forked:
    """A command at work, its script's name without the folder."""
    return Forked(log, _run_script, script, list(flags), environment=environment)


def start_both(script: str, flags: Sequence[str], log: Path) -> list[Forked]:
    """Two processes that work together, as `accelerate launch --num_processes 2` starts them."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    both = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    both |= {"MASTER_PORT": str(port), "ACCELERATE_MIXED_PRECISION": "no"}
    return [
        start_command(
            script,
            flags,
            log.with_suffix(f".{rank}.log"),
            {**both, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]


def run_both(script: str, flags: Sequence[str], log: Path) -> str:
    """Runs them to the end and returns all that was printed."""
    processes = start_both(script, flags, log)
    for process in processes:
        assert process.wait() == 0, "".join(process.output() for process in processes)
    return "".join(process.output() for process in processes)


@functools.cache
def server() -> Any:
    """The context of `multiprocessing` that forks from a process which has imported all."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    paths = [REPOSITORY, REPOSITORY / "src", REPOSITORY / "src" / "tools"]
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, paths))  # the server is not given sys.path
    try:
        multiprocessing.forkserver.ensure_running()  # type: ignore[attr-defined]
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return context


def _work(
    log: Path, environment: dict[str, str], function: Callable[..., object], arguments: Any
) -> None:
    """The life of such a process."""
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    function(*arguments)


def _run_script(script: str, flags: list[str]) -> None:
    sys.argv = [script, *flags]
    run_command(importlib.import_module(Path(script).stem).main)
