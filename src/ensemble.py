"""Several models' predictions as one: `python src/ensemble.py --help`."""

from __future__ import annotations

from collections.abc import Sequence

from config import EnsembleOptions, parse_options
from errors import run_command


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_options(EnsembleOptions, arguments, "Join the predictions of several models.")
    # torch and transformers take seconds to import, --help should not wait for them.
    from devices import process_group_left
    from ensemble_run import join_members

    with process_group_left():
        join_members(options)


if __name__ == "__main__":
    run_command(main)
