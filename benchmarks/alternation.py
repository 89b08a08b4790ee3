"""Ways of doing the same work take turns, each in a process of its own.

A process of its own gives each way its own peak memory and its own settings (accelerate keeps one
precision per process). They take turns, so that a machine that slows down slows all of them: while
one works, the others wait. The first round is not counted.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import nn

from measuring import peak_memory, wait_for


@dataclass(frozen=True)
class Lap:
    """One turn of one way; `cells` counts the tokens that its model read, padding included."""

    seconds: float
    cells: int
    result: Any = None


@dataclass
class WayResult:
    """The counted laps of one way, and the most memory it ever held, in MiB."""

    laps: list[Lap] = field(default_factory=list)
    peak_mib: float = 0.0

    @property
    def seconds(self) -> list[float]:
        return [lap.seconds for lap in self.laps]


class Turn:
    """A way's side: `start` waits for the way's turn, `stop` reports how long its work took."""

    def __init__(self, connection: Connection, device: torch.device) -> None:
        self._connection = connection
        self._device = device
        self._cells = 0
        self._started = 0.0

    def watch(self, model: nn.Module) -> None:
        """Counts the tokens that the model's `input_ids` hold, padding included."""

        def count(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._cells += (kwargs["input_ids"] if "input_ids" in kwargs else args[0]).numel()

        model.register_forward_pre_hook(count, with_kwargs=True)

    def start(self) -> None:
        self._connection.recv()
        self._cells = 0
        self._started = time.perf_counter()

    def stop(self, result: Any = None) -> None:
        wait_for(self._device)
        seconds = time.perf_counter() - self._started
        self._connection.send(Lap(seconds, self._cells, result))


_HEAVY = ["accelerate", "pandas", "transformers.trainer", "transformers.models.bert"]

Way = Callable[[Any, Turn], None]  # the job, with `device` and `rounds`; a turn for each round


class Ways:
    """The processes, started at once so that they import while the parent prepares the job."""

    def __init__(self, ways: Mapping[str, Way]) -> None:
        # Imported once and forked, unless there is a GPU: CUDA does not survive a fork.
        context: Any = multiprocessing.get_context(
            "spawn" if torch.cuda.is_available() else "forkserver"
        )
        multiprocessing.set_forkserver_preload(_HEAVY)
        self._connections: dict[str, Connection] = {}
        for name, way in ways.items():
            ours, theirs = context.Pipe()
            context.Process(target=_work, args=(way, theirs), daemon=True).start()
            theirs.close()
            self._connections[name] = ours

    def run(self, job: Any, between: Callable[[], None] = lambda: None) -> dict[str, WayResult]:
        """All rounds of `job`; `between` is called before each counted one.

        Raises:
            SystemExit: a way failed; its traceback is on stderr.
        """
        results = {name: WayResult() for name in self._connections}
        for connection in self._connections.values():
            connection.send(job)
        for number in range(job.rounds):
            if number:
                between()
            names = list(results)
            for name in names if number % 2 else reversed(names):  # no way is always the first
                lap = self._lap(name)
                if number:
                    results[name].laps.append(lap)
        for name, result in results.items():
            result.peak_mib = self._connections[name].recv()
        return results

    def _lap(self, name: str) -> Lap:
        try:
            self._connections[name].send("go")
            return self._connections[name].recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            sys.exit(f"error: the way {name} failed; see its traceback above")


def _work(way: Way, connection: Connection) -> None:
    """The life of a process: one job, its turns, then the peak of its memory."""
    try:
        job = connection.recv()
        way(job, Turn(connection, job.device))
        connection.send(peak_memory(job.device))
    except EOFError:  # the parent has ended
        return
    except Exception:
        traceback.print_exc()
        sys.exit(1)
