"""Options of prediction, export, ensembles and submission checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kore.common.flags import (
    BATCH_TOKENS,
    DeviceOptions,
    PrecisionOptions,
    option,
)
from kore.data.options import RowOptions, SchemaOptions
from kore.network.options import ModelOptions


@dataclass
class InferenceOptions(ModelOptions, DeviceOptions, RowOptions):
    test_file: str = option(
        "data/test_data.csv", "rows to predict (.csv, .json, .jsonl, also .gz; .parquet)"
    )
    output_name: str = option(
        "",
        "file in OUTPUT_DIR (.csv, .csv.gz, .parquet); '' = MODEL_TESTFILE.csv",
    )
    calibrated: bool = option(
        True, "divide the logits by the temperature fitted in training; the labels stay the same"
    )
    abstain_below: float | None = option(
        None,
        "add a column `abstain`: is the highest probability lower than this?",
        within="[0, 1]",
    )
    num_workers: int | None = option(
        None,
        "processes that read and encode ahead of the model; by default 1, and 0 for small files",
        within="[0, 64]",
    )
    resume: bool = option(False, "go on where a killed run of the same command stopped")


@dataclass
class RayOptions(ModelOptions, PrecisionOptions, RowOptions):
    test_file: str = option("data/test_data.csv", "rows to predict: .csv, .parquet, or a folder")
    output_dir: str = option("outputs/ray", "folder for the Parquet parts, and for nothing else")
    overwrite: bool = option(False, "replace the parts in OUTPUT_DIR")
    on_bad_row: str = option(
        "stop",
        "faulty rows stop the run, or are skipped and written to OUTPUT_DIR.rejected.parquet",
        choices=("stop", "skip"),
    )
    address: str = option("", "'' = on this machine, auto = on the running cluster, or HOST:PORT")
    num_workers: int = option(1, "processes that hold the model", within="[1, 100000]")
    num_gpus_per_worker: float = option(
        0.0, "GPUs of a worker, 0.5 = two share one; 0 = the processor", within="[0, 64]"
    )
    rows_per_task: int = option(
        2048, "rows a worker takes at a time, and loses when it dies", within="[1, 1000000]"
    )


@dataclass
class ExportOptions(RowOptions, ModelOptions):
    format: str = option(
        "hf",
        "a folder for transformers, an ONNX file, or one with weights in 8 bits",
        choices=("hf", "onnx", "onnx-int8"),
    )
    output_file: str = option(
        "", "what to write; '' = MODEL_hf, MODEL.onnx or MODEL.int8.onnx in MODEL_DIR"
    )
    valid_file: str = option(
        "", "labelled rows on which the export is compared with the checkpoint"
    )


@dataclass
class SubmissionCheckOptions(RowOptions, SchemaOptions):
    submission: Sequence[str] = option((), "file of predictions", positional="SUBMISSION")
    test_file: str = option(
        "data/test_data.csv", "rows that were to be predicted (.csv, .json, .jsonl, …)"
    )
    label2id_path: str = option(
        "", "order of the relations in probs; '' = as written beside SUBMISSION, or KLUE's"
    )
    show: int = option(20, "most faults shown; 0 = all", within="[0, 1000000000]")


@dataclass
class EnsembleOptions(DeviceOptions, RowOptions, SchemaOptions):
    members: Sequence[str] = option(
        (), "checkpoints, or files of predictions of the same rows", positional="MEMBER"
    )
    method: str = option(
        "soft", "mean of the probabilities, or most votes", choices=("soft", "hard")
    )
    weights: str = option(
        "", "of a soft vote, one a MEMBER: 0.5,0.3,0.2; fit = by GOLD_FILE; '' = equal"
    )
    test_file: str = option("data/test_data.csv", "rows that checkpoints among MEMBER predict")
    valid_predictions: str = option(
        "", "for weights from predictions: each MEMBER's predictions of GOLD_FILE, by commas"
    )
    gold_file: str = option("", "labelled rows, not trained on, that weights are fitted on")
    batch_tokens: int = option(
        BATCH_TOKENS, "most tokens computed at once, padding included", within="[16, 10000000]"
    )
    output_name: str = option(
        "ensemble.csv", "file in OUTPUT_DIR (.csv, .csv.gz, .parquet) to write"
    )
    label2id_path: str = option(
        "", "order of the relations in probs; '' = as written beside the predictions"
    )
