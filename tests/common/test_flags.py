"""Flags as a user writes them, the bounds of every number, and --help that answers at once."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kore.common.errors import UserError
from kore.common.flags import Interval, given_flags, given_value, parse_options
from kore.data.options import PrepareOptions, SampleOptions
from kore.evaluation.options import EvaluationOptions, ExplainOptions
from kore.inspection.options import CheckOptions
from kore.prediction.options import EnsembleOptions, InferenceOptions, RayOptions
from kore.pretraining.options import PretrainOptions
from kore.studies.options import ExperimentOptions, SearchOptions
from kore.training.options import TrainOptions

REPOSITORY = Path(__file__).parents[2]

# An interface: users have these lines in their notes and scripts.
TRAIN_COMMAND = r"""
python src/train.py --train_file data/train_data.csv --valid_file data/valid_data.csv \
  --model_name_or_path klue/roberta-large --max_length 128 --batch_size 16 --num_epochs 10 \
  --learning_rate 3e-5 --use_cuda True --use_entity_markers True --use_entity_types True \
  --use_span_pooling True --dropout 0.1 --label2id_path src/tools/dict_label_to_num.pkl \
  --id2label_path src/tools/dict_num_to_label.pkl --model_dir models --focal_loss \
  --label_smoothing 0.09 --alpha 1.0 --gamma 2.0
"""
INFERENCE_COMMAND = r"""
python src/inference.py --model_file models/NAME.pth --model_dir models --output_dir outputs \
  --test_file data/test_data.csv
