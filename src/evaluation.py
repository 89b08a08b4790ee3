"""Score predictions: `python src/evaluation.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("evaluate")

if __name__ == "__main__":
    run_command(main)
