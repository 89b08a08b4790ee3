"""Train a classifier of many labels: `python src/train_emotion.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("train-emotion")

if __name__ == "__main__":
    run_command(main)
