"""The space of a search: only flags, only values they can take."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kore.common.errors import UserError
from kore.common.recipes import FOLDER
from kore.studies.search_space import Choice, Range, Space, grid_of, read_space


def read(tmp_path, content: Any):
    path = tmp_path / "space.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_space(path)


def test_values_and_bounds(tmp_path):
    space = read(
        tmp_path,
        {
            "gamma": [0, "1.5"],
            "focal_loss": ["False", True],
            "scheduler": ["COSINE"],
            "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        },
    )
    assert space == {
        "gamma": Choice((0.0, 1.5)),
        "focal_loss": Choice((False, True)),  # and not a text, which would count as true
        "scheduler": Choice(("cosine",)),
        "learning_rate": Range(1e-5, 1e-3, True),
    }


@pytest.mark.parametrize("path", sorted((FOLDER / "search").glob("*.json")), ids=lambda p: p.stem)
def test_spaces_that_come_along(path):
    assert read_space(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"gama": [1]}, "no flag 'gama'; did you mean gamma"),
        ({"run_name": ["a"]}, "no flag 'run_name'"),
        ({"gamma": []}, "gamma: expected a list of values, or"),
        ({"gamma": 2}, "gamma: expected a list of values, or"),
        ({"gamma": {"low": 2, "high": 1}}, "gamma: expected a list of values, or"),
        ({"gamma": {"low": 0, "high": 1, "log": True}}, "gamma: expected a list of values, or"),
        ({"gamma": {"low": 0, "hi": 1}}, "gamma: expected a list of values, or"),
        ({"gamma": [-1]}, "`gamma` is -1.0, expected a value in [0, inf)"),
        ({"scheduler": ["linear", "cubic"]}, "invalid choice: 'cubic'"),
        ({"num_epochs": [1.5]}, "--num_epochs"),
        ({}, "expected flags and their values"),
        ("{", "not valid JSON"),
    ],
)
def test_faulty_spaces(tmp_path, content, expected):
    with pytest.raises(UserError) as caught:
        read(tmp_path, content)
    assert expected in str(caught.value)
    assert "space.json" in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: no such file"):
        read_space(tmp_path / "none.json")


def test_a_grid_lists_the_values_and_a_range_has_none():
    space: Space = {"gamma": Choice((0.0, 2.0)), "seed": Choice((1,))}
    assert grid_of(space, "space.json") == {"gamma": [0.0, 2.0], "seed": [1]}
    with pytest.raises(UserError, match=r"space\.json: alpha is a range, but a grid needs a list"):
        grid_of({**space, "alpha": Range(0.5, 1.0, False)}, "space.json")
