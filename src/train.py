"""Trains a relation classifier: `python src/train.py --help`."""

from __future__ import annotations

from collections.abc import Sequence

from config import TrainOptions, parse_options
from errors import run_command


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_options(TrainOptions, arguments, "Train a Korean relation classifier.")
    # torch and transformers take seconds to import, --help should not wait for them.
    from devices import process_group_left
    from training_run import train

    with process_group_left():
        if options.num_folds:
            from cross_validation import train_folds  # a plain run needs nothing of it

            train_folds(options)
        else:
            train(options)


if __name__ == "__main__":
    run_command(main)
