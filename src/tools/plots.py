"""Draw a data set: `python src/tools/plots.py eda --data_file … --output_dir …`."""

import sys
from collections.abc import Sequence
from pathlib import Path

# Run as a script, Python puts only this folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kore.cli import run
from kore.common.errors import UserError, run_command

EDA = "eda"  # exploratory data analysis, the only family of pictures so far


def main(arguments: Sequence[str] | None = None) -> None:
    family, *flags = (sys.argv[1:] if arguments is None else arguments) or [""]
    if family in ("-h", "--help"):
        flags = [family]
    elif not family:
        raise UserError(f"name a family of pictures: {EDA}")
    elif family != EDA:
        raise UserError(f"{family!r} is no family of pictures; expected {EDA}")
    run("eda", flags)


if __name__ == "__main__":
    run_command(main)
