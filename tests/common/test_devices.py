"""Device and precision as the flags ask; accelerate is replaced where it would need a GPU."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from kore.common import devices
from kore.common.devices import destroy_process_group_on_exit, make_accelerator, make_deterministic
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions


@pytest.fixture
def machine(monkeypatch):
    """Sets what the machine has; `make_accelerator` then returns the arguments it decided on."""

    def has(cuda: bool, bf16_gpu: bool = False, bf16_processor: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **flags: bf16_gpu)
        names = {"avx2": True, "avx512_bf16": bf16_processor}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: names)

    monkeypatch.setattr(devices, "Accelerator", lambda **arguments: arguments)
    return has


def decided(**flags: Any) -> Any:
    return make_accelerator(DeviceOptions(**flags))


@pytest.mark.parametrize(
    ("use_cuda", "cuda", "on_cpu"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("True", True, False),
        ("False", True, True),
        ("False", False, True),
    ],
)
def test_device(machine, use_cuda, cuda, on_cpu):
    machine(cuda)
    assert decided(use_cuda=use_cuda, precision="fp32")["cpu"] is on_cpu


def test_cuda_that_is_not_there_ends_in_a_sentence(machine):
    machine(cuda=False)
    with pytest.raises(UserError, match="--use_cuda True, but no CUDA GPU answers"):
        decided(use_cuda="True")


@pytest.mark.parametrize(
    ("use_cuda", "has", "expected"),
    [
        ("auto", {"cuda": True, "bf16_gpu": True}, "bf16"),
        ("auto", {"cuda": True, "bf16_gpu": False, "bf16_processor": True}, "no"),
        ("auto", {"cuda": False, "bf16_processor": True}, "bf16"),
        ("auto", {"cuda": False, "bf16_processor": False}, "no"),
        # What computes is the processor, whatever the GPU could do.
        ("False", {"cuda": True, "bf16_gpu": True, "bf16_processor": False}, "no"),
        ("False", {"cuda": True, "bf16_gpu": False, "bf16_processor": True}, "bf16"),
    ],
)
def test_auto_precision_is_bf16_where_it_is_native(machine, use_cuda, has, expected):
    machine(**has)
    assert decided(use_cuda=use_cuda)["mixed_precision"] == expected


@pytest.mark.parametrize(("flag", "expected"), [("fp32", "no"), ("bf16", "bf16"), ("fp16", "fp16")])
def test_a_named_precision_is_kept(machine, flag, expected):
    machine(cuda=True, bf16_gpu=True, bf16_processor=True)
    assert decided(precision=flag)["mixed_precision"] == expected


@pytest.mark.parametrize(("use_cuda", "cuda"), [("auto", False), ("False", True)])
def test_fp16_needs_a_gpu(machine, use_cuda, cuda):
    machine(cuda)
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        decided(use_cuda=use_cuda, precision="fp16")


def test_a_process_may_choose_again():
    for precision, expected in (("fp32", "no"), ("bf16", "bf16"), ("fp32", "no")):
        accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision=precision))
        assert accelerator.device.type == "cpu"
        assert accelerator.mixed_precision == expected


@pytest.mark.parametrize("cuda", [True, False])
def test_deterministic_kernels_are_asked_of_a_gpu(monkeypatch, cuda):
    asked: list[bool] = []
    environment: dict[str, str] = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda mode, **_: asked.append(mode))
    monkeypatch.setattr(os, "environ", environment)
    make_deterministic()
    assert asked == ([True] if cuda else [])
    assert environment == ({"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} if cuda else {})


_FEWEST_FAULTS_OF_A_BLOCK = """
import resource, sys
sys.path.insert(0, {source!r})
import torch
from kore.common.devices import keep_freed_memory

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

    The first ones may not: what lies between two blocks decides whether the next one fits.
    """

    def faults(keep: bool) -> int:
        code = _FEWEST_FAULTS_OF_A_BLOCK.format(
            source=str(Path(devices.__file__).parent), keep=keep
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert faults(keep=True) < 0.1 * faults(keep=False)


def test_process_group_is_left_whatever_happens(tmp_path: Path) -> None:
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    with pytest.raises(UserError), destroy_process_group_on_exit():
        raise UserError("stop")
    assert not torch.distributed.is_initialized()
    with destroy_process_group_on_exit():  # nothing to leave
        pass
