"""Train a relation classifier: `python src/train.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("train")

if __name__ == "__main__":
    run_command(main)
