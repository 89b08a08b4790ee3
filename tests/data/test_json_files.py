"""JSON lists are read whole or refused; other shapes are named, with the way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kore.common.errors import UserError
from kore.data.json_files import line_rows, list_rows

ROWS = [{"id": str(number), "sentence": "가"} for number in range(3)]


def numbers_of(path: Path, text: str) -> list[int]:
    path.write_text(text, encoding="utf-8")
    found = list(list_rows(path))
    return [number for number, _ in found]


def refusal_of(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        list((line_rows if path.suffix == ".jsonl" else list_rows)(path))
    return str(caught.value).removeprefix(str(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}]\n[{"a": 2}]', ":2: the list of rows has ended, but '[{\"a\": 2}]' follows"),
        ('[{"a": 1}] }}} garbage', ":1: the list of rows has ended, but '}}} garbage' follows"),
        ('[{"a": 1}],', ":1: the list of rows has ended, but ',' follows"),
        ("[]]", ":1: the list of rows has ended, but ']' follows"),
        ('[{"a": 1} {"a": 2}]', ":1: not valid JSON (expected a comma or ], found '{')"),
        ('[{"a": 1}\n{"a": 2}]', ":2: not valid JSON (expected a comma or ], found '{')"),
        ('[{"a": 1}', ":1: not valid JSON (expected a comma or ], the list is not closed)"),
        ('[{"a": 1},\n, {"a": 2}]', ":2: not valid JSON (no object behind a comma)"),
        ('[{"a": 1},]', ":1: not valid JSON (no object behind a comma)"),
        ('[, {"a": 1}]', ":1: not valid JSON (Expecting value"),
    ],
)
def test_anything_but_one_list_is_refused(path: Path, text: str, message: str) -> None:
    assert refusal_of(path, text).startswith(message)


def test_white_space_may_follow_a_list(path: Path) -> None:
    assert numbers_of(path, json.dumps(ROWS, indent=1) + " \r\n\t\n") == [2, 6, 10]
    assert numbers_of(path, " [ ] \n") == []


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_rows_on_one_line_have_numbers(path: Path, separators: tuple[str, str]) -> None:
    """As json.dump and DataFrame.to_json(orient="records") write them."""
    assert numbers_of(path, json.dumps(ROWS, separators=separators)) == [1, 2, 3]


def test_rows_that_share_a_line_anywhere_have_numbers(path: Path) -> None:
    assert numbers_of(path, '[\n{"a": 1},\n{"a": 2}, {"a": 3}]') == [1, 2, 3]


def test_rows_on_lines_of_their_own_have_lines(path: Path) -> None:
    assert numbers_of(path, '[{"a": 1},\n\n{"a": 2}, \n{"a": "}, {"}]') == [1, 3, 4]
    assert numbers_of(path, '[{\n"a": 1\n}, {\n"a": 2\n}]') == [1, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"version": 1, "data": ROWS}, "found an object that holds one as 'data'"),
        ({"schema": {"fields": []}, "data": ROWS}, "found an object that holds one as 'data'"),
        ({"id": {"0": "a"}, "sentence": {"0": "가"}}, 'use to_json(…, orient="records")'),
        ({"0": ROWS[0], "1": ROWS[1]}, 'use to_json(…, orient="records")'),
        ({"columns": ["id"], "index": [0], "data": [["a"]]}, 'use to_json(…, orient="records")'),
        (ROWS[0], "found one object of the fields id, sentence"),
        ("text", "found text"),
        ([["0", "가"]], "expected an object of fields, found ['0', '가']"),
    ],
)
def test_other_shapes_are_named(path: Path, content: Any, message: str) -> None:
    assert refusal_of(path, json.dumps(content)).partition(message)[1]


def test_json_lines_that_are_named_json(path: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    assert refusal_of(path, lines).endswith("one object a line is a file named .jsonl")


@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_that_is_named_jsonl(tmp_path: Path, indent: int | None) -> None:
    text = json.dumps(ROWS, indent=indent)
    message = ":1: begins a JSON list, expected an object a line; name the file .json"
    assert refusal_of(tmp_path / "rows.jsonl", text) == message
