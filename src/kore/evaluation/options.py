"""Options of evaluation and explanation."""

from __future__ import annotations

from dataclasses import dataclass

from kore.common.flags import (
    AUTO,
    option,
)
from kore.data.options import RowOptions, SchemaOptions
from kore.network.options import ModelOptions


@dataclass
class EvaluationOptions(RowOptions, SchemaOptions):
    prediction_file: str = option("", "CSV of id, pred_label, probs, as inference writes it")
    gold_file: str = option("", "rows with their true labels (.csv, .json, .jsonl)")
    output_dir: str = option("outputs/report", "folder for report.html, tables and plots")
    compare: str = option("", "predictions of the same rows to compare with, tested for chance")
    train_file: str = option(
        "", "the rows that were learned from: scores for pairs of entities that are not in them"
    )
    target_prior: str = option(
        "",
        "scores for these class shares as well: a JSON file, or estimate (from UNLABELLED_FILE)",
    )
    unlabelled_file: str = option("", "predictions of the unlabelled rows that shares come from")
    resamples: int = option(
        1000, "of the bootstrap behind intervals and p; 0 = none", within="[0, 1000000]"
    )
    seed: int = option(42, "fixes the bootstrap", within="[0, 4294967295]")
    label2id_path: str = option(
        "", "order of the relations in probs; '' = as written beside the prediction file"
    )


@dataclass
class ExplainOptions(ModelOptions):
    data_file: str = option(
        "data/valid_data.csv", "file with the row (.csv, .json, .jsonl, also .gz; .parquet)"
    )
    row: str = option("", "id of the row; '' = the first one")
    relation: str = option("", "relation to explain; '' = the predicted one")
    layer: int | None = option(
        None, "draw this layer's attention, 1 = the first; by default the mean", within="[1, 1000]"
    )
    steps: int = option(64, "points of the integral; more are more exact", within="[1, 1000]")
    batch_tokens: int = option(
        1024, "most tokens computed at once, with their gradients", within="[16, 10000000]"
    )
    output_dir: str = option("outputs", "folder for the pictures and the .json")
    use_cuda: str = option(
        AUTO, "run on a CUDA GPU; auto = where there is one", choices=("True", "False", AUTO)
    )
