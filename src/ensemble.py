"""Combine the predictions of several models: `python src/ensemble.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("ensemble")

if __name__ == "__main__":
    run_command(main)
