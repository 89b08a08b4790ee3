"""Errors of entities by hand, and the command that scores them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tests.builders import EXAMPLES, make_example
from tests.runs import as_flags

import evaluation
from kore.common.errors import UserError
from kore.data.ner import TaggedText, write_klue
from kore.data.records import write_examples
from kore.data.schema import Entity, Example, Span
from kore.evaluation.entity_errors import entity_errors, type_pairs

TEXT = "가나다라마바사아자차"


def entity(start: int, end: int, kind: str) -> Entity:
    return Entity(TEXT[start:end], Span(start, end), kind)


GOLD = TaggedText("g", TEXT, (entity(0, 2, "PS"), entity(3, 5, "LC"), entity(6, 9, "OG")))


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        ([entity(0, 2, "PS"), entity(3, 5, "LC"), entity(6, 9, "OG")], []),
        ([], ["missed", "missed", "missed"]),
        (
            [entity(0, 2, "LC"), entity(3, 6, "LC"), entity(7, 9, "PS")],
            ["type", "border", "border and type"],
        ),
        (
            [entity(0, 2, "PS"), entity(3, 5, "LC"), entity(6, 9, "OG"), entity(9, 10, "DT")],
            ["invented"],
        ),
        # One found entity over two gold ones is wrong twice, and not invented.
        ([entity(0, 5, "PS"), entity(6, 9, "OG")], ["border", "border and type"]),
        # Of two that overlap, the one with more of it counts; the other is invented.
        (
            [entity(0, 2, "PS"), entity(3, 5, "LC"), entity(6, 7, "PS"), entity(7, 9, "OG")],
            ["border", "invented"],
        ),
    ],
)
def test_kinds_of_errors(found: list[Entity], kinds: list[str]) -> None:
    assert [error.kind for error in entity_errors(GOLD, found)] == kinds


def test_types_that_are_confused() -> None:
    found = [entity(0, 2, "LC"), entity(3, 5, "LC"), entity(9, 10, "PS")]
    gold, predicted = type_pairs([GOLD], [found], ["LC", "OG", "PS"])
    pairs = sorted(zip(gold.tolist(), predicted.tolist(), strict=True))
    # LC found as LC, OG missed, PS found as LC, PS invented
    assert pairs == [(0, 0), (1, 3), (2, 0), (3, 2)]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_klue(tmp_path / "gold.tsv", [GOLD, TaggedText("h", "서울", ())])
    lines = [
        {
            "id": "1",
            "input": TEXT,
            "result": [
                {"entity_group": kind, "start": start, "end": end, "score": 1.0}
                for start, end, kind in ((0, 2, "PS"), (3, 5, "OG"), (9, 10, "DT"))
            ],
        },
        {"id": "2", "input": "서울", "result": []},
    ]
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    (tmp_path / "found.jsonl").write_text(text, encoding="utf-8")
    return tmp_path


def flags(folder: Path, **changed: Any) -> list[str]:
    chosen = {
        "task": "ner",
        "prediction_file": folder / "found.jsonl",
        "gold_file": folder / "gold.tsv",
        "train_file": folder / "gold.tsv",
        "output_dir": folder / "report",
        **changed,
    }
    return as_flags(**chosen)


def test_the_command(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation.main(flags(files))
    shown = capsys.readouterr().out
    assert "2 texts, 3 gold entities, 3 found" in shown
    assert "entity micro-F1 33.33 (precision 33.33, recall 33.33), macro-F1 25.00" in shown
    assert "errors: type 1, missed 1, invented 1" in shown
    report = files / "report"
    assert json.loads((report / "scores.json").read_text())["micro_f1"] == pytest.approx(100 / 3)
    with (report / "types.csv").open(encoding="utf-8") as file:
        rows = {row["type"]: row for row in csv.DictReader(file)}
    assert rows["PS"]["f1"] == "100.0"
    assert rows["LC"] == {
        **{"type": "LC", "precision": "0.0", "recall": "0.0", "f1": "0.0", "gold": "1"},
        **{"found": "0", "gold_share": "33.33", "train_share": "33.33"},
    }
    with (report / "errors.csv").open(encoding="utf-8") as file:
        errors = [(row["kind"], row["gold"], row["found"]) for row in csv.DictReader(file)]
    assert errors == [("type", "라마", "라마"), ("missed", "사아자", ""), ("invented", "", "차")]
    assert (report / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")


def test_marked_entities_that_are_found(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Gold examples of relations in place of texts with all their entities."""

    def example(row_id: str, subject: Entity, object_: Entity) -> Example:
        return Example(row_id, TEXT, subject, object_, "no_relation")

    rows = [
        example("both", entity(0, 2, "PS"), entity(9, 10, "DT")),
        example("type", entity(0, 2, "PS"), entity(3, 5, "LC")),
        example("border", entity(0, 1, "PS"), entity(9, 10, "DT")),
        example("none", entity(0, 2, "LC"), entity(6, 9, "OG")),
    ]
    write_examples(files / "gold.csv", rows)
    evaluation.main(flags(files, train_file="", gold_file=files / "gold.csv"))
    scores = json.loads((files / "report" / "scores.json").read_text())
    assert scores == {
        **{"both": 25.0, "subject": 50.0, "object": 50.0, "both_borders": 50.0},
        "entities_per_sentence": 3.0,
    }
    assert "both entities 25.00 %" in capsys.readouterr().out
    write_examples(files / "gold.csv", [make_example("x", "다른 글", "다른", "글")])
    with pytest.raises(UserError, match=r"lacks the sentences of 1 examples of .*gold.csv, 'x'"):
        evaluation.main(flags(files, train_file="", gold_file=files / "gold.csv"))


def test_texts_without_an_entity(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_klue(files / "none.tsv", [TaggedText("h", "서울", ())])
    evaluation.main(flags(files, gold_file=files / "none.tsv", train_file=""))
    assert "1 texts, 0 gold entities, 0 found" in capsys.readouterr().out
    assert not (files / "report" / "confusion_matrix.png").exists()


@pytest.mark.parametrize("name", ["compare", "target_prior", "unlabelled_file"])
def test_options_of_relations_are_refused(files: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"--{name} is for relations"):
        evaluation.main(flags(files, **{name: "gone"}))


def test_training_texts_are_refused_where_gold_are_relations(files: Path) -> None:
    write_examples(files / "gold.csv", EXAMPLES)
    with pytest.raises(UserError, match="--train_file goes with tagged texts as --gold_file"):
        evaluation.main(flags(files, gold_file=files / "gold.csv"))


def test_predictions_of_other_texts(files: Path) -> None:
    write_klue(files / "other.tsv", [TaggedText("o", "다른 글", ())])
    with pytest.raises(UserError, match=r"lacks 1 texts of .*other.tsv, 'o' among them"):
        evaluation.main(flags(files, gold_file=files / "other.tsv"))
