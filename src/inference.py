"""Predict relations: `python src/inference.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("predict")

if __name__ == "__main__":
    run_command(main)
