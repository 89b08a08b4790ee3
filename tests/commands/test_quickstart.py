"""Which flags the quick start passes on, in every situation a user may start from."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import inference
import quickstart
import train
from kore.common.errors import EncoderUnavailableError, UserError
from kore.common.flags import parse_options
from kore.conversion import prepare_run
from kore.conversion.options import PrepareOptions
from kore.prediction.options import InferenceOptions
from kore.training.options import TrainOptions

Calls = list[list[str]]


@pytest.fixture
def trained(monkeypatch, tmp_path) -> Calls:
    """The flags of every training, in an empty working folder on a machine without a GPU."""
    calls: Calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "main", calls.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return calls


@pytest.fixture
def gpu(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.fixture
def data(trained, tmp_path) -> None:
    """The user's own rows, already split."""
    (tmp_path / "data").mkdir()
    for part in ("train", "valid"):
        (tmp_path / "data" / f"{part}_data.csv").write_text("id\n", encoding="utf-8")


def options_of(flags: list[str]) -> TrainOptions:
    """The flags as training reads them: of two equal ones the last counts."""
    return parse_options(TrainOptions, flags)


def only(calls: Calls) -> TrainOptions:
    assert len(calls) == 1
    return options_of(calls[0])


def start(*flags: str) -> None:
    quickstart.main(["train", *flags])


def fail_with(error: UserError, calls: Calls, times: int = 1) -> Callable[[list[str]], None]:
    """A training whose first calls end in an error."""
    failures = itertools.repeat(error, times)

    def train_main(flags: list[str]) -> None:
        calls.append(flags)
        for failure in failures:
            raise failure

    return train_main


def test_no_data_and_no_gpu_trains_the_shipped_encoder_on_a_sample(trained, tmp_path, capsys):
    start()
    options = only(trained)
    assert options.model_name_or_path == "kore-mini"
    assert options.learning_rate == 1e-3
    assert Path(options.train_file) == Path("data/sample/train_data.csv")
    assert Path(options.valid_file) == Path("data/sample/valid_data.csv")
    assert options.num_epochs == int(quickstart.SAMPLE_EPOCHS)
    assert (tmp_path / options.train_file).is_file()
    assert (tmp_path / options.valid_file).is_file()
    printed = capsys.readouterr().out
    assert "says nothing about real text" in printed
    assert "Next: bash inference.sh" in printed


def test_a_sample_that_is_there_is_used_again(trained, tmp_path):
    start()
    written = (tmp_path / "data/sample/train_data.csv").stat().st_mtime_ns
    start()
    assert (tmp_path / "data/sample/train_data.csv").stat().st_mtime_ns == written
    assert trained[0] == trained[1]


def test_own_rows_are_used_as_they_are(trained, data):
    start()
    options = only(trained)
    assert options.train_file == "data/train_data.csv"
    assert options.valid_file == "data/valid_data.csv"
    assert not Path("data/sample").exists()


