"""Device and precision as the options ask; accelerate is replaced where it would need a GPU."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState

from kore.common import devices
from kore.common.devices import destroy_process_group_on_exit, make_accelerator, make_deterministic
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions


@pytest.fixture
def machine(monkeypatch):
    """Sets what the machine has; `make_accelerator` then returns the arguments it decided on."""

    def has(cuda: bool, bf16_gpu: bool = False, bf16_cpu: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **flags: bf16_gpu)
        names = {"avx2": True, "avx512_bf16": bf16_cpu}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: names)

    monkeypatch.setattr(devices, "OwnAccelerator", lambda **arguments: arguments)
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


def test_cuda_that_is_missing_ends_in_a_sentence(machine):
    machine(cuda=False)
    with pytest.raises(UserError, match="`use_cuda` True, but no CUDA GPU was found"):
        decided(use_cuda="True")


@pytest.mark.parametrize(
    ("use_cuda", "has", "expected"),
    [
        ("auto", {"cuda": True, "bf16_gpu": True}, "bf16"),
        ("auto", {"cuda": True, "bf16_gpu": False, "bf16_cpu": True}, "no"),
        ("auto", {"cuda": False, "bf16_cpu": True}, "bf16"),
        ("auto", {"cuda": False, "bf16_cpu": False}, "no"),
        # The CPU computes, whatever the GPU could do.
        ("False", {"cuda": True, "bf16_gpu": True, "bf16_cpu": False}, "no"),
        ("False", {"cuda": True, "bf16_gpu": False, "bf16_cpu": True}, "bf16"),
    ],
)
def test_auto_precision_is_bf16_where_it_is_native(machine, use_cuda, has, expected):
    machine(**has)
    assert decided(use_cuda=use_cuda)["mixed_precision"] == expected


@pytest.mark.parametrize(("flag", "expected"), [("fp32", "no"), ("bf16", "bf16"), ("fp16", "fp16")])
def test_a_named_precision_is_kept(machine, flag, expected):
    machine(cuda=True, bf16_gpu=True, bf16_cpu=True)
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


def accelerate_of_a_host() -> Accelerator:
    """What a program that uses KoRE has: another precision, and gradients of four batches."""
    return Accelerator(cpu=True, mixed_precision="bf16", gradient_accumulation_steps=4)


@pytest.fixture
def no_accelerator(monkeypatch):
    """A process that has made no Accelerator yet."""
    for kind in (AcceleratorState, PartialState, GradientState):
        monkeypatch.setattr(kind, "_shared_state", {})


def test_an_accelerator_of_the_host_program_stays_as_it_is(no_accelerator) -> None:
    host = accelerate_of_a_host()
    model = torch.nn.Linear(2, 2)
    own = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    assert own.mixed_precision == "no"
    assert own.gradient_accumulation_steps == 1
    assert host.mixed_precision == "bf16"
    assert host.device.type == "cpu"
    assert host.gradient_accumulation_steps == 4
    # What the host prepares later is the host's too.
    optimizer = host.prepare(torch.optim.SGD(model.parameters(), lr=0.1))
    assert optimizer.gradient_state.num_steps == 4
    assert AcceleratorState().mixed_precision == "bf16"


def test_an_optimizer_of_ours_steps_while_the_host_gathers_gradients(no_accelerator) -> None:
    host = accelerate_of_a_host()
    own = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    with host.accumulate(torch.nn.Linear(1, 1)):  # the first of four batches: no step yet
        optimizer = own.prepare(torch.optim.SGD([weight], lr=0.5))
        weight.grad = torch.tensor([1.0])
        optimizer.step()
    assert weight.item() == 0.5  # 1 - 0.5 * 1


def test_accelerators_of_many_threads_keep_what_each_asked_for(no_accelerator) -> None:
    host = accelerate_of_a_host()
    precisions = ["fp32", "bf16"] * 20

    def made(precision: str) -> str:
        options = DeviceOptions(use_cuda="False", precision=precision)
        return str(make_accelerator(options).mixed_precision)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(made, precisions))
    assert found == ["no", "bf16"] * 20
    assert AcceleratorState().mixed_precision == host.mixed_precision == "bf16"


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


def test_process_group_is_left_whatever_happens(tmp_path: Path) -> None:
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    with pytest.raises(UserError), destroy_process_group_on_exit():
        raise UserError("stop")
    assert not torch.distributed.is_initialized()
    with destroy_process_group_on_exit():  # nothing to leave
        pass
