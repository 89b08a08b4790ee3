"""The file of predictions, and every way in which another one may be wrong."""

from __future__ import annotations

import ast
import csv
from pathlib import Path

import numpy as np
import pytest

from kore.common.errors import UserError
from kore.data.schema import LabelMap
from kore.prediction.predictions import read_schema, read_submission, schema_path, write_submission

LABELS = LabelMap(("no_relation", "A", "B"), "no_relation")
PROBS = np.array([[0.2, 0.5, 0.3], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8]])
IDS = ["7", "x-1", "0"]  # neither numbers nor sorted


def read_cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_file_word_for_word(tmp_path):
    path = tmp_path / "out.csv"
    write_submission(path, IDS, PROBS, LABELS)
    assert path.read_text(encoding="utf-8") == (
        '"id","pred_label","probs"\n'
        '"7","A","[0.2, 0.5, 0.3]"\n'
        '"x-1","no_relation","[0.9, 0.05, 0.05]"\n'
        '"0","B","[0.1, 0.1, 0.8]"\n'
    )


def test_round_trip(tmp_path):
    path = tmp_path / "out.csv"
    write_submission(path, IDS, PROBS, LABELS)
    submission = read_submission(path, LABELS)
    assert submission.ids == IDS
    assert submission.pred_labels == ["A", "no_relation", "B"]
    assert submission.probs.tolist() == PROBS.tolist()
    assert read_schema(path) == LABELS


def test_contract_for_random_probabilities(tmp_path):
    """30 relations: the sum stays within 1e-6 of 1, and pred_label is the largest in the file."""
    labels = LabelMap(tuple(f"관계{number}" for number in range(30)), None)
    probs = np.random.default_rng(0).dirichlet(np.full(30, 0.05), size=200)
    path = tmp_path / "out.csv"
    write_submission(path, [str(number) for number in range(200)], probs, labels)
    rows = read_cells(path)
    assert [row["id"] for row in rows] == [str(number) for number in range(200)]
    for row, expected in zip(rows, probs, strict=True):
        values = ast.literal_eval(row["probs"])
        assert len(values) == 30
        assert abs(sum(values) - 1) < 1e-6
        assert row["pred_label"] == f"관계{int(np.argmax(expected))}"
        assert max(values) == values[int(np.argmax(expected))]
    assert read_schema(path) == labels


def test_a_tie_goes_to_the_first_relation(tmp_path):
    path = tmp_path / "out.csv"
    # Row 2: the second is larger by less than the file shows, and so is not the largest there.
    probs = np.array([[0.2, 0.4, 0.4], [0.4, 0.4 + 1e-12, 0.2]])
    write_submission(path, ["1", "2"], probs, LABELS)
    assert [row["pred_label"] for row in read_cells(path)] == ["A", "no_relation"]
    assert read_submission(path, LABELS).pred_labels == ["A", "no_relation"]


def test_either_of_two_equal_largest_is_accepted(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text('id,pred_label,probs\n1,B,"[0.2, 0.4, 0.4]"\n', encoding="utf-8")
    assert read_submission(path, LABELS).pred_labels == ["B"]


def test_files_of_other_programs_are_read(tmp_path):
    """A BOM, other columns and orders of columns, \\r\\n, coarser rounding."""
    path = tmp_path / "other.csv"
    text = '﻿probs,note,id,pred_label\r\n"[0.333, 0.333, 0.3335]",x,5,B\r\n'
    path.write_bytes(text.encode())
    submission = read_submission(path, LABELS)
    assert submission.ids == ["5"]
    assert submission.probs.tolist() == [[0.333, 0.333, 0.3335]]


GOOD = '1,A,"[0.2, 0.5, 0.3]"'


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        (["id,probs", '1,"[0.2, 0.5, 0.3]"'], ":1", "no column pred_label"),
        (["1,A,0.5"], ":1", "no column id, pred_label, probs"),
        ([], ":1", "no column id, pred_label, probs"),
        (["id,pred_label,probs"], "", "holds no predictions"),
        (["id,pred_label,probs", GOOD, '2,A,"[0.1, 0.9]"'], ":3", "2 numbers, expected 3"),
        (["id,pred_label,probs", GOOD, '2,A,"[]"'], ":3", "0 numbers, expected 3"),
        (["id,pred_label,probs", GOOD, GOOD], ":3", "id: '1' stands on line 2 as well"),
        (["id,pred_label,probs", ',A,"[0.2, 0.5, 0.3]"'], ":2", "id: is empty"),
        (["id,pred_label,probs", GOOD, '2,A,"[0.5, 2.0, -1.5]"'], ":3", "are they logits?"),
        (["id,pred_label,probs", '2,A,"[0.0, 4.5, 1.0]"'], ":2", "they sum to 5.5"),
        (["id,pred_label,probs", '1,C,"[0.2, 0.5, 0.3]"'], ":2", "pred_label: 'C' is not one of"),
        (
            ["id,pred_label,probs", '1,B,"[0.2, 0.5, 0.3]"'],
            ":2",
            "largest of probs is that of 'A'",
        ),
        (["id,pred_label,probs", "1,A,half"], ":2", "probs: expected a list of numbers"),
        (["id,pred_label,probs", "1,A,0.5"], ":2", "probs: expected a list of numbers"),
        (["id,pred_label,probs", "1,A"], ":2", "probs: expected a list of numbers"),
        (["id,pred_label,probs", '1,A,"[nan, 0.5, 0.5]"'], ":2", "probs: expected a list"),
        (["id,pred_label,probs", "1,A,\"[__import__('os').getpid(), 0, 1]\""], ":2", "probs"),
        (["id,pred_label,probs", '1,A,"[0.2, 0.5'], "", "not a CSV in UTF-8"),
    ],
)
def test_faults_name_the_line(tmp_path, lines, where, what):
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_submission(path, LABELS)
    message = str(caught.value)
    assert message.startswith(f"{path}{where}")
    assert what in message
    assert "\n" not in message


def test_another_encoding_and_a_missing_file(tmp_path):
    path = tmp_path / "cp949.csv"
    path.write_bytes('id,pred_label,probs\n1,관계,"[1.0]"\n'.encode("cp949"))
    with pytest.raises(UserError, match="not a CSV in UTF-8"):
        read_submission(path, LABELS)
    with pytest.raises(UserError, match="no such file"):
        read_submission(tmp_path / "none.csv", LABELS)


def test_schema_beside_the_file(tmp_path):
    path = tmp_path / "out.csv"
    assert schema_path(path) == tmp_path / "out.labels.json"
    assert read_schema(path) is None
    korean = LabelMap(("소속", "설립일"), None)
    write_submission(path, ["1"], np.array([[0.25, 0.75]]), korean)
    assert "설립일" in schema_path(path).read_text(encoding="utf-8")  # readable by people
    assert read_schema(path) == korean


@pytest.mark.parametrize(
    "content",
    ["not JSON", "[1]", '{"labels": ["A"]}', '{"labels": ["A", "A"], "no_relation": null}', "3"],
)
def test_a_schema_file_of_something_else(tmp_path, content):
    path = tmp_path / "out.csv"
    schema_path(path).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"out\.labels\.json: not a label order"):
        read_schema(path)
