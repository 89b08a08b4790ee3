"""Every option once: a dataclass field is the flag, its default, its bounds and its help text.

A command takes one of the classes at the end of this file, for example
`options = parse_options(TrainOptions)`. Only the standard library is imported here, so that
`--help` answers at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from errors import UserError
from recipes import recipe_flags

MINI = "mini"  # the encoder made from scratch, see mini.py
AUTO = "auto"
RECIPE = "recipe"
BATCH_TOKENS = 4096  # of prediction; benchmarks/LOG.md has others

Options = TypeVar("Options")


@dataclass(frozen=True)
class Interval:
    """The values a number may take, written as in mathematics: "[0, 1)", "(0, inf)"."""

    text: str

    def __contains__(self, value: float) -> bool:
        low, high = (float(bound) for bound in self.text[1:-1].split(","))
        above = value >= low if self.text[0] == "[" else value > low
        below = value <= high if self.text[-1] == "]" else value < high
        return above and below


def option(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    within: str | None = None,
    positional: str = "",
) -> Any:
    """A dataclass field that is also a command-line flag.

    `choices` are the texts allowed, `within` the interval a number must lie in. `positional` is
    for what a command is about: one or more texts without a flag, shown under that name in --help.
    """
    interval = Interval(within) if within else None
    metadata = {
        "help": help,
        "choices": tuple(choices),
        "within": interval,
        "positional": positional,
    }
    return dataclasses.field(default=default, metadata=metadata)


class _Parser(argparse.ArgumentParser):
    """argparse that fails with our one sentence instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (--help lists every flag)")


def parse_options(
    options_class: type[Options], arguments: Sequence[str] | None = None, description: str = ""
) -> Options:
    """Options from the command line (`sys.argv` where `arguments` is None).

    Raises:
        UserError: unknown flags, values of the wrong type or out of range, all named at once.
    """
    parser = _Parser(description=description, allow_abbrev=False)
    hints = typing.get_type_hints(options_class)
    fields = dataclasses.fields(options_class)  # type: ignore[arg-type]
    for field in sorted(fields, key=lambda field: field.name not in vars(options_class)):
        _add_flag(parser, field, hints[field.name])
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    names = {field.name for field in fields}
    recipe = given_value(arguments, RECIPE) if RECIPE in names else None
    if recipe:
        arguments = [*recipe_flags(recipe, names), *arguments]
    try:
        # Intermixed: what is positional may stand on both sides of a flag.
        return options_class(**vars(parser.parse_intermixed_args(arguments)))
    except UserError as error:
        if not recipe:
            raise
        raise UserError(f"{error} (flags of --recipe {recipe} among them)") from error


def given_flags(arguments: Sequence[str]) -> set[str]:
    """Names of the flags that stand in `arguments`: {"max_length"} for ["--max_length", "64"]."""
    return {text[2:].split("=")[0] for text in arguments if text.startswith("--")}


def given_value(arguments: Sequence[str], name: str) -> str | None:
    """The last value that `--name VALUE` or `--name=VALUE` has in `arguments`; None = not there."""
    found = None
    for number, text in enumerate(arguments):
        if text == f"--{name}":
            found = "".join(arguments[number + 1 : number + 2])
        elif text.startswith(f"--{name}="):
            found = text.partition("=")[2]
    return found


def _add_flag(parser: argparse.ArgumentParser, field: dataclasses.Field[Any], hint: Any) -> None:
    default = field.default
    help_text = field.metadata["help"].replace("%", "%%")
    if field.metadata["positional"]:
        name = field.metadata["positional"]
        parser.add_argument(field.name, nargs="+", metavar=name, help=help_text)
        return
    if default not in (None, "", ()):
        help_text += f" [{default}]"
    if typing.get_origin(hint) is Sequence:
        parser.add_argument(
            f"--{field.name}", nargs="+", default=default, metavar="NAME", help=help_text
        )
        return
    kind = _value_type(hint)
    if kind is bool:  # both `--focal_loss` and `--focal_loss True`
        parser.add_argument(
            f"--{field.name}",
            type=_parse_bool,
            nargs="?",
            const=True,
            default=default,
            metavar="True|False",
            help=help_text,
        )
        return
    choices = field.metadata["choices"]
    parser.add_argument(
        f"--{field.name}",
        type=_in_any_case(choices) if choices else kind,
        default=default,
        choices=choices or None,
        metavar="|".join(choices) or kind.__name__.upper(),
        help=help_text,
    )


