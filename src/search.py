"""Search for the best flags of training: `python src/search.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("search")

if __name__ == "__main__":
    run_command(main)
