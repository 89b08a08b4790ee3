"""Searches for the best flags of training: `python src/search.py --help`."""

from __future__ import annotations

from collections.abc import Sequence

from config import SearchOptions, parse_options
from errors import run_command


def main(arguments: Sequence[str] | None = None) -> None:
    description = "Search for the best flags of src/train.py, all of which may be given as well."
    options = parse_options(SearchOptions, arguments, description)
    # torch and transformers take seconds to import, --help should not wait for them.
    from search_run import search

    search(options)


if __name__ == "__main__":
    run_command(main)
