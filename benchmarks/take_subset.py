"""The part of a KLUE dev file that KoRE's figures are measured on.

    python benchmarks/take_subset.py klue-re-v1.1_dev.json --ids benchmarks/subsets/klue_re_dev_half.txt --output_file klue-re-v1.1_dev_half.json
    python benchmarks/take_subset.py klue-ner-v1.1_dev.tsv --ids benchmarks/subsets/klue_ner_4000.txt --output_file klue-ner_4000.tsv

`--ids` has a number a line, that of `klue-re-v1_dev_00000` or `klue-ner-v1_dev_00001-wikitree`.
"""  # noqa: E501

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path

import _path  # noqa: F401
from kore.common.errors import UserError, run_command
from kore.common.files import atomic_write

NUMBER = re.compile(r"_dev_(\d+)")


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data_file", type=Path, help="KLUE's dev file, .json or .tsv")
    parser.add_argument("--ids", required=True, type=Path)
    parser.add_argument("--output_file", required=True, type=Path)
    args = parser.parse_args(arguments)
    wanted = set(args.ids.read_text().split())
    text = args.data_file.read_text(encoding="utf-8")
    is_json = args.data_file.suffix == ".json"
    header, entries = ("", json_entries(text)) if is_json else sentences(text)
    absent = wanted - entries.keys()
    if absent:
        raise UserError(
            f"{args.data_file} lacks {len(absent):,} of the {len(wanted):,} examples of"
            f" {args.ids}, {min(absent)} for one: name the whole dev file of KLUE"
        )
    kept = [entry for number, entry in entries.items() if number in wanted]
    with atomic_write(args.output_file) as file:
        if is_json:
            file.write("[\n" + ",\n".join(kept) + "\n]\n")
        else:
            file.write(header + "".join(f"{block}\n\n" for block in kept))
    print(f"{args.output_file}: {len(kept):,} of {len(entries):,}")


def json_entries(text: str) -> dict[str, str]:
    """Number -> one line of JSON, of a list of examples with a `guid`."""
    return {
        number_of(entry["guid"]): json.dumps(entry, ensure_ascii=False)
        for entry in json.loads(text)
    }


def sentences(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first sentence, and number -> a sentence with its tags."""
    header, first, rest = text.partition("## klue-ner")
    blocks = (first + rest).strip().split("\n\n")
    return header, {number_of(block.partition("\n")[0]): block for block in blocks}


def number_of(guid: str) -> str:
    """The digits of an id of KLUE's dev files."""
    found = NUMBER.search(guid)
    if found is None:
        raise UserError(f"{guid[:60]!r} is no id of a KLUE dev file: name the dev file of KLUE")
    return found.group(1)


if __name__ == "__main__":
    run_command(main)
