"""Scores a file of predictions: `python src/evaluation.py --help`."""

from __future__ import annotations

from collections.abc import Sequence

from config import EvaluationOptions, parse_options
from errors import UserError, run_command


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_options(EvaluationOptions, arguments, "Score predictions against gold labels.")
    for flag in ("prediction_file", "gold_file"):
        if not getattr(options, flag):
            raise UserError(f"--{flag} is missing: name the file")
    # scikit-learn and matplotlib take seconds to import, --help should not wait for them.
    from report import report

    report(options)


if __name__ == "__main__":
    run_command(main)
