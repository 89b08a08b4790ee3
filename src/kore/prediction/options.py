"""Options of prediction, export, ensembles and submission checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kore.common.errors import UserError
from kore.common.flags import BATCH_TOKENS, DeviceOptions, PrecisionOptions, option
from kore.data.options import RowOptions, SchemaOptions
from kore.network.options import ModelOptions


@dataclass
class InferenceOptions(ModelOptions, DeviceOptions, RowOptions, group="Prediction"):
    test_file: str = option(
        "data/test_data.csv",
        "examples to predict (.csv, .json, .jsonl, also .gz; .parquet)",
        essential=True,
    )
    output_dir: str = option("outputs", "folder for predictions and rejected rows", essential=True)
    output_name: str = option(
        "",
        "file in OUTPUT_DIR (.csv, .csv.gz, .parquet); '' = MODEL_TESTFILE.csv",
        essential=True,
    )
    resume: bool = option(
        False, "continue a killed run of the same command where it stopped", essential=True
    )
    calibrated: bool = option(
        True, "divide the logits by the temperature that was fitted in training"
    )
    abstain_below: float | None = option(
        None,
        "add a column `abstain`: True where the highest probability is lower than this",
        within="[0, 1]",
    )
    num_workers: int | None = option(
        None,
        "processes that read and encode ahead of the model; by default 1, and 0 for small files",
        within="[0, 64]",
    )


@dataclass
class StreamOptions(DeviceOptions, RowOptions, group="Texts"):
    """Texts in, JSON lines out; streamed and resumable."""

    output_dir: str = option("outputs", "folder for results and rejected rows", essential=True)
    resume: bool = option(
        False, "continue a killed run of the same command where it stopped", essential=True
    )
    model_dir: str = option("models", "folder where checkpoints are looked for")
    batch_tokens: int = option(
        BATCH_TOKENS, "most tokens computed at once, padding included", within="[16, 10000000]"
    )


@dataclass
class TextOptions(StreamOptions, group="Texts"):
    text_column: str = option(
        "", "column of the texts; '' = text, sentence, input, document or content", essential=True
    )


@dataclass
class PredictEmotionOptions(StreamOptions, group="Texts"):
    test_file: str = option(
        "data/emotion_test.jsonl",
        "texts with a target or without (.jsonl, .json, also .gz)",
        essential=True,
    )
    output_name: str = option(
        "", "file in OUTPUT_DIR (.jsonl, .jsonl.gz); '' = MODEL_TESTFILE.jsonl", essential=True
    )
    model_file: Sequence[str] = option(
        (), "checkpoint, or several that vote; '' = the newest in MODEL_DIR", essential=True
    )
    vote: str = option(
        "soft",
        "of several checkpoints: the mean of their probabilities, or the majority",
        choices=("soft", "hard"),
        essential=True,
    )
    probs: bool = option(False, "write the probabilities as well", essential=True)


@dataclass
class TagOptions(TextOptions, group="Texts"):
    test_file: str = option(
        "data/test_texts.txt",
        "texts: .txt (one a line), .csv, .json, .jsonl, also .gz; .parquet; a folder of .txt",
        essential=True,
    )
    output_name: str = option(
        "", "file in OUTPUT_DIR (.jsonl, .jsonl.gz); '' = MODEL_TESTFILE.jsonl", essential=True
    )
    model_file: str = option(
        "",
        "checkpoint or exported folder of a tagger; '' = the newest in MODEL_DIR, or "
        "kore-mini-ner, which ships, where there is none",
        essential=True,
    )


@dataclass
class ClusterOptions(PrecisionOptions, RowOptions, group="Cluster"):
    """What every command on Ray has."""

    output_dir: str = option(
        "outputs/ray", "folder for the Parquet files, and for nothing else", essential=True
    )
    overwrite: bool = option(False, "replace the Parquet files in OUTPUT_DIR", essential=True)
    address: str = option(
        "", "'' = on this machine, auto = on the running cluster, or HOST:PORT", essential=True
    )
    num_workers: int = option(
        1, "processes that hold the model", within="[1, 100000]", essential=True
    )
    num_gpus_per_worker: float = option(
        0.0,
        "GPUs of a worker, 0.5 = two share one; 0 = on the CPU",
        within="[0, 64]",
        essential=True,
    )
    rows_per_task: int = option(
        2048, "rows a worker takes at a time, and loses when it dies", within="[1, 1000000]"
    )
    on_bad_row: str = option(
        "stop",
        "faulty rows stop the run, or are skipped and written to OUTPUT_DIR.rejected.parquet",
        choices=("stop", "skip"),
    )


@dataclass
class RayOptions(ClusterOptions, ModelOptions, group="Prediction"):
    test_file: str = option(
        "data/test_data.csv", "examples to predict: .csv, .parquet, or a folder", essential=True
    )


@dataclass
class ExportOptions(RowOptions, ModelOptions, group="Export"):
    format: str = option(
        "hf",
        "a folder for transformers, an ONNX file, or one with 8-bit weights",
        choices=("hf", "onnx", "onnx-int8"),
        essential=True,
    )
    output_file: str = option(
        "",
        "what to write; '' = MODEL_hf, MODEL.onnx or MODEL.int8.onnx in MODEL_DIR",
        essential=True,
    )
    valid_file: str = option(
        "",
        "labelled examples on which the export is compared with the checkpoint",
        essential=True,
    )
    half: bool = option(False, "weights of a folder in half precision, which take half the space")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.half and self.format != "hf":
            raise UserError(f"`half` is for `format` hf; {self.format} has a precision of its own")


@dataclass
class SubmissionCheckOptions(RowOptions, SchemaOptions):
    submission: Sequence[str] = option((), "file of predictions", positional="SUBMISSION")
    test_file: str = option(
        "data/test_data.csv",
        "examples that were to be predicted (.csv, .json, .jsonl, …)",
        essential=True,
    )
    show: int = option(20, "most faults shown; 0 = all", within="[0, 1000000000]", essential=True)
    label2id_path: str = option(
        "", "order of the relations in probs; '' = as written beside SUBMISSION, or KLUE's"
    )


@dataclass
class EnsembleOptions(DeviceOptions, RowOptions, SchemaOptions, group="Ensemble"):
    members: Sequence[str] = option(
        (), "checkpoints, or files of predictions of the same examples", positional="MEMBER"
    )
    test_file: str = option(
        "data/test_data.csv", "examples that checkpoints among MEMBER predict", essential=True
    )
    method: str = option(
        "soft",
        "mean of the probabilities, or majority vote",
        choices=("soft", "hard"),
        essential=True,
    )
    weights: str = option(
        "",
        "for the mean, one per MEMBER: 0.5,0.3,0.2; fit = fitted on GOLD_FILE; '' = equal",
        essential=True,
    )
    gold_file: str = option(
        "", "labelled examples, not trained on, that weights are fitted on", essential=True
    )
    output_name: str = option(
        "ensemble.csv", "file in OUTPUT_DIR (.csv, .csv.gz, .parquet) to write", essential=True
    )
    valid_predictions: str = option(
        "",
        "to fit weights of predictions: each MEMBER's predictions of GOLD_FILE, comma-separated",
    )
    batch_tokens: int = option(
        BATCH_TOKENS, "most tokens computed at once, padding included", within="[16, 10000000]"
    )
    label2id_path: str = option(
        "", "order of the relations in probs; '' = as written beside the predictions"
    )
