"""KoRE's attention, dropout and BiLSTM, each beside torch's own.

    python benchmarks/bench_kernels.py

Shapes are those of a base encoder on a batch of 16 KLUE-RE examples: 63 tokens, 12 heads of 64.
The BiLSTM has the width of `mini` and 32 examples. All in one process, medians over repetitions
that take turns; ends with a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import rnn

import _path  # noqa: F401
from kore.network import attention
from kore.network.dropout import dropout
from kore.network.model import BiLSTM
from measuring import table

ROWS, TOKENS, HEADS, SIZE = 16, 63, 12, 64
WIDTH = 192
PROBABILITY = 0.1
Work = Callable[[], object]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=31, help="counted repetitions [31]")
    parser.add_argument("--quick", action="store_true", help="three repetitions: does it run?")
    args = parser.parse_args(arguments)
    lines = []
    for name, (torch_way, our_way) in pairs().items():
        theirs, ours = alternate(torch_way, our_way, 3 if args.quick else args.repeats)
        lines.append({"what": name, "torch_ms": theirs, "ours_ms": ours, "ratio": theirs / ours})
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print(table(lines, {"what": "", "torch_ms": ".2f", "ours_ms": ".2f", "ratio": ".2f"}))
    print(json.dumps(lines))


def pairs() -> dict[str, tuple[Work, Work]]:
    """Name -> (torch's way, ours)."""
    states = [
        torch.randn(ROWS, TOKENS, HEADS, SIZE, dtype=torch.bfloat16, requires_grad=True)
        for _ in range(3)
    ]
    hidden = torch.randn(ROWS, TOKENS, HEADS * SIZE, dtype=torch.bfloat16, requires_grad=True)
    mask = torch.ones(ROWS, TOKENS, dtype=torch.bool)

    def kernel(probability: float) -> Tensor:
        query, key, value = (part.transpose(1, 2) for part in states)
        attended = functional.scaled_dot_product_attention(
            query, key, value, mask[:, None, None, :], dropout_p=probability
        )
        return attended.transpose(1, 2)

    def written_out(probability: float) -> Tensor:
        query, key, value = states
        return attention.attend(query, key, value, attention.Padded(mask), probability)

    torchs = torch.nn.LSTM(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)
    ours = BiLSTM(WIDTH, WIDTH // 2)
    read = torch.randn(2 * ROWS, TOKENS, WIDTH, requires_grad=True)
    lengths = torch.randint(TOKENS - 4, TOKENS + 1, (2 * ROWS,))

    def packed() -> Tensor:
        rows = rnn.pack_padded_sequence(read, lengths, batch_first=True, enforce_sorted=False)
        return rnn.pad_packed_sequence(torchs(rows)[0], batch_first=True)[0]

    return {
        "attention with dropout, forward and backward": (
            lambda: backward(kernel(PROBABILITY)),
            lambda: backward(written_out(PROBABILITY)),
        ),
        "attention without dropout, forward and backward": (
            lambda: backward(kernel(0.0)),
            lambda: backward(written_out(0.0)),
        ),
        "attention written out, forward alone": (
            torch.no_grad()(lambda: kernel(0.0)),
            lambda: written_out(0.0).detach(),
        ),
        "dropout, forward and backward": (
            lambda: backward(functional.dropout(hidden, PROBABILITY)),
            lambda: backward(dropout(hidden, PROBABILITY)),
        ),
        "BiLSTM over rows with padding, forward and backward": (
            lambda: backward(packed()),
            lambda: backward(ours(read, lengths)),
        ),
    }


def backward(output: Tensor) -> None:
    output.backward(torch.ones_like(output))


def alternate(one: Work, other: Work, repeats: int) -> tuple[float, float]:
    """Median milliseconds of both, which take turns after an uncounted call each."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 1):
        for times, work in zip(seconds, (one, other), strict=True):
            started = time.perf_counter()
            work()
            if repeat:
                times.append(time.perf_counter() - started)
    first, second = (1000 * statistics.median(times) for times in seconds)
    return first, second


if __name__ == "__main__":
    main()
