"""Options of searches and experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kore.common.flags import Checked, option
from kore.data.options import SchemaOptions
from kore.training.options import TrainOptions


@dataclass
class StudyOptions(Checked, group="Search"):
    space: str = option(
        "recipes/search/focal_grid.json", "JSON of flags and the values to try", essential=True
    )
    study: str = option("search", "name of the search; given again, it continues", essential=True)
    sampler: str = option(
        "grid",
        "all combinations, or chosen by what has scored well so far",
        choices=("grid", "tpe"),
    )
    num_trials: int = option(20, "trials of tpe, of all processes together", within="[1, 1000000]")
    pruning: bool = option(True, "stop trials early that are worse than the median")


@dataclass
class SearchOptions(StudyOptions, TrainOptions):
    pass


@dataclass
class ExperimentOptions(SchemaOptions, group="Comparison"):
    recipes: Sequence[str] = option(
        (), "recipes to train; the others are compared with the first", essential=True
    )
    seeds: int = option(
        3, "runs of each recipe, with the seeds 0, 1, 2 …", within="[1, 1000]", essential=True
    )
    train_file: str = option(
        "data/train_data.csv", "examples to learn from (.csv, .json, .jsonl)", essential=True
    )
    valid_file: str = option(
        "data/valid_data.csv", "examples that choose each run's best epoch", essential=True
    )
    test_file: str = option(
        "", "labelled examples to score on, which no run has seen; '' = VALID_FILE", essential=True
    )
    output_dir: str = option(
        "outputs/experiments", "folder for runs, predictions and the table", essential=True
    )
    variants: str = option(
        "",
        'JSON of {"name": {"flag": value}}: variants of the first recipe to train as well; '
        "'' = none",
    )
    target_prior: str = option("", "JSON of class shares to score under as well; '' = none")
    resamples: int = option(1000, "bootstrap resamples for p-values", within="[1, 1000000]")
    jobs: int = option(1, "runs at the same time, which share the CPU", within="[1, 1000]")
