"""On which device, in which precision and in how many processes a command computes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.utils import InitProcessGroupKwargs

from kore.common.errors import UserError
from kore.common.flags import AUTO, DeviceOptions

# One process may read a large file while the others wait; the launcher notices one that died.
LONGEST_WAIT = timedelta(days=1)


_STATES = (AcceleratorState, PartialState, GradientState)
_STATES_LOCK = threading.RLock()


class OwnAccelerator(Accelerator):
    """An `Accelerator` whose device, precision and gradient state are its own.

    accelerate keeps one of each for the whole process, which the first Accelerator decides. This
    one may be made beside that of a host program, which stays as it is, and beside earlier ones.
    """

    def __init__(self, **settings: Any) -> None:
        self._own_states: list[dict[str, Any]] = [{} for _ in _STATES]
        with self._own_states_current():
            super().__init__(**settings)

    def prepare(self, *args: Any, **settings: Any) -> Any:
        with self._own_states_current():  # a prepared optimizer looks them up
            return super().prepare(*args, **settings)

    @contextmanager
    def _own_states_current(self) -> Iterator[None]:
        with _STATES_LOCK:
            before = [kind._shared_state for kind in _STATES]
            _share(self._own_states)
            try:
                yield
            finally:
                if before[0]:  # else this is the first of the process
                    _share(before)


def make_accelerator(options: DeviceOptions) -> Accelerator:
    """The device, precision and processes that the options and `accelerate launch` ask for.

    Raises:
        UserError: `use_cuda` True without a CUDA GPU, or fp16 on a CPU.
    """
    has_cuda = torch.cuda.is_available()
    if options.use_cuda == "True" and not has_cuda:
        raise UserError("`use_cuda` True, but no CUDA GPU was found; pass `use_cuda` auto or False")
    on_gpu = has_cuda and options.use_cuda != "False"
    precision = options.precision
    if precision == AUTO:
        precision = "bf16" if _is_bf16_native(on_gpu) else "fp32"
    if precision == "fp16" and not on_gpu:
        raise UserError("`precision` fp16 needs a GPU; pass bf16, fp32 or auto")
    return OwnAccelerator(
        cpu=not on_gpu,
        mixed_precision={"fp32": "no"}.get(precision, precision),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=LONGEST_WAIT)],
    )


def _share(states: list[dict[str, Any]]) -> None:
    for kind, state in zip(_STATES, states, strict=True):
        kind._shared_state = state


def hardware(accelerator: Accelerator) -> dict[str, Any]:
    """What beside the options decides a run's numbers, as part of its `Manifest`."""
    return {
        "the number of processes": accelerator.num_processes,
        "the device": accelerator.device.type,
        "the precision": accelerator.mixed_precision,
    }


@contextmanager
def destroy_process_group_on_exit() -> Iterator[None]:
    """Destroys the group of several processes at the end, where there is one.

    Its threads would still run while the interpreter exits, and sometimes abort it.
    """
    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def make_deterministic() -> None:
    """Chooses GPU kernels that give the same result every time; those of a CPU always do.

    Where a GPU kernel has no such variant, torch warns and takes the one there is.
    """
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _is_bf16_native(on_gpu: bool) -> bool:
    if on_gpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
