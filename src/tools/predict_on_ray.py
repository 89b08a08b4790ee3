"""Predicts the relations of a whole corpus with Ray: Parquet or CSV in, Parquet out.

Started on a machine of a cluster (`--address auto`), the workers run wherever Ray places them;
without an address they run on this machine. Every machine must see the corpus, the folder of
`--output_dir` and this checkout by the same paths. A worker that dies is restarted and its rows
are predicted again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

# Run as a script, Python puts only this folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config import RayOptions, parse_options
from errors import UserError, run_command


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_options(RayOptions, arguments, (__doc__ or "").partition("\n")[0])
    try:
        import ray.data  # noqa: F401  # seconds to import, as torch: --help should not wait
    except ImportError as error:
        raise UserError(
            f"the package ray is missing ({error}); poetry install --with ray, or "
            'python -m pip install "ray[data]"'
        ) from error
    from ray_prediction import predict_corpus

    predict_corpus(options)


if __name__ == "__main__":
    run_command(main)
