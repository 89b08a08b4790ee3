"""Options of data checks and plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kore.common.flags import Checked, option
from kore.data.options import RowOptions

_TOKENIZER = "checkpoint (.pth), or encoder by folder or hub name; '' = learned from "


@dataclass
class CheckOptions(Checked, group="Report"):
    files: Sequence[str] = option(
        (), "files to check (.csv, .json, .jsonl, also .gz; .parquet)", positional="FILE"
    )
    fix: str = option(
        "",
        "write the rows of a single FILE, cleaned, to this .csv, and a list of the changes",
        essential=True,
    )
    against: str = option(
        "", "a file whose sentences must not occur in any FILE; '' = none", essential=True
    )
    tokenizer: str = option("", f"{_TOKENIZER}the first FILE")
    show: int = option(20, "most rows shown of each finding; 0 = all", within="[0, 1000000000]")
    json: str = option("", "write every finding with all its rows to this file; '' = do not")


@dataclass
class EdaOptions(RowOptions):
    data_file: str = option(
        "data/train_data.csv", "examples to draw (.csv, .json, .jsonl, …)", essential=True
    )
    output_dir: str = option(
        "outputs/eda", "folder for the pictures and summary.json", essential=True
    )
    tokenizer: str = option("", f"{_TOKENIZER}DATA_FILE", essential=True)
