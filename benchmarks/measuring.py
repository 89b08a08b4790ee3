"""Clocks, memory, arithmetic, and the table that the benchmarks end with."""

from __future__ import annotations

import re
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from workload import Shape

_PRODUCT_SIZES = {"cpu": 2_048, "cuda": 8_192}  # large enough that starting it costs nothing
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def wait_for(device: torch.device) -> None:
    """Returns once the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_product_rate(device: torch.device, precision: str, repeats: int = 3) -> float:
    """GFLOP/s of a large matrix product, the median after one uncounted."""
    size = _PRODUCT_SIZES.get(device.type, 2_048)
    matrix = torch.randn(size, size, device=device).to(_DTYPES[precision])
    seconds = []
    for _ in range(1 + repeats):
        wait_for(device)
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        wait_for(device)
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / statistics.median(seconds[1:]) / 1e9


def encoder_flops(shape: Shape, lengths: Sequence[int], is_training: bool) -> int:
    """Floating-point operations of the encoder over rows of `lengths` tokens, without padding.

    A product of (m, k) and (k, n) counts 2mkn; the linear layers and both products of the
    attention count, nothing else. The backward pass is twice the forward pass.
    """
    weights = 4 * shape.hidden_size**2 + 2 * shape.hidden_size * shape.inner_size
    linear = 2 * weights * sum(lengths)
    attention = 4 * shape.hidden_size * sum(length**2 for length in lengths)
    return shape.num_layers * (linear + attention) * (3 if is_training else 1)


def peak_memory(device: torch.device) -> float:
    """MiB: the most this process has held in memory, or on its GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # getrusage starts from what the parent held
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times faster than they we are: the median over rounds of their seconds by ours.

    What slows a machine for a while slows both halves of a round's ratio.
    """
    return statistics.median(their / our for our, their in zip(ours, theirs, strict=True))


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Rows as a Markdown table; `columns` names the key and the format of each: {"x": ".1f"}."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        cells = [format(row[key], form) if key in row else "-" for key, form in columns.items()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
