"""Trains recipes with several seeds and writes a table of their scores.

    python src/tools/experiments.py --recipes origin_base_linear origin_large_linear --seeds 3

Every run is one of src/train.py; finished ones are kept, stopped ones gone on with.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

# Run as a script, Python puts only this folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import ExperimentOptions, parse_options
from errors import run_command


def main(arguments: Sequence[str] | None = None) -> None:
    description = "Train recipes with several seeds and compare them."
    options = parse_options(ExperimentOptions, arguments, description)
    from experiments_run import run_experiments  # torch takes seconds to import

    run_experiments(options)


if __name__ == "__main__":
    run_command(main)
