"""What the benchmarks of `mini` share: the split, the flags of a run, its best epoch."""

from __future__ import annotations

import csv
from pathlib import Path

import _path  # noqa: F401
import prepare_data

RECIPE_FILE = Path(__file__).with_name("technique_base.json")
SOURCE = Path(__file__).resolve().parents[1] / "src"
SCORES = ("micro_f1", "auprc", "accuracy")


def split_by_sentence(data_file: Path, work_dir: Path) -> None:
    """train_data.csv and valid_data.csv in `work_dir`, 80/20 by sentence; made once."""
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
