"""Extract the triples of a corpus with Ray: `python src/tools/extract_on_ray.py --help`."""

import sys
from pathlib import Path

# Run as a script, Python puts only this folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("extract-on-ray")

if __name__ == "__main__":
    run_command(main)
