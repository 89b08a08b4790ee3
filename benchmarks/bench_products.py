"""How fast the matrix products of pretraining are: the bound of `pretrain.py`'s tokens a second.

    OMP_NUM_THREADS=1 python benchmarks/bench_products.py

A 6 x 256 encoder reads 64 x 128 tokens and predicts 30 % of them among 12,000. CPU seconds, so that
other programs disturb little; medians over repetitions; ends with a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence

import torch

from measuring import matrix_product_rate, table

TOKENS, MASKED = 8_192, 2_456
# rows x inner x columns of each product, and how often a pass through the encoder has it
PRODUCTS = {
    "query, key, value": (TOKENS, 256, 768, 6),
    "output of attention": (TOKENS, 256, 256, 6),
    "feed-forward, in": (TOKENS, 256, 1_024, 6),
    "feed-forward, out": (TOKENS, 512, 256, 6),
    "logits of the masked tokens": (MASKED, 256, 12_000, 1),
}
COLUMNS = ("GFLOP/s forward", "for the inputs' gradient", "for the weights' gradient")


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=15, help="counted repetitions [15]")
    repeats = parser.parse_args(arguments).repeats
    lines = []
    step_seconds = 0.0
    for name, (rows, inner, columns, times) in PRODUCTS.items():
        operations = 2e-9 * rows * inner * columns
        forward = seconds((rows, inner), (inner, columns), repeats)
        of_inputs = seconds((rows, columns), (columns, inner), repeats)
        of_weights = seconds((inner, rows), (rows, columns), repeats)
        step_seconds += times * (forward + of_inputs + of_weights)
        rates = (operations / taken for taken in (forward, of_inputs, of_weights))
        lines.append(dict(zip(("what", *COLUMNS), (name, *rates), strict=True)))
    large = matrix_product_rate(torch.device("cpu"), "bf16", repeats)
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, bf16; a large product: "
        f"{large:.0f} GFLOP/s\n"
    )
    print(table(lines, {"what": "", **dict.fromkeys(COLUMNS, ".0f")}))
    print(
        f"The layers' products and the logits of an optimizer step take {step_seconds:.2f} CPU "
        f"seconds: no more than {TOKENS / step_seconds:.0f} tokens a CPU second."
    )
    print(
        json.dumps(
            {"products": lines, "large": large, "tokens_per_cpu_second": TOKENS / step_seconds}
        )
    )


def seconds(first: tuple[int, int], second: tuple[int, int], repeats: int) -> float:
    """Median CPU seconds of a product of two random matrices, after one that is not counted."""
    one, other = (torch.randn(shape).bfloat16() for shape in (first, second))
    taken = []
    for _ in range(repeats + 1):
        started = time.process_time()
        one @ other
        taken.append(time.process_time() - started)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    main()
