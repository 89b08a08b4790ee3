"""Teaches an encoder the language of your texts: `python src/pretrain.py --help`."""

from __future__ import annotations

from collections.abc import Sequence

from config import PretrainOptions, parse_options
from errors import run_command


def main(arguments: Sequence[str] | None = None) -> None:
    description = "Pretrain an encoder on texts, by finding masked words; labels are never read."
    options = parse_options(PretrainOptions, arguments, description)
    # torch and transformers take seconds to import, --help should not wait for them.
    from pretraining_run import pretrain

    pretrain(options)


if __name__ == "__main__":
    run_command(main)
