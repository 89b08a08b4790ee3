"""How long reading and encoding takes: medians over repetitions in one process.

    python benchmarks/bench_data.py --data_file train.csv

Ends with a table for people and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import mini
from config import RowOptions, TrainOptions
from dataset import InputEncoder
from marking import MarkerScheme, mark
from rows import read_examples

Result = TypeVar("Result")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data_file", required=True, type=Path, help="rows to read")
    parser.add_argument("--repeats", type=int, default=5, help="counted repetitions [5]")
    args = parser.parse_args()

    read_seconds, examples = timed(
        lambda: read_examples(args.data_file, RowOptions(), need_labels=False), args.repeats
    )
    types = {entity.type for row in examples for entity in (row.subject, row.object)}
    scheme = MarkerScheme(True, True, "punct", tuple(sorted(types)))
    texts = [mark(example, scheme).text for example in examples]
    learn_seconds, tokenizer = timed(
        lambda: mini.learn_tokenizer(texts, mini.SIZE.vocab_size), args.repeats
    )
    encoder = InputEncoder(tokenizer, scheme, TrainOptions.max_length)
    encode_seconds, _ = timed(lambda: encoder.encode(examples), args.repeats)

    seconds = {"read": read_seconds, "learn_vocabulary": learn_seconds, "encode": encode_seconds}
    print(f"{len(examples)} rows, medians of {args.repeats}")
    for name, value in seconds.items():
        print(f"{name:18} {value:7.2f} s  {len(examples) / value:10.0f} rows/s")
    print(json.dumps({"rows": len(examples), **seconds}))


def timed(work: Callable[[], Result], repeats: int) -> tuple[float, Result]:
    """Median seconds of `work` after one uncounted call, and its result."""
    result = work()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), result


if __name__ == "__main__":
    main()