def _value_type(hint: Any) -> type:
    """The type a flag's text is turned into: int for `int | None`."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return typing.cast(type, hint)


def _in_any_case(choices: Sequence[str]) -> Callable[[str], str]:
    """`true` is read as the choice `True`."""
    spelled = {choice.lower(): choice for choice in choices}
    return lambda text: spelled.get(text.lower(), text)


def _parse_bool(text: str) -> bool:
    known = {"true": True, "false": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is not True or False")
    return known[text.lower()]


class _Checked:
    """Base of the option classes: every bound is checked once, all faults are told together."""

    def __post_init__(self) -> None:
        faults = [
            f"--{field.name} is {value}, expected a value in {interval.text}"
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if (interval := field.metadata["within"]) is not None
            and (value := getattr(self, field.name)) is not None
            and value not in interval  # "nan" lies in none
        ]
        if faults:
            raise UserError("; ".join(faults))


@dataclass
class PrecisionOptions(_Checked):
    precision: str = option(
        AUTO,
        "arithmetic; auto = bf16 where the processor or GPU computes it natively",
        choices=(AUTO, "fp32", "bf16", "fp16"),
    )
    compile: bool = option(
        False, "let torch.compile fuse the encoder's layers, after a minute or so; meant for a GPU"
    )


@dataclass
class DeviceOptions(PrecisionOptions):
    use_cuda: str = option(
        AUTO, "run on a CUDA GPU; auto = where there is one", choices=("True", "False", AUTO)
    )


@dataclass
class ModelOptions(_Checked):
    model_file: str = option(
        "", "checkpoint, or a folder or .onnx file of src/tools/export.py; '' = newest in MODEL_DIR"
    )
    model_dir: str = option("models", "folder where checkpoints are looked for")
    batch_tokens: int = option(
        BATCH_TOKENS, "most tokens computed at once, padding included", within="[16, 10000000]"
    )


@dataclass
class RowOptions(_Checked):
    on_bad_row: str = option(
        "stop",
        "a faulty row stops the run, or is skipped and written to OUTPUT_DIR/FILE.rejected.csv",
        choices=("stop", "skip"),
    )
    output_dir: str = option("outputs", "folder for predictions and rejected rows")


@dataclass
class SchemaOptions(_Checked):
    label2id_path: str = option(
        "src/tools/dict_label_to_num.pkl",
        "relation names and their numbers (.pkl or .json); auto = the labels of the data",
    )
    id2label_path: str = option("", "the reverse map, checked against LABEL2ID_PATH; '' = none")
    no_relation_label: str = option(
        "no_relation", "the relation that means 'none of them'; '' where the schema has none"
    )


@dataclass
class OptimizationOptions(DeviceOptions):
    """What training and pretraining share."""

    model_name_or_path: str = option(
        "klue/roberta-large", f"encoder: hub name, folder, or '{MINI}' (made from scratch)"
    )
    model_dir: str = option("models", "folder for checkpoints")
    run_name: str = option("", "name of the checkpoint; '' = the encoder's name and a number")
    resume: bool = option(False, "go on with the run of that name, or the latest where none is")
    batch_size: int = option(16, "rows of a step on one device", within="[1, 100000]")
    gradient_accumulation_steps: int = option(1, "steps an update", within="[1, 10000]")
    num_epochs: int = option(10, "passes over the training rows", within="[1, 10000]")
    learning_rate: float | None = option(
        None, "peak learning rate; by default 3e-5, and 1e-3 for mini", within="(0, 1]"
    )
    scheduler: str = option("linear", "decay after warm-up", choices=("linear", "cosine"))
    warmup_ratio: float = option(0.1, "share of all updates that warms up", within="[0, 1)")
    weight_decay: float = option(0.01, "AdamW's decay of weight matrices", within="[0, 1]")
    max_grad_norm: float = option(1.0, "gradients are clipped to this norm", within="(0, inf)")
    gradient_checkpointing: bool = option(
        False, "compute inner values twice instead of keeping them: less memory, slower"
    )
    save_steps: int = option(
        500, "updates between two states saved for --resume", within="[1, 1000000000]"
    )
    seed: int = option(42, "fixes everything that is drawn", within="[0, 4294967295]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learning_rate is None:
            self.learning_rate = default_learning_rate(self.model_name_or_path)


def default_learning_rate(model_name_or_path: str) -> float:
    """The peak rate of an encoder where none is given."""
    return 1e-3 if model_name_or_path == MINI else 3e-5


@dataclass
class TrainOptions(OptimizationOptions, RowOptions, SchemaOptions):
    recipe: str = option("", "flags of recipes/NAME.json, or of a .json file; flags given win")
    train_file: str = option("data/train_data.csv", "rows to learn from (.csv, .json, .jsonl)")
    valid_file: str = option("data/valid_data.csv", "rows to measure every epoch on")
    num_folds: int = option(
        0,
        "split TRAIN_FILE into so many folds and train a model for each; 0 = use VALID_FILE",
        within="[0, 1000]",
    )
    max_length: int = option(160, "most tokens of a row", within="[8, 100000]")
    dropout: float = option(0.1, "dropout of encoder and head", within="[0, 1)")
    use_entity_markers: bool = option(True, "mark the entities in the text")
    use_entity_types: bool = option(True, "write the entity's type into the markers")
    marker_style: str = option(
        "punct", "'@ * 단체 * 비틀즈 @' or '[E1-ORG]비틀즈[/E1-ORG]'", choices=("punct", "special")
    )
    use_span_pooling: bool = option(True, "join [CLS] with both entity spans; off = [CLS] alone")
    span_pooling: str = option(
        "attention",
        "how a span becomes one vector; start_end = its first and last token, the markers, joined",
        choices=("mean", "max", "attention", "start", "start_end"),
    )
    cue_sentence: bool = option(
        False, "put 'SUBJECT 와 OBJECT 의 관계' with its markers before the text"
    )
    entity_type_embedding: bool = option(
        False, "add a learned vector of its type to the words of an entity"
    )
    last_layers: int = option(1, "join so many of the encoder's last layers", within="[1, 100]")
    bilstm: bool = option(False, "read the encoder's states with an LSTM before pooling")
    type_restriction: str = option(
        "none",
        "rule out relations that no training row has between entities of such types",
        choices=("none", "inference", "both"),
    )
    focal_loss: bool = option(False, "focal loss with --alpha and --gamma; off = cross-entropy")
    alpha: float = option(1.0, "weight of the focal loss", within="(0, inf)")
    gamma: float = option(2.0, "how much easy rows count less in the focal loss", within="[0, inf)")
    asymmetric_loss: bool = option(
        False, "asymmetric loss with --gamma_positive and --gamma_negative instead"
    )
    gamma_positive: float = option(
        0.0, "how much less a sure row's own relation counts", within="[0, inf)"
    )
    gamma_negative: float = option(
        2.0, "how much less improbable other relations count", within="[0, inf)"
    )
    class_balanced_beta: float = option(
        0.0,
        "weigh relations by their effective number of rows, e.g. 0.999; 0 = all alike",
        within="[0, 1)",
    )
    label_smoothing: float = option(
        0.0, "share of the target spread over all relations", within="[0, 1)"
    )
    r_drop: float = option(
        0.0, "weight of the divergence between two passes with other dropout", within="[0, inf)"
    )
    fgm: float = option(
        0.0, "size of an adversarial step on the word embeddings, e.g. 0.5", within="[0, inf)"
    )
    layer_lr_decay: float = option(
        1.0, "each layer learns by this factor slower than the one above", within="(0, 1]"
    )
    weight_average: str = option(
        "none",
        "keep averaged weights: of all updates, older ones fading, or of the last quarter",
        choices=("none", "ema", "swa"),
    )
    ema_decay: float = option(0.999, "how slowly the older ones fade", within="(0, 1)")
    drop_conflicts: bool = option(False, "leave out training rows that repeat or contradict others")
    swap_entities: str = option(
        "",
        "JSON of inverse relations: learn rows with subject and object swapped as well; "
        "src/tools/klue_inverses.json has KLUE's",
    )
    replace_entities: float = option(
        0.0,
        "so many rows more, as a share, with an entity replaced by another of its type",
        within="[0, 10]",
    )
    oversample_to: int = option(
        0, "repeat rows of a relation until there are so many", within="[0, 1000000]"
    )
    mask_tokens: float = option(
        0.0, "share of the text's tokens outside the entities to mask in training", within="[0, 1)"
    )
    selection_metric: str = option(
        "micro_f1", "the best epoch is the highest in this", choices=("micro_f1", "auprc")
    )
    patience: int = option(
        0, "stop after so many epochs without a better one; 0 = never", within="[0, 10000]"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_folds == 1:
            raise UserError("--num_folds is 1, expected 0 (none) or at least 2")
        if self.focal_loss and self.asymmetric_loss:
            raise UserError("--focal_loss and --asymmetric_loss: choose one of them")
        if self.cue_sentence and not self.use_entity_markers:
            raise UserError("--cue_sentence needs --use_entity_markers True: it names them")
        if self.fgm and self.gradient_accumulation_steps > 1:
            raise UserError(
                "--fgm needs --gradient_accumulation_steps 1: its step goes along the gradient of "
                "the whole update"
            )


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
class PretrainOptions(OptimizationOptions):
    files: Sequence[str] = option(
        (),
        "texts to learn from (.csv, .json, .jsonl, .tsv, .txt, also .gz; .parquet)",
        positional="FILE",
    )
    model_name_or_path: str = option(
        MINI, f"encoder to go on with: hub name, folder, or '{MINI}' (made from scratch)"
    )
    run_name: str = option("pretrained", "the encoder is written to the folder MODEL_DIR/RUN_NAME")
    max_length: int = option(128, "tokens of a packed row", within="[8, 100000]")
    batch_size: int = option(32, "rows of a step", within="[1, 100000]")
    num_epochs: int = option(12, "passes over the texts", within="[1, 10000]")
    warmup_ratio: float = option(0.06, "share of all updates that warms up", within="[0, 1)")
    mask_ratio: float = option(0.2, "share of the tokens to be found", within="(0, 1)")
    mask_whole_words: bool | None = option(
        None,
        "mask words and entities whole, or single tokens, which a new encoder needs to get going; "
        f"by default whole, and single for {MINI}",
    )
    valid_ratio: float = option(0.02, "share of the texts held out to measure on", within="(0, 1)")
    dropout: float = option(0.0, "dropout of the encoder", within="[0, 1)")
    num_layers: int = option(6, f"layers of {MINI}", within="[1, 100]")
    hidden_size: int = option(256, f"width of {MINI}, a multiple of 64", within="[64, 4096]")
    vocab_size: int = option(8_000, f"tokens of the vocabulary of {MINI}", within="[300, 1000000]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask_whole_words is None:
            self.mask_whole_words = self.model_name_or_path != MINI
        if self.hidden_size % 64:
            raise UserError(f"--hidden_size is {self.hidden_size}, expected a multiple of 64")


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
class PrepareOptions(RowOptions):
    input_file: str = option("data/train.csv", "all labelled rows (.csv, .json, .jsonl)")
    hub_dataset: str = option("", "instead, a data set on the hub, e.g. klue/klue")
    hub_config: str = option("re", "the hub data set's configuration")
    hub_split: str = option("train", "the hub data set's split")
    data_dir: str = option("data", "folder for train_data.csv and valid_data.csv")
    valid_ratio: float = option(0.2, "share of the rows held out", within="(0, 1)")
    group_by_sentence: bool = option(True, "keep every sentence on one side of the split")
    overwrite: bool = option(False, "replace train_data.csv and valid_data.csv where they exist")
    seed: int = option(42, "fixes the split", within="[0, 4294967295]")


@dataclass
class SampleOptions(_Checked):
    data_dir: str = option("data/sample", "folder for the generated files")
    num_rows: int = option(1200, "labelled rows to make", within="[300, 1000000]")
    seed: int = option(42, "fixes the rows", within="[0, 4294967295]")


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
class EdaOptions(RowOptions):
    data_file: str = option("data/train_data.csv", "rows to draw (.csv, .json, .jsonl, …)")
    output_dir: str = option("outputs/eda", "folder for the pictures and summary.json")
    tokenizer: str = option(
        "", "checkpoint (.pth), or encoder by folder or hub name; '' = learned from DATA_FILE"
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
