"""Extract triples from texts: `python src/extract.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("extract")

if __name__ == "__main__":
    run_command(main)
