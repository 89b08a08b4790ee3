"""Does the cost of prediction grow linearly? Seconds and memory for more and more examples.

    python benchmarks/bench_scale.py --model_file models/NAME.pth --data_file train.csv

Repeats the examples of `--data_file` under new ids, and runs src/inference.py on them as a user
does, a process each time. Memory is the highest sum over the command's
processes of what each holds alone plus its share of what they share (PSS). Ends with a
table, a picture (`--figure`) and one line of JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from matplotlib.figure import Figure

import _path  # noqa: F401
from kore.common.files import csv_writer
from kore.data.records import iter_records

INFERENCE = Path(__file__).resolve().parents[1] / "src" / "inference.py"
COLUMNS = ["sentence", "subject_entity", "object_entity"]
SECONDS_BETWEEN_LOOKS = 0.5


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model_file", required=True, type=Path, help="a checkpoint")
    parser.add_argument("--data_file", required=True, type=Path, help="examples to repeat")
    parser.add_argument("--rows", nargs="+", type=int, default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--figure", type=Path, help="PNG to write")
    parser.add_argument("--quick", action="store_true", help="100 and 1,000 examples: does it run?")
    args = parser.parse_args(arguments)
    sizes = [100, 1_000] if args.quick else args.rows

    results = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            test_file = Path(folder) / "rows.csv"
            write_rows(args.data_file, test_file, rows)
            seconds, mib = measure(args.model_file, test_file, Path(folder))
        results.append({"rows": rows, "seconds": seconds, "mib": mib})
        print(f"{rows:>9} rows {seconds:8.1f} s {rows / seconds:8.0f} rows/s {mib:7.0f} MiB")
    if args.figure:
        draw(results, args.figure)
    print(json.dumps(results))


def write_rows(source: Path, target: Path, num_rows: int) -> None:
    """The rows of `source`, over and over, each with a new id."""
    records = [record for _, record in iter_records(source)]
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv_writer(file)
        writer.writerow(["id", *COLUMNS])
        for number, record in enumerate(itertools.islice(itertools.cycle(records), num_rows)):
            writer.writerow([number, *(record[column] for column in COLUMNS)])


def measure(model_file: Path, test_file: Path, folder: Path) -> tuple[float, float]:
    """Seconds of the whole command, and the most MiB its processes held together."""
    command = [sys.executable, str(INFERENCE), "--model_file", str(model_file)]
    command += ["--test_file", str(test_file), "--output_dir", str(folder)]
    started = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    most = 0
    while process.poll() is None:
        most = max(most, held_bytes(process))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(process.stderr.read().decode())
    return seconds, most / 2**20


def held_bytes(process: psutil.Process) -> int:
    """PSS of a process and all it started."""
    held = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            held += member.memory_full_info().pss
        except psutil.Error:  # it has just ended
            continue
    return held


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Rows against seconds and against MiB, rows and seconds on logarithmic axes."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    time_axes, memory_axes = figure.subplots(1, 2)
    rows = [result["rows"] for result in results]
    time_axes.loglog(rows, [result["seconds"] for result in results], marker="o")
    time_axes.set(xlabel="rows", ylabel="seconds", title="time")
    memory_axes.semilogx(rows, [result["mib"] for result in results], marker="o")
    memory_axes.set(xlabel="rows", ylabel="MiB", title="memory, all processes", ylim=(0, None))
    for axes in (time_axes, memory_axes):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
