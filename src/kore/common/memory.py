"""How the C library manages the memory of a process."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # seconds to import
    from torch import nn

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_SMALL_MODEL = 20_000_000  # weights


def keep_freed_memory() -> None:
    """Lets glibc keep freed memory for the rest of the process; elsewhere it does nothing.

    For commands only: in a host program the memory would never return to the system. Every layer
    allocates the same large blocks again. By default each is returned to the system and comes back
    as zeroed pages, see benchmarks/LOG.md.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)  # no block is mapped by itself
        mallopt(_M_TRIM_THRESHOLD, -1)  # and none is returned


def keep_freed_memory_for(model: nn.Module) -> None:
    """The same for prediction with `model`, if it is large.

    glibc keeps the blocks of a small one without being asked, in less memory.
    """
    if sum(weight.numel() for weight in model.parameters()) > _SMALL_MODEL:
        keep_freed_memory()
