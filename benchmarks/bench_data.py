"""How long reading and encoding take, beside a plain script that goes example by example.

    python benchmarks/bench_data.py --data_file train.csv --vocab_dir VOCAB
    python benchmarks/bench_data.py --quick

The plain way reads with pandas, parses every entity cell as a Python literal, and tokenizes one
example at a time, padded to 160 tokens. Both ways take turns; learning a vocabulary has no plain
counterpart. Ends with a table for people and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

import _path  # noqa: F401
from alternation import Turn, Way, Ways
from kore.data.dataset import InputEncoder
from kore.data.markers import MarkerScheme, mark
from kore.data.records import write_examples
from kore.data.rows import read_examples
from kore.data.schema import Example
from kore.network import mini
from measuring import median_ratio, table
from plain_rows import read_plainly, tokenize_row
from workload import MAX_LENGTH, make_tokenizer, read_rows

STAGES = ("read", "encode")


@dataclass(frozen=True)
class DataJob:
    """The work of both processes."""

    data_file: Path
    tokenizer: PreTrainedTokenizerBase
    scheme: MarkerScheme
    rounds: int
    device: torch.device


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data_file", type=Path, help="examples to read, a CSV [generated ones]")
    add("--vocab_dir", type=Path, help="folder with a vocab.txt [a vocabulary is learned]")
    add("--rows", type=int, help="most examples [all, with --quick 4000]")
    add("--repeats", type=int, help="counted repetitions [5, with --quick 3]")
    add("--quick", action="store_true", help="ends within 50 seconds on two cores")
    args = parser.parse_args(arguments)
    ways = Ways(WAYS)
    examples, scheme = read_rows(args.data_file)
    examples = examples[: args.rows or (4_000 if args.quick else len(examples))]
    repeats = args.repeats or (3 if args.quick else 5)
    texts = [mark(example, scheme).text for example in examples]
    learning = timed(lambda: mini.learn_tokenizer(texts, mini.SIZE.vocab_size), repeats)
    tokenizer = make_tokenizer("mini", args.vocab_dir, texts)
    with tempfile.TemporaryDirectory() as folder:
        data_file = Path(folder) / "rows.csv"  # the same format for both, whatever was given
        write_examples(data_file, examples)
        job = DataJob(data_file, tokenizer, scheme, 1 + repeats, torch.device("cpu"))
        results = ways.run(job)
    seconds = {
        way: {stage: [lap.result[stage] for lap in result.laps] for stage in STAGES}
        for way, result in results.items()
    }
    rows = [
        {
            "way": way,
            "stage": stage,
            "seconds": statistics.median(found[stage]),
            "rows_per_second": len(examples) / statistics.median(found[stage]),
            "x_plain": median_ratio(found[stage], seconds["plain"][stage]),
            "peak_mib": results[way].peak_mib,
        }
        for way, found in seconds.items()
        for stage in STAGES
    ]
    rows.append(
        {
            "way": "kore",
            "stage": "learn_vocabulary",
            "seconds": learning,
            "rows_per_second": len(examples) / learning,
        }
    )
    _print(rows, len(examples), repeats)


def _print(rows: list[dict], num_rows: int, repeats: int) -> None:
    print(f"data: {num_rows} rows, medians of {repeats}\n")
    forms = {"way": "", "stage": "", "seconds": ".2f", "rows_per_second": ".0f"}
    print(table(rows, {**forms, "x_plain": ".2f", "peak_mib": ".0f"}))
    print(json.dumps({"benchmark": "data", "rows": num_rows, "repeats": repeats, "stages": rows}))


def process_plainly(job: DataJob, turn: Turn) -> None:
    """Example by example."""
    _process(
        job,
        turn,
        read=lambda: read_plainly(job.data_file),
        encode=lambda rows: [tokenize_row(row, job.tokenizer, job.scheme) for row in rows],
    )


def process_with_kore(job: DataJob, turn: Turn) -> None:
    """As every command does."""
    encoder = InputEncoder(job.tokenizer, job.scheme, MAX_LENGTH)
    _process(
        job,
        turn,
        read=lambda: read_examples(job.data_file),
        encode=encoder.encode,
    )


def _process(
    job: DataJob,
    turn: Turn,
    read: Callable[[], list[Example]],
    encode: Callable[[list[Example]], object],
) -> None:
    """A turn reads and encodes, and reports the seconds of each."""
    for _ in range(job.rounds):
        turn.start()
        started = time.perf_counter()
        examples = read()
        have_read = time.perf_counter()
        encode(examples)
        turn.stop({"read": have_read - started, "encode": time.perf_counter() - have_read})


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median seconds of `work` after one uncounted call."""
    seconds = []
    for _ in range(1 + repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


WAYS: dict[str, Way] = {"plain": process_plainly, "kore": process_with_kore}

if __name__ == "__main__":
    main()