def test_train_csv_is_split_first(trained, monkeypatch, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.csv").write_text("id\n", encoding="utf-8")
    split: list[tuple[str, str]] = []

    def prepare(options: PrepareOptions) -> None:
        split.append((options.input_file, options.data_dir))

    monkeypatch.setattr(prepare_run, "prepare", prepare)
    start()
    assert split == [("data/train.csv", "data")]
    options = only(trained)
    assert options.train_file == "data/train_data.csv"
    assert not Path("data/sample").exists()


def test_a_gpu_trains_the_large_encoder(trained, data, gpu):
    start()
    options = only(trained)
    assert options.model_name_or_path == "klue/roberta-large"
    assert options.learning_rate == 3e-5
    assert options.span_pooling == "start"
    assert options.focal_loss


@pytest.mark.parametrize("flags", [("--use_cuda", "False"), ("--use_cuda=false",)])
def test_a_gpu_that_the_user_declines_is_not_counted_on(trained, data, gpu, flags):
    start(*flags)
    options = only(trained)
    assert options.model_name_or_path == "kore-mini"
    assert options.use_cuda == "False"


def test_every_flag_of_the_user_wins(trained, gpu):
    start("--num_epochs", "3", "--batch_size=4", "--span_pooling", "max", "--focal_loss", "False")
    options = only(trained)
    assert (options.num_epochs, options.batch_size) == (3, 4)
    assert options.span_pooling == "max"
    assert options.focal_loss is False
    assert options.model_name_or_path == "klue/roberta-large"


def test_a_training_file_that_the_user_names_is_taken(trained, tmp_path):
    start("--train_file", "mine.csv", "--valid_file", "held.csv")
    options = only(trained)
    assert (options.train_file, options.valid_file) == ("mine.csv", "held.csv")
    assert not (tmp_path / "data").exists()  # neither looked for nor made


def test_a_recipe_that_the_user_names_is_all_that_is_taken(trained, data, gpu, tmp_path):
    (tmp_path / "mine.json").write_text('{"num_epochs": 3, "model_name_or_path": "a/b"}')
    start("--recipe", "mine.json")
    options = only(trained)
    assert (options.num_epochs, options.model_name_or_path) == (3, "a/b")
    assert not options.focal_loss
    assert options.train_file == "data/train_data.csv"


def test_rows_that_a_recipe_names_are_taken(trained, tmp_path):
    (tmp_path / "mine.json").write_text('{"num_epochs": 3, "train_file": "mine.csv"}')
    start("--recipe=mine.json")
    assert (only(trained).num_epochs, only(trained).train_file) == (3, "mine.csv")
    assert not (tmp_path / "data").exists()


def test_a_small_encoder_brings_its_recipe_wherever_it_is_named(trained, data, monkeypatch):
    start()  # chosen, as there is no GPU
    start("--model_name_or_path", "kore-mini")
    start("--model_name_or_path", "mini")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    start("--model_name_or_path=kore-mini")
    start("--model_name_or_path=mini")
    chosen, named, mini, named_beside_a_gpu, mini_beside_a_gpu = map(options_of, trained)
    assert chosen.recipe == "kore_mini"
    assert named == named_beside_a_gpu == chosen
    assert (mini.recipe, mini.learning_rate) == ("mini_cpu", 1e-3)
    assert mini == mini_beside_a_gpu


def test_another_encoder_gets_the_recipe_of_encoders_even_without_a_gpu(trained, data):
    start("--model_name_or_path", "klue/bert-base")
    options = only(trained)
    assert options.model_name_or_path == "klue/bert-base"
    assert options.learning_rate == 3e-5
    assert options.span_pooling == "start"


def test_the_shipped_encoder_replaces_one_that_cannot_be_loaded(trained, data, monkeypatch, capsys):
    start("--seed", "7")  # what a machine without a GPU does
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    error = EncoderUnavailableError("no network")
    monkeypatch.setattr(train, "main", fail_with(error, trained))
    start("--seed", "7")
    without_gpu, first, second = (options_of(flags) for flags in trained)
    assert first.model_name_or_path == "klue/roberta-large"
    assert second.model_name_or_path == "kore-mini"
    assert second == without_gpu  # nothing of the other recipe is left
    assert second.seed == 7
    printed = capsys.readouterr().out
    assert "klue/roberta-large is not in the cache and cannot be downloaded" in printed
    assert "Training kore-mini instead" in printed


@pytest.mark.parametrize("flag", [("--model_name_or_path", "a/b"), ("--model_name_or_path=a/b",)])
def test_a_model_that_the_user_named_is_never_replaced(trained, data, gpu, monkeypatch, flag):
    error = EncoderUnavailableError("no network")
    monkeypatch.setattr(train, "main", fail_with(error, trained))
    with pytest.raises(EncoderUnavailableError):
        start(*flag)
    assert only(trained).model_name_or_path == "a/b"


def test_any_other_mistake_is_not_followed_by_another_training(trained, data, gpu, monkeypatch):
    monkeypatch.setattr(train, "main", fail_with(UserError("a bad row"), trained))
    with pytest.raises(UserError, match="a bad row"):
        start()
    assert len(trained) == 1


def test_help_makes_no_data(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        start("--help")
    assert caught.value.code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def predicted(monkeypatch, tmp_path) -> Calls:
    calls: Calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inference, "main", calls.append)
    return calls


def put(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("id\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "flags", "expected"),
    [
        (["data/test_data.csv", "data/sample/test_data.csv"], [], "data/test_data.csv"),
        (["data/sample/test_data.csv"], [], "data/sample/test_data.csv"),
        ([], [], "data/test_data.csv"),  # its absence is then reported
        (["data/sample/test_data.csv"], ["--test_file", "mine.csv"], "mine.csv"),
        (["data/sample/test_data.csv"], ["--test_file=mine.csv"], "mine.csv"),
    ],
)
def test_inference_finds_its_rows(predicted, files, flags, expected):
    for path in files:
        put(path)
    quickstart.main(["inference", *flags, "--batch_tokens", "800"])
    assert len(predicted) == 1
    options = parse_options(InferenceOptions, predicted[0])
    assert Path(options.test_file) == Path(expected)
    assert options.batch_tokens == 800
