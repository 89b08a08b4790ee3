"""Pretrain an encoder on texts: `python src/pretrain.py --help`."""

from kore.cli import main_of
from kore.common.errors import run_command

main = main_of("pretrain")

if __name__ == "__main__":
    run_command(main)
