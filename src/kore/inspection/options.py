"""Options of data checks and plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kore.common.flags import (
    _Checked,
    option,
)
from kore.data.options import RowOptions


@dataclass
class CheckOptions(_Checked):
    files: Sequence[str] = option(
        (), "rows to examine (.csv, .json, .jsonl, also .gz; .parquet)", positional="FILE"
    )
    against: str = option("", "a file whose sentences must not stand in any FILE; '' = none")
    tokenizer: str = option(
        "", "checkpoint (.pth), or encoder by folder or hub name; '' = learned from the first FILE"
    )
    show: int = option(20, "most rows shown of each finding; 0 = all", within="[0, 1000000000]")
    json: str = option("", "write everything found, every row of it, to this file; '' = do not")
    fix: str = option(
        "", "write the rows of a single FILE, mended, to this .csv, and a list of the changes"
    )


@dataclass
class EdaOptions(RowOptions):
    data_file: str = option("data/train_data.csv", "rows to draw (.csv, .json, .jsonl, …)")
    output_dir: str = option("outputs/eda", "folder for the pictures and summary.json")
    tokenizer: str = option(
        "", "checkpoint (.pth), or encoder by folder or hub name; '' = learned from DATA_FILE"
    )
