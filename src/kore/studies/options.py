"""Options of searches and experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kore.common.flags import (
    option,
)
from kore.data.options import SchemaOptions
from kore.training.options import TrainOptions


@dataclass
class SearchOptions(TrainOptions):
    space: str = option("recipes/search/focal_grid.json", "JSON of flags and the values to try")
    sampler: str = option(
        "grid", "all combinations, or by what has done well so far", choices=("grid", "tpe")
    )
    num_trials: int = option(20, "trials of tpe, of all processes", within="[1, 1000000]")
    study: str = option("search", "name of the search; given again, it goes on")
    pruning: bool = option(True, "end trials early that are worse than the median")


@dataclass
class ExperimentOptions(SchemaOptions):
    recipes: Sequence[str] = option((), "recipes to train, the first one is compared with")
    variants: str = option(
        "", 'JSON of {"name": {"flag": value}}: rows that change the first recipe; \'\' = none'
    )
    seeds: int = option(3, "runs of each row, with seeds 0, 1, 2 …", within="[1, 1000]")
    train_file: str = option("data/train_data.csv", "rows to learn from (.csv, .json, .jsonl)")
    valid_file: str = option("data/valid_data.csv", "rows to score on")
    output_dir: str = option("outputs/experiments", "folder for runs, predictions and the table")
    target_prior: str = option("", "JSON of class shares to score under as well; '' = none")
    resamples: int = option(1000, "of the bootstrap behind p", within="[1, 1000000]")
    jobs: int = option(1, "runs at the same time, which share the processor", within="[1, 1000]")
