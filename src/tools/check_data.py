"""Examines files of rows: faults, duplicates, leaks, clashes, odd characters; mends one of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

# Run as a script, Python puts only this folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import CheckOptions, parse_options
from errors import run_command


def main(arguments: Sequence[str] | None = None) -> None:
    """Exits with status 1 where something serious was found."""
    options = parse_options(CheckOptions, arguments, (__doc__ or "").partition("\n")[0])
    # torch and transformers take seconds to import, --help should not wait for them.
    from check_run import check

    if check(options):
        sys.stdout.flush()  # sys.exit would hide from run_command that a reader went away
        sys.exit(1)


if __name__ == "__main__":
    run_command(main)