"""


def train_options(text: str) -> TrainOptions:
    return parse_options(TrainOptions, shlex.split(text))


def refusal_of(text: str) -> str:
    with pytest.raises(UserError) as caught:
        train_options(text)
    return str(caught.value)


def test_the_training_command_users_know() -> None:
    script, *flags = shlex.split(TRAIN_COMMAND.replace("\\\n", " "))[1:]
    assert (REPOSITORY / script).is_file()
    options = parse_options(TrainOptions, flags)
    chosen = {name: getattr(options, name) for name in given_flags(flags)}
    assert chosen == {
        "train_file": "data/train_data.csv",
        "valid_file": "data/valid_data.csv",
        "model_name_or_path": "klue/roberta-large",
        "max_length": 128,
        "batch_size": 16,
        "num_epochs": 10,
        "learning_rate": 3e-5,
        "use_cuda": "True",
        "use_entity_markers": True,
        "use_entity_types": True,
        "use_span_pooling": True,
        "dropout": 0.1,
        "label2id_path": "src/tools/dict_label_to_num.pkl",
        "id2label_path": "src/tools/dict_num_to_label.pkl",
        "model_dir": "models",
        "focal_loss": True,
        "label_smoothing": 0.09,
        "alpha": 1.0,
        "gamma": 2.0,
    }


def test_the_inference_command_users_know() -> None:
    script, *flags = shlex.split(INFERENCE_COMMAND.replace("\\\n", " "))[1:]
    assert (REPOSITORY / script).is_file()
    options = parse_options(InferenceOptions, flags)
    assert options.model_file == "models/NAME.pth"
    assert options.model_dir == "models"
    assert options.output_dir == "outputs"
    assert options.test_file == "data/test_data.csv"


def test_defaults() -> None:
    options = train_options("")
    assert options.model_name_or_path == "klue/roberta-large"
    assert options.learning_rate == 3e-5
    assert (options.use_entity_markers, options.use_entity_types) == (True, True)
    assert options.marker_style == "punct"
    assert options.focal_loss is False
    assert options.use_cuda == "auto"
    assert options.on_bad_row == "stop"
    assert options.label2id_path == "src/tools/dict_label_to_num.pkl"
    assert parse_options(EvaluationOptions, []).label2id_path == ""  # beside the predictions
    assert parse_options(EvaluationOptions, []).output_dir == "outputs/report"


def test_the_learning_rate_follows_the_encoder_unless_given() -> None:
    assert train_options("--model_name_or_path mini").learning_rate == 1e-3
    assert train_options("--model_name_or_path mini --learning_rate 2e-4").learning_rate == 2e-4


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", False),
        ("--focal_loss", True),
        ("--focal_loss True", True),
        ("--focal_loss false", False),
        ("--focal_loss=TRUE", True),
        ("--focal_loss --seed 1", True),
        ("--focal_loss True --focal_loss False", False),  # the last one wins, as in a shell
    ],
)
def test_booleans_in_both_spellings(text: str, value: bool) -> None:
    assert train_options(text).focal_loss is value


def test_a_boolean_that_is_on_can_be_switched_off() -> None:
    assert train_options("--use_entity_markers False").use_entity_markers is False
    assert train_options("--use_entity_markers").use_entity_markers is True


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("--focal_loss yes", ["--focal_loss", "'yes' is not True or False"]),
        ("--batch_size many", ["--batch_size", "invalid int value: 'many'"]),
        ("--batch_size 1.5", ["--batch_size", "invalid int value: '1.5'"]),
        ("--batch_size", ["--batch_size", "expected one argument"]),
        ("--marker_style round", ["--marker_style", "invalid choice: 'round'", "punct"]),
        ("--use_cuda yes", ["--use_cuda", "'yes'", "auto"]),
        ("--batchsize 3", ["unrecognized arguments: --batchsize 3"]),
        ("--batch 3", ["unrecognized arguments: --batch 3"]),  # no guessing at abbreviations
        ("data.csv", ["unrecognized arguments: data.csv"]),
    ],
)
def test_flags_that_cannot_be_read(text: str, parts: list[str]) -> None:
    message = refusal_of(text)
    for part in [*parts, "(--help lists every flag)"]:
        assert part in message
    assert "\n" not in message


def test_every_number_out_of_range_is_named_at_once() -> None:
    faults = {
        "max_length": ("7", "7", "[8, 100000]"),
        "batch_size": ("0", "0", "[1, 100000]"),
        "gradient_accumulation_steps": ("0", "0", "[1, 10000]"),
        "num_epochs": ("0", "0", "[1, 10000]"),
        "num_folds": ("-1", "-1", "[0, 1000]"),
        "learning_rate": ("0", "0.0", "(0, 1]"),
        "warmup_ratio": ("1", "1.0", "[0, 1)"),
        "weight_decay": ("nan", "nan", "[0, 1]"),
        "max_grad_norm": ("inf", "inf", "(0, inf)"),
        "dropout": ("1", "1.0", "[0, 1)"),
        "alpha": ("0", "0.0", "(0, inf)"),
        "gamma": ("-0.5", "-0.5", "[0, inf)"),
        "label_smoothing": ("1", "1.0", "[0, 1)"),
        "gamma_positive": ("-1", "-1.0", "[0, inf)"),
        "gamma_negative": ("-1", "-1.0", "[0, inf)"),
        "r_drop": ("-1", "-1.0", "[0, inf)"),
        "fgm": ("-1", "-1.0", "[0, inf)"),
        "layer_lr_decay": ("0", "0.0", "(0, 1]"),
        "last_layers": ("0", "0", "[1, 100]"),
        "mask_tokens": ("1", "1.0", "[0, 1)"),
        "patience": ("-1", "-1", "[0, 10000]"),
        "save_steps": ("0", "0", "[1, 1000000000]"),
        "seed": ("4294967296", "4294967296", "[0, 4294967295]"),
    }
    text = " ".join(f"--{name} {given}" for name, (given, _, _) in faults.items())
    told = refusal_of(text).split("; ")
    assert sorted(told) == sorted(
        f"--{name} is {value}, expected a value in {interval}"
        for name, (_, value, interval) in faults.items()
    )
    numbers = {field.name for field in dataclasses.fields(TrainOptions) if field.metadata["within"]}
    assert numbers == set(faults)  # a new option needs its line here


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("[0, 1)", [0, 0.999], [-1e-9, 1, float("nan")]),
        ("(0, 1]", [1e-9, 1], [0, 1.001]),
        ("(0, inf)", [1e300], [0, float("inf")]),
        ("[8, 512]", [8, 512], [7, 513]),
    ],
)
def test_intervals(interval: str, inside: list[float], outside: list[float]) -> None:
    assert [value in Interval(interval) for value in inside] == [True] * len(inside)
    assert [value in Interval(interval) for value in outside] == [False] * len(outside)


def test_bounds_hold_for_options_made_in_a_program() -> None:
    with pytest.raises(UserError, match=r"--valid_ratio is 1, expected a value in \(0, 1\)"):
        PrepareOptions(valid_ratio=1)
    with pytest.raises(UserError, match="--num_rows is 299"):
        SampleOptions(num_rows=299)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("a.csv", ["a.csv"]),
        ("a.csv b.csv --show 3", ["a.csv", "b.csv"]),
        ("--show 3 a.csv", ["a.csv"]),
        ("a.csv --show 3 b.csv", ["a.csv", "b.csv"]),
    ],
)
def test_what_is_positional_may_stand_anywhere(text: str, files: list[str]) -> None:
    assert parse_options(CheckOptions, shlex.split(text)).files == files


def test_what_is_positional_may_not_be_left_out() -> None:
    with pytest.raises(UserError, match=r"required: FILE \(--help lists every flag\)"):
        parse_options(CheckOptions, ["--show", "3"])


def test_flags_given() -> None:
    flags = ["--max_length", "64", "--focal_loss", "--seed=3", "-x", "no", "--seed", "4"]
    assert given_flags(flags) == {"max_length", "focal_loss", "seed"}


HEAVY = {
    "torch",
    "transformers",
    "ray",
    "pyarrow",
    "tokenizers",
    "numpy",
    "pandas",
    "sklearn",
    "matplotlib",
    "optuna",
}


@pytest.mark.parametrize(
    ("script", "options_class"),
    [
        ("train.py", TrainOptions),
        ("inference.py", InferenceOptions),
        ("evaluation.py", EvaluationOptions),
        ("tools/check_data.py", CheckOptions),
        ("tools/prepare_data.py", PrepareOptions),
        ("tools/predict_on_ray.py", RayOptions),
        ("tools/make_sample_data.py", SampleOptions),
        ("tools/explain.py", ExplainOptions),
        ("tools/experiments.py", ExperimentOptions),
        ("ensemble.py", EnsembleOptions),
        ("search.py", SearchOptions),
        ("pretrain.py", PretrainOptions),
    ],
)
def test_help_shows_every_flag_and_imports_nothing_heavy(script: str, options_class: type) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", str(REPOSITORY / "src" / script), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for field in dataclasses.fields(options_class):
        assert f"{field.metadata['positional'] or f'--{field.name}'} " in result.stdout
    imported = set(re.findall(r"\| +([\w.]+)$", result.stderr, flags=re.MULTILINE))
    assert "argparse" in imported  # the list was read as it is written
    assert imported.isdisjoint(HEAVY)


def test_help_shows_defaults_and_choices(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # a narrow terminal breaks lines inside words
    with pytest.raises(SystemExit) as caught:
        train_options("--help")
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--max_length INT most tokens of a row [160]" in text
    assert "--marker_style punct|special" in text
    assert "--focal_loss [True|False]" in text
    assert "--learning_rate FLOAT peak learning rate; by default 3e-5, and 1e-3 for mini" in text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("--a 1 --b 2", None),
        ("--recipe x --a 1", "x"),
        ("--a 1 --recipe=x", "x"),
        ("--recipe x --recipe=y", "y"),  # the last one counts
        ("--a 1 --recipe", ""),
    ],
)
def test_given_value(text: str, value: str | None) -> None:
    assert given_value(shlex.split(text), "recipe") == value


def test_a_flag_of_several_values() -> None:
    options = parse_options(ExperimentOptions, ["--recipes", "a", "b", "--seeds", "2"])
    assert (list(options.recipes), options.seeds) == (["a", "b"], 2)
