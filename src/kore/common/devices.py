"""Where and in what precision a command computes."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs

from kore.common.changes import differences
from kore.common.errors import UserError
from kore.common.flags import AUTO, DeviceOptions

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h

# One process may read a large file while the others wait; a dead one is noticed by the launcher.
LONGEST_WAIT = timedelta(days=1)


def make_accelerator(options: DeviceOptions) -> Accelerator:
    """The device, precision and processes that the flags and `accelerate launch` ask for.

    Raises:
        UserError: `--use_cuda True` without a CUDA GPU, or fp16 on a processor.
    """
    has_cuda = torch.cuda.is_available()
    if options.use_cuda == "True" and not has_cuda:
        raise UserError("`use_cuda` True, but no CUDA GPU answers; pass `use_cuda` auto or False")
    on_gpu = has_cuda and options.use_cuda != "False"
    precision = options.precision
    if precision == AUTO:
        precision = "bf16" if _is_bf16_native(on_gpu) else "fp32"
    if precision == "fp16" and not on_gpu:
        raise UserError("`precision` fp16 needs a GPU; pass bf16, fp32 or auto")
    # accelerate keeps the first choice for the life of the process; a notebook may choose again.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(
        cpu=not on_gpu,
        mixed_precision={"fp32": "no"}.get(precision, precision),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=LONGEST_WAIT)],
    )


def keep_freed_memory() -> None:
    """Lets glibc keep memory that was freed, for the rest of the process; elsewhere does nothing.

    Every layer asks for the same large blocks again. By default each is given back to the system
    and comes anew as zeroed pages, see benchmarks/LOG.md.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)  # no block comes from the system by itself
        mallopt(_M_TRIM_THRESHOLD, -1)  # and none goes back


def hardware(accelerator: Accelerator) -> dict[str, Any]:
    """What beside the flags decides a run's numbers: it must be the same when a run is resumed."""
    return {
        "processes": accelerator.num_processes,
        "device": accelerator.device.type,
        "precision": accelerator.mixed_precision,
    }


def changed_hardware(before: Mapping[str, Any], accelerator: Accelerator) -> list[str]:
    """What differs from the `hardware` of a saved run, each told in a few words."""
    return differences(before, hardware(accelerator))


@contextmanager
def destroy_process_group_on_exit() -> Iterator[None]:
    """Leaves the group of several processes at the end, where there is one.

    Its threads would still run while the interpreter ends, and now and then abort it.
    """
    try:
        yield
    finally:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def make_deterministic() -> None:
    """Asks a GPU for kernels that give the same result every time; a processor's always do.

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
