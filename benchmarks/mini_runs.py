"""What the benchmarks of `mini` share: flags, the split, the flags of a run, its best epoch."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import _path  # noqa: F401
import prepare_data
from kore.common.resources import find_file

RECIPE_FILE = Path(__file__).with_name("technique_base.json")
SCORES = ("micro_f1", "auprc", "accuracy")


def make_parser(doc: str | None, prior: bool = True, seeds: bool = True) -> argparse.ArgumentParser:
    """A parser with the flags that benchmarks of `mini` share; `doc` begins with what it is for."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    add = parser.add_argument
    add("--data_file", required=True, type=Path, help="all labelled examples")
    add("--work_dir", required=True, type=Path, help="folder for data and runs")
    if prior:
        add("--target_prior", type=find_file, help="JSON of class shares to score under as well")
    if seeds:
        add("--seeds", type=int, default=3, help="runs of each variant [3]")
    return parser


def split_by_sentence(data_file: Path, work_dir: Path) -> None:
    """Writes train_data.csv and valid_data.csv to `work_dir`, 80/20 by sentence, once."""
    if not (work_dir / "valid_data.csv").exists():
        prepare_data.main(["--input_file", str(data_file), "--data_dir", str(work_dir)])


def run_flags(work_dir: Path, run_name: str, **changes: str) -> list[str]:
    """Flags of src/train.py: plain `mini` for six epochs, changed; a stopped run is resumed."""
    flags = {
        "recipe": str(RECIPE_FILE),
        "num_epochs": "6",
        "train_file": str(work_dir / "train_data.csv"),
        "valid_file": str(work_dir / "valid_data.csv"),
        "model_dir": str(work_dir / "models"),
        "run_name": run_name,
        "resume": "True",
        **changes,
    }
    return [text for name, value in flags.items() for text in (f"--{name}", value)]


def best_epoch(work_dir: Path, run_name: str) -> dict[str, float]:
    """The log's row of the epoch that was kept, the one with the highest micro-F1."""
    with (work_dir / "models" / run_name / "log.csv").open(encoding="utf-8") as file:
        best = max(csv.DictReader(file), key=lambda row: float(row["micro_f1"]))
    return {name: float(value) for name, value in best.items()}


def best_scores(work_dir: Path, run_name: str) -> dict[str, float]:
    """Its scores alone."""
    best = best_epoch(work_dir, run_name)
    return {name: best[name] for name in SCORES}
