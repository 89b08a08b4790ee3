"""Ablations of plain `mini`: trains it with one part off at a time.

    python benchmarks/bench_parts.py --data_file train.csv --work_dir /tmp/parts --seeds 3

Examples are split 80/20 by sentence; every variant and seed is a run of src/train.py on the same
split. Finished runs are kept, so the command can be stopped and repeated. Ends with a
table for people and one line of JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from _path import SOURCE
from mini_runs import SCORES, best_scores, make_parser, run_flags, split_by_sentence

VARIANTS: dict[str, dict[str, str]] = {
    "mini": {},
    "without markers": {"use_entity_markers": "False"},
    "without types": {"use_entity_types": "False"},
    "[CLS] pooling": {"use_span_pooling": "False"},
    "cross-entropy": {"focal_loss": "False", "label_smoothing": "0"},
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, prior=False)
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time [1]")
    args = parser.parse_args(arguments)
    split_by_sentence(args.data_file, args.work_dir)
    runs = [(name, seed) for seed in range(args.seeds) for name in VARIANTS]
    threads = max(1, (os.cpu_count() or 1) // args.jobs)
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda run: train(run[0], run[1], args.work_dir, threads), runs))
    rows = [summary(name, results) for name in VARIANTS]
    print(table(rows, threads))
    print(json.dumps({"threads": threads, "variants": rows}, ensure_ascii=False))


def train(name: str, seed: int, work_dir: Path, threads: int) -> dict[str, Any]:
    """One run, or its kept result: best scores, minutes and peak memory in MiB."""
    run_name = f"{name.replace(' ', '_')}-seed{seed}"
    result_file = work_dir / f"{run_name}.json"
    if result_file.exists():
        return json.loads(result_file.read_text())
    flags = run_flags(work_dir, run_name, seed=str(seed), **VARIANTS[name])
    command = [sys.executable, str(SOURCE / "train.py"), *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    started = time.monotonic()
    with (work_dir / f"{run_name}.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{run_name} failed, see {log.name}")
    result = {
        "variant": name,
        "seed": seed,
        **best_scores(work_dir, run_name),
        "minutes": (time.monotonic() - started) / 60,
        "peak_mib": usage.ru_maxrss / 1024,
    }
    result_file.write_text(json.dumps(result))
    return result


def summary(name: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds, median minutes, largest memory."""
    own = [result for result in results if result["variant"] == name]
    row: dict[str, Any] = {"variant": name, "seeds": len(own)}
    for metric in SCORES:
        values = [result[metric] for result in own]
        row[metric] = statistics.mean(values)
        row[f"{metric}_sd"] = statistics.stdev(values) if len(values) > 1 else 0.0
    row["minutes"] = statistics.median(result["minutes"] for result in own)
    row["peak_mib"] = max(result["peak_mib"] for result in own)
    return row


def table(rows: list[dict[str, Any]], threads: int) -> str:
    """The summaries as a Markdown table."""
    lines = [
        f"| variant | micro-F1 | AUPRC | minutes on {threads} core(s) | peak MiB |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['variant']} | {row['micro_f1']:.2f} ± {row['micro_f1_sd']:.2f} "
        f"| {row['auprc']:.2f} ± {row['auprc_sd']:.2f} | {row['minutes']:.1f} "
        f"| {row['peak_mib']:.0f} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
