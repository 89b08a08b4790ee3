"""Train a tagger of named entities: `python src/train_ner.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("train-ner")

if __name__ == "__main__":
    run_command(main)
