"""Writes a checkpoint as a folder for transformers, as an ONNX file, or as one in 8 bits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

# Run as a script, Python puts only this folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import ExportOptions, parse_options
from errors import UserError, run_command


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_options(ExportOptions, arguments, (__doc__ or "").partition("\n")[0])
    if options.format == "onnx-int8" and not options.valid_file:
        raise UserError(
            "--valid_file is missing: 8 bits change the scores, so name labelled rows to compare on"
        )
    # torch and transformers take seconds to import, --help should not wait for them.
    from export_run import export

    export(options)


if __name__ == "__main__":
    run_command(main)
