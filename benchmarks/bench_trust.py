"""What a hold-out score of `mini` is worth: plain, under other class shares, and its calibration.

    python benchmarks/bench_trust.py --data_file train.csv --work_dir DIR \\
        --target_prior src/tools/klue_dev_shares.json --unlabelled_file test_data.csv

Trains plain `mini` on 80 % of the sentences with several seeds, predicts the other 20 % and
scores them, all with the commands a user has. With `--unlabelled_file` the class shares of those
examples are estimated as well. Ends with a table for people and one line of JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import _path  # noqa: F401
import evaluation
import inference
import train
from mini_runs import best_epoch, make_parser, run_flags, split_by_sentence

ROWS = {
    "plain": ("micro_f1", "auprc"),
    "under the given shares": ("given_micro_f1", "given_auprc"),
    "under the estimated shares": ("estimated_micro_f1", "estimated_auprc"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--unlabelled_file", type=Path, help="examples whose shares are estimated")
    parser.add_argument("--num_epochs", help="of a run [6]")
    args = parser.parse_args(arguments)
    split_by_sentence(args.data_file, args.work_dir)
    results = [
        measure(args.work_dir, seed, args.num_epochs, args.target_prior, args.unlabelled_file)
        for seed in range(args.seeds)
    ]
    print("| hold-out | micro-F1 | AUPRC |\n|---|---|---|")
    for title, names in ROWS.items():
        if names[0] in results[0]:
            print(f"| {title} | {' | '.join(mean_and_sd(results, name) for name in names)} |")
    print(
        f"\ncalibration error {mean_and_sd(results, 'ece_uncalibrated')} before and "
        f"{mean_and_sd(results, 'ece')} after, temperature {mean_and_sd(results, 'temperature')}"
    )
    print(json.dumps(results))


def measure(
    work_dir: Path,
    seed: int,
    num_epochs: str | None,
    target_prior: Path | None,
    unlabelled_file: Path | None,
) -> dict[str, Any]:
    """Trains, predicts and scores with one seed; a stopped run is resumed."""
    run_name = f"seed{seed}"
    changes = {"num_epochs": num_epochs} if num_epochs else {}
    train.main(run_flags(work_dir, run_name, seed=str(seed), **changes))
    valid_file = work_dir / "valid_data.csv"
    predictions = predict(work_dir, run_name, valid_file)
    flags = ["--prediction_file", str(predictions), "--gold_file", str(valid_file)]
    flags += ["--resamples", "0", "--output_dir", str(work_dir / f"report-{run_name}")]
    given = scores(flags, *(["--target_prior", str(target_prior)] if target_prior else []))
    best = best_epoch(work_dir, run_name)
    found = {name: given[name] for name in ("micro_f1", "auprc", "ece")}
    found |= {name: best[name] for name in ("ece_uncalibrated", "temperature")}
    if target_prior:
        found |= {f"given_{name}": given["adjusted"][name] for name in ("micro_f1", "auprc")}
    if unlabelled_file:
        new = predict(work_dir, run_name, unlabelled_file)
        adjusted = scores(flags, "--target_prior", "estimate", "--unlabelled_file", str(new))
        estimated = adjusted["adjusted"]
        found |= {f"estimated_{name}": estimated[name] for name in ("micro_f1", "auprc")}
        found["estimated_no_relation"] = estimated["prior"]["no_relation"]
    return found


def predict(work_dir: Path, run_name: str, rows: Path) -> Path:
    """The predictions of a run for a file of examples."""
    name = f"{run_name}_{rows.stem}.csv"
    model_file = work_dir / "models" / f"{run_name}.pth"
    flags = ["--model_file", str(model_file), "--test_file", str(rows)]
    inference.main([*flags, "--output_dir", str(work_dir), "--output_name", name])
    return work_dir / name


def scores(flags: list[str], *more: str) -> dict[str, Any]:
    """The scores that src/evaluation.py writes; what it prints is left out."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.main([*flags, *more])
    folder = Path(flags[flags.index("--output_dir") + 1])
    return json.loads((folder / "scores.json").read_text(encoding="utf-8"))


def mean_and_sd(results: list[dict[str, Any]], name: str) -> str:
    values = [result[name] for result in results]
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {spread:.2f}"


if __name__ == "__main__":
    main()
