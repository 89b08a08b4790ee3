"""Predicts relations: `python src/inference.py --help`."""

from __future__ import annotations

from collections.abc import Sequence

from config import InferenceOptions, parse_options
from errors import run_command


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_options(InferenceOptions, arguments, "Predict the relation of every row.")
    # torch and transformers take seconds to import, --help should not wait for them.
    from devices import process_group_left
    from prediction_run import predict_file

    with process_group_left():
        predict_file(options)


if __name__ == "__main__":
    run_command(main)
