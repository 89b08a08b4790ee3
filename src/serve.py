"""Answer over HTTP, with a page: `python src/serve.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("serve")

if __name__ == "__main__":
    run_command(main)
