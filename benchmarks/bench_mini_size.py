"""How large `mini` should be, and how fast it should learn: one run for each size and rate.

    python benchmarks/bench_mini_size.py --data_file train.csv --work_dir /tmp/sizes \
        --sizes 1x192 1x256 2x192 --learning_rates 5e-4 1e-3 2e-3

Sizes are layers x width. Examples are split 80/20 by sentence. Ends with a table for people and
one line of JSON.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import _path  # noqa: F401
import train
from kore.network import mini
from mini_runs import best_scores, make_parser, run_flags, split_by_sentence


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, prior=False, seeds=False)
    parser.add_argument("--sizes", nargs="+", default=["1x192"], help="LAYERSxWIDTH ...")
    parser.add_argument("--learning_rates", nargs="+", default=["1e-3"], help="peak rates")
    args = parser.parse_args(arguments)
    split_by_sentence(args.data_file, args.work_dir)
    rows = [
        measure(size, rate, args.work_dir) for size in args.sizes for rate in args.learning_rates
    ]
    print("| layers x width | learning rate | micro-F1 | AUPRC | minutes |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['size']} | {row['learning_rate']} | {row['micro_f1']:.2f} "
            f"| {row['auprc']:.2f} | {row['minutes']:.1f} |"
        )
    print(json.dumps(rows))


def measure(size: str, learning_rate: str, work_dir: Path) -> dict[str, Any]:
    """Trains `mini` at that size; the best epoch's scores."""
    layers, width = (int(number) for number in size.split("x"))
    mini.SIZE = mini.MiniSize(num_layers=layers, hidden_size=width)
    run_name = f"{size}-{learning_rate}"
    started = time.monotonic()
    train.main(run_flags(work_dir, run_name, learning_rate=learning_rate))
    minutes = (time.monotonic() - started) / 60
    scores = best_scores(work_dir, run_name)
    return {"size": size, "learning_rate": learning_rate, **scores, "minutes": minutes}


if __name__ == "__main__":
    main()
