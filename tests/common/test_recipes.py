"""Recipes: files of flags that stand before those of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kore.common.errors import UserError
from kore.common.flags import parse_options
from kore.common.recipes import FOLDER, recipe_flags
from kore.training.ner_options import TrainNerOptions
from kore.training.options import TrainOptions

SHIPPED = sorted(path.stem for path in FOLDER.glob("*.json"))


def write(path: Path, **flags: Any) -> str:
    path.write_text(json.dumps(flags), encoding="utf-8")
    return str(path)


def options_with(*arguments: str) -> TrainOptions:
    return parse_options(TrainOptions, arguments)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_recipe_that_comes_along_can_be_read(name):
    assert options_with("--recipe", name).recipe == name
    assert json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["about"]


def test_the_recipe_of_a_tagger_is_one_of_its_command():
    options = parse_options(TrainNerOptions, ["--recipe", "kore_mini_ner"])
    assert (options.model_name_or_path, options.ngram_buckets) == ("kore-mini-ner", 131072)


def test_a_recipe_is_found_under_its_earlier_name():
    renamed, current = options_with("--recipe", "processor"), options_with("--recipe", "mini_cpu")
    assert vars(renamed) == {**vars(current), "recipe": "processor"}
    assert current.model_name_or_path == "mini"
    assert "processor" not in SHIPPED


def test_the_four_rows_of_the_origin_differ_by_one_step_each():
    rows = ["base_linear", "large_linear", "large_cosine", "large_cosine_optimized"]
    options = [options_with("--recipe", f"origin_{row}") for row in rows]
    assert [o.model_name_or_path.rpartition("-")[2] for o in options] == ["base"] + ["large"] * 3
    assert [o.scheduler for o in options] == ["linear", "linear", "cosine", "cosine"]
    assert [o.focal_loss for o in options] == [False, False, False, True]
    assert [o.label_smoothing for o in options] == [0.0, 0.0, 0.0, 0.09]
    assert {o.learning_rate for o in options} == {3e-5}


def test_flags_given_beside_it_win_wherever_they_stand(tmp_path):
    name = write(tmp_path / "mine.json", num_epochs=7, focal_loss=True, alpha=0.5)
    options = options_with("--num_epochs", "3", "--recipe", name, "--focal_loss", "False")
    assert (options.num_epochs, options.focal_loss, options.alpha) == (3, False, 0.5)
    assert options_with(f"--recipe={name}").num_epochs == 7


def test_a_recipe_may_start_from_another(tmp_path):
    write(tmp_path / "first.json", num_epochs=7, seed=1, about="the first")
    second = write(tmp_path / "second.json", recipe="first.json", seed=2)
    options = options_with("--recipe", second)
    assert (options.num_epochs, options.seed) == (7, 2)


def refusal(name: str) -> str:
    with pytest.raises(UserError) as caught:
        recipe_flags(name, ["num_epochs", "num_folds", "seed"])
    return str(caught.value)


def test_unknown_names_are_reported_with_the_most_similar(tmp_path):
    assert "did you mean mini_cpu or kore_mini_re?" in refusal("mini_cup")
    message = refusal(write(tmp_path / "a.json", num_epoch=3))
    assert "a.json: no flag 'num_epoch'; did you mean num_epochs" in message
    assert refusal(str(tmp_path / "none.json")).endswith("none.json: no such file")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "not valid JSON"),
        ("[1]", "expected flags such as"),
        ('{"seed": [1]}', "seed is [1], expected a string, number or true/false"),
        ('{"seed": null}', "seed is None"),
        ('{"recipe": 5}', "recipe is 5, expected the name of a recipe"),
    ],
)
def test_what_is_no_recipe(tmp_path, content, expected):
    path = tmp_path / "a.json"
    path.write_text(content, encoding="utf-8")
    assert expected in refusal(str(path))


def test_a_circle_is_refused(tmp_path):
    first, second = str(tmp_path / "first.json"), str(tmp_path / "second.json")
    write(tmp_path / "first.json", recipe=second)
    write(tmp_path / "second.json", recipe=first)
    assert "starts from itself" in refusal(first)


def test_a_wrong_value_in_a_recipe_is_reported_as_one_of_the_command_line(tmp_path):
    with pytest.raises(UserError, match=r"`num_epochs` is -1, expected .* of `recipe` .*a\.json"):
        options_with("--recipe", write(tmp_path / "a.json", num_epochs=-1))
