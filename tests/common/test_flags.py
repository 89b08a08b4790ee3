"""Flags as a user writes them, the bounds of numbers, and --help in groups."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from kore.common.errors import UserError
from kore.common.flags import (
    Checked,
    Interval,
    given_flags,
    given_value,
    option,
    parse_options,
)
from kore.conversion.options import PrepareOptions
from kore.data.options import SampleOptions
from kore.evaluation.options import EvaluationOptions, ExplainOptions
from kore.inspection.options import CheckOptions
from kore.prediction.options import EnsembleOptions, InferenceOptions
from kore.pretraining.options import PretrainOptions
from kore.studies.options import ExperimentOptions
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
        ("--focal_loss perhaps", ["--focal_loss", "'perhaps' is not True or False"]),
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


@dataclass
class Wheel(Checked, group="Wheel"):
    spokes: int = option(8, "how many spokes", within="[2, 100]")
    radius: float | None = option(None, "in metres; by default as the frame needs", within="(0, 2)")
    bent: bool = option(False, "ride it all the same")


@dataclass
class Frame(Checked, group="Frame"):
    colour: str = option("red", "of the lacquer", choices=("red", "blue"), aliases=("color",))
    owner: str = option("", "who rides it", essential=True)


@dataclass
class Bicycle(Wheel, Frame):
    places: Sequence[str] = option((), "where to go", positional="PLACE")
    spokes: int = option(36, "as strong as it gets", within="[2, 100]")


def bicycle(text: str) -> Bicycle:
    return parse_options(Bicycle, shlex.split(text))


def test_every_number_out_of_range_is_named_at_once() -> None:
    with pytest.raises(UserError) as caught:
        bicycle("home --spokes 1 --radius nan")
    assert sorted(str(caught.value).split("; ")) == [
        "`radius` is nan, expected a value in (0, 2)",
        "`spokes` is 1, expected a value in [2, 100]",
    ]
    assert bicycle("home --spokes 2 --radius 1.9").spokes == 2
    assert bicycle("home").radius is None  # none is in no interval, and not refused


@pytest.mark.parametrize(
    ("text", "bent", "places"),
    [
        ("--bent home", True, ["home"]),
        ("--bent home work", True, ["home", "work"]),
        ("home --bent", True, ["home"]),
        ("--bent True home", True, ["home"]),
        ("--bent false home", False, ["home"]),
        ("--bent=False home", False, ["home"]),
        ("--bent --spokes 3 home", True, ["home"]),
    ],
)
def test_a_boolean_flag_does_not_take_the_positional_behind_it(
    text: str, bent: bool, places: list[str]
) -> None:
    options = bicycle(text)
    assert (options.bent, list(options.places)) == (bent, places)


def test_commands_with_a_boolean_flag_before_their_files() -> None:
    pretraining = parse_options(PretrainOptions, ["--resume", "x.csv"])
    assert (pretraining.resume, pretraining.files) == (True, ["x.csv"])
    pretraining = parse_options(PretrainOptions, ["--mask_whole_words", "x.csv"])
    assert (pretraining.mask_whole_words, pretraining.files) == (True, ["x.csv"])
    ensemble = parse_options(EnsembleOptions, ["--compile", "a.pth", "b.pth"])
    assert (ensemble.compile, ensemble.members) == (True, ["a.pth", "b.pth"])


@pytest.mark.parametrize("text", ["home --color blue", "home --color=blue", "--color blue home"])
def test_an_earlier_name_of_a_flag_works(text: str) -> None:
    assert bicycle(text).colour == "blue"


def test_of_two_names_of_a_flag_the_last_one_wins() -> None:
    assert bicycle("home --color blue --colour red").colour == "red"
    assert bicycle("home --colour red --color blue").colour == "blue"


def test_the_earlier_name_of_the_id_of_an_example() -> None:
    assert parse_options(ExplainOptions, ["--row", "klue-7"]).example_id == "klue-7"


def help_of(options_class: type, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        parse_options(options_class, ["--help"], "What it does.")
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_help_has_the_essentials_first_and_then_a_heading_a_class(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "argv", ["ride"])
    assert (
        help_of(Bicycle, capsys)
        == """\
usage: ride [flags] PLACE ...

What it does.

Essentials:
  PLACE                where to go
  --owner STR          who rides it

Wheel:
  --spokes INT         as strong as it gets [36]
  --radius FLOAT       in metres; by default as the frame needs
  --bent [True|False]  ride it all the same [False]

Frame:
  --colour red|blue    of the lacquer [red]

Help:
  -h, --help           show this text and exit
"""
    )


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
    with pytest.raises(UserError, match=r"`valid_ratio` is 1, expected a value in \(0, 1\)"):
        PrepareOptions(valid_ratio=1)
    with pytest.raises(UserError, match="`num_rows` is 299"):
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


def test_help_shows_defaults_and_choices(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # a narrow terminal breaks lines inside words
    text = " ".join(help_of(TrainOptions, capsys).split())
    assert "--batch_size INT examples per device per micro-batch [16]" in text
    assert "--marker_style punct|special" in text
    assert "--focal_loss [True|False]" in text
    flag = "--learning_rate FLOAT peak learning rate; by default 3e-5, and 1e-3 for kore-mini"
    assert flag in text


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
