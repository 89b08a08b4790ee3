"""Scores of triples from raw text against examples, counted by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tests.builders import make_example
from tests.runs import as_flags

import evaluation
from kore.common.errors import UserError
from kore.data.records import write_examples
from kore.data.schema import Entity, Example

TEXT = "가나는 다라의 아들이고 마바에서 일한다."


def gold(row_id: str, subject: str, object: str, label: str, types: tuple[str, str]) -> Example:
    return make_example(row_id, TEXT, subject, object, label, types)


ROWS = [
    gold("right", "가나", "다라", "per:parents", ("PER", "PER")),
    gold("inverse", "가나", "다라", "per:parents", ("PER", "PER")),
    gold("other", "가나", "마바", "per:employee_of", ("PER", "ORG")),
    gold("type", "가나", "마바", "per:employee_of", ("PER", "ORG")),
    gold("missed", "가나", "마바", "per:employee_of", ("PER", "ORG")),
    gold("quiet", "다라", "마바", "no_relation", ("PER", "ORG")),
    gold("invented", "다라", "마바", "no_relation", ("PER", "ORG")),
]


def place(entity: Entity, kind: str = "") -> dict[str, Any]:
    return {
        **{"word": entity.word, "type": kind or entity.type},
        **{"start": entity.span.start, "end": entity.span.end},
    }


def found(row: Example, relation: str = "", *, turned: bool = False, kind: str = "") -> str:
    pair = [place(row.subject), place(row.object, kind)]
    subject, object_ = pair[::-1] if turned else pair
    triples = [{"subject": subject, "relation": relation, "object": object_, "probability": 0.9}]
    record = {"document": row.id, "sentence": TEXT, "entities": pair}
    return json.dumps({**record, "triples": triples if relation else []})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    by_id = {row.id: row for row in ROWS}
    lines = [
        found(by_id["right"], "per:parents"),
        found(by_id["inverse"], "per:children", turned=True),
        found(by_id["other"], "per:title"),
        found(by_id["type"], "per:employee_of", kind="LOC"),
        json.dumps({"document": "missed", "entities": [], "triples": []}),
        found(by_id["quiet"]),
        found(by_id["invented"], "per:employee_of", turned=True),
    ]
    write_examples(tmp_path / "gold.csv", ROWS)
    (tmp_path / "found.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def scores_of(folder: Path, **changed: Any) -> dict[str, Any]:
    flags = {
        "task": "extraction",
        "prediction_file": folder / "found.jsonl",
        "gold_file": folder / "gold.csv",
        "output_dir": folder / "report",
        **changed,
    }
    evaluation.main(as_flags(**flags))
    scores: dict[str, Any] = json.loads((folder / "report" / "scores.json").read_text())
    return scores


def test_shares(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scores,) = scores_of(folder).values()
    assert scores == {
        "entities": pytest.approx(100 * 5 / 7),  # "type" has another type, "missed" none
        "relations": 40.0,  # right, and inverse in the other direction
        "of_found": pytest.approx(100 * 2 / 3),
        "other_relation": 40.0,
        "invented": 50.0,
        "triples": 5.0,
    }
    with (folder / "report" / "relations.csv").open(encoding="utf-8") as file:
        rows = {row["relation"]: (row["examples"], row["right"]) for row in csv.DictReader(file)}
    assert rows == {
        "per:parents": ("2", "2"),
        "per:employee_of": ("3", "0"),
        "no_relation": ("2", "1"),
    }
    assert "7 examples, 5 with a relation" in capsys.readouterr().out


def test_two_ways_beside_each_other(folder: Path) -> None:
    nothing = "\n".join(
        json.dumps({"document": row.id, "entities": [], "triples": []}) for row in ROWS
    )
    (folder / "none.jsonl").write_text(nothing, encoding="utf-8")
    first, second = scores_of(folder, compare=folder / "none.jsonl").values()
    assert first["relations"] == 40.0
    assert set(second.values()) == {0.0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"found.jsonl:1: expected a line that extract wrote"),
        ('{"document": "right"}', r"found.jsonl:1: expected a line that extract wrote"),
        ('{"document": "x", "entities": [], "triples": []}', r"lacks 7 documents of .*'right'"),
    ],
)
def test_other_files(folder: Path, content: str, message: str) -> None:
    (folder / "found.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        scores_of(folder)
    with pytest.raises(UserError, match="--train_file is for relations"):
        scores_of(folder, train_file="a.csv")
