"""Pictures of a data set: `python src/tools/plots.py eda --data_file … --output_dir …`.

In a notebook, `plots.label_distribution(examples)` and the other functions of data_plots.py each
give a matplotlib Figure.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import EdaOptions, parse_options
from errors import UserError, run_command

EDA = "eda"  # exploratory data analysis, the only family of pictures so far


def __getattr__(name: str) -> Any:
    """The functions of data_plots.py, whose imports take seconds that --help should not wait."""
    import data_plots

    return getattr(data_plots, name)


def main(arguments: Sequence[str] | None = None) -> None:
    family, *flags = (sys.argv[1:] if arguments is None else arguments) or [""]
    if family in ("-h", "--help"):
        flags = [family]
    elif not family:
        raise UserError(f"name a family of pictures: {EDA}")
    elif family != EDA:
        raise UserError(f"{family!r} is no family of pictures; expected {EDA}")
    options = parse_options(EdaOptions, flags, f"Draw a data set: plots.py {EDA} [flags].")
    from data_plots import draw_eda

    for path in draw_eda(options):
        print(path)


if __name__ == "__main__":
    run_command(main)
