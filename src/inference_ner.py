"""Find the entities of every text of a file: `python src/inference_ner.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("tag")

if __name__ == "__main__":
    run_command(main)
