"""Freed memory is kept for commands, and for nobody else."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from kore.common import memory
from kore.common.memory import keep_freed_memory_for
from kore.common.resources import python_path
from kore.prediction.predictor import prepared

_FEWEST_FAULTS_OF_A_BLOCK = """
import resource
import torch
from kore.common.memory import keep_freed_memory

def faults_of_a_block() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(2**26, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if {keep}:
    keep_freed_memory()
print(min(faults_of_a_block() for _ in range(8)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_freed_memory_is_kept() -> None:
    """Blocks of 64 MiB come without a page from the system; by default all pages do, every time.

    The first ones may not: what lies between two blocks decides whether the next one fits. So does
    where the system has put the heap, which it draws anew for every process: in one of three none
    fits. Without the setting, none ever does.
    """

    def faults(keep: bool) -> int:
        code = _FEWEST_FAULTS_OF_A_BLOCK.format(keep=keep)
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    by_default = faults(keep=False)
    assert any(faults(keep=True) < 0.1 * by_default for _ in range(10))


@pytest.mark.parametrize(("width", "times"), [(100, 0), (4500, 1)])
def test_only_a_large_model_needs_it(monkeypatch, width, times) -> None:
    """4500 * 4500 weights and 4500 biases are 20,254,500."""
    calls: list[None] = []
    monkeypatch.setattr(memory, "keep_freed_memory", lambda: calls.append(None))
    with torch.device("meta"):
        keep_freed_memory_for(nn.Linear(width, width))
    assert len(calls) == times


def test_a_library_call_leaves_the_allocator_alone(monkeypatch) -> None:
    calls: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *settings: calls.append(settings))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    with torch.device("meta"):
        trained = SimpleNamespace(model=nn.Linear(4500, 4500))
    prepared(trained, SimpleNamespace(device=torch.device("meta")))  # type: ignore[arg-type]
    assert calls == []
    memory.keep_freed_memory()  # what commands call
    assert len(calls) == (2 if sys.platform == "linux" else 0)
