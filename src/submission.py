"""The file of predictions: `id, pred_label, probs`, and its schema beside it."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from errors import UserError
from files import atomic_write, csv_writer
from metrics import Floats
from schema import LabelMap

COLUMNS = ["id", "pred_label", "probs"]
PROB_DIGITS = 9  # the sum of a row's probabilities stays within 1e-8 of 1
SUM_TOLERANCE = 1e-3  # other programs round more than we do


class Submission(NamedTuple):
    """Predictions in the order of the file; probs (N, C) in label order."""

    ids: list[str]
    pred_labels: list[str]
    probs: Floats


def write_submission(path: Path, ids: Sequence[str], probs: Floats, labels: LabelMap) -> None:
    """Writes the predictions, and beside them `<name>.labels.json`: the label order of `probs`.

    Probabilities are rounded before the largest is looked up, so that the file agrees with itself.

    Raises:
        UserError: a file cannot be written.
    """
    rounded = np.round(probs, PROB_DIGITS)
    with atomic_write(path) as file:
        writer = csv_writer(file)
        writer.writerow(COLUMNS)
        for row_id, best, row in zip(ids, rounded.argmax(axis=1), rounded.tolist(), strict=True):
            writer.writerow([row_id, labels.names[best], row])
    write_schema(schema_path(path), labels)


def write_schema(path: Path, labels: LabelMap) -> None:
    """Writes a label order, for readers of `probs`.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_write(path) as file:
        schema = {"labels": list(labels.names), "no_relation": labels.no_relation}
        json.dump(schema, file, indent=2, ensure_ascii=False)
        file.write("\n")


def schema_path(path: Path) -> Path:
    """Where the label order of a prediction file stands."""
    return path.with_suffix(".labels.json")


def read_schema(path: Path) -> LabelMap | None:
    """The label order written beside a prediction file; None where there is no such file.

    Raises:
        UserError: the file is there, but is no label order.
    """
    schema_file = schema_path(path)
    if not schema_file.is_file():
        return None
    try:
        content = json.loads(schema_file.read_text(encoding="utf-8"))
        return LabelMap(tuple(content["labels"]), content["no_relation"])
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{schema_file}: not a label order that src/inference.py wrote ({error}); restore it, "
            "or remove it and pass --label2id_path"
        ) from error


def read_submission(path: Path, labels: LabelMap) -> Submission:
    """Reads predictions, from this program or any other that keeps to the format.

    Raises:
        UserError: the first row that does not, by its line.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    ids: dict[str, int] = {}
    pred_labels: list[str] = []
    probs: list[list[float]] = []
    csv.field_size_limit(2**31 - 1)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
            if missing:
                raise UserError(f"{path}:1: no column {', '.join(missing)}; expected {COLUMNS}")
            for row in reader:
                try:
                    _check_id(row["id"], ids, reader.line_num)
                    probs.append(_parse_probs(row["probs"], row["pred_label"], labels))
                except ValueError as error:
                    raise UserError(f"{path}:{reader.line_num} {error}") from error
                pred_labels.append(row["pred_label"])
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a CSV in UTF-8 ({error})") from error
    if not ids:
        raise UserError(f"{path}: holds no predictions")
    return Submission(list(ids), pred_labels, np.asarray(probs, dtype=np.float64))


def _check_id(row_id: str | None, ids: dict[str, int], line: int) -> None:
    if not row_id:
        raise ValueError("id: is empty")
    if ids.setdefault(row_id, line) != line:
        raise ValueError(f"id: {row_id!r} stands on line {ids[row_id]} as well")


def _parse_probs(cell: str | None, pred_label: str | None, labels: LabelMap) -> list[float]:
    """The probabilities of one row, checked against its label."""
    try:
        values = [float(value) for value in ast.literal_eval(cell or "")]
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise ValueError("probs: expected a list of numbers such as [0.9, 0.1]") from None
    if len(values) != len(labels):
        raise ValueError(
            f"probs: {len(values)} numbers, expected {len(labels)}, one for every relation"
        )
    if not abs(sum(values) - 1) <= SUM_TOLERANCE or not all(0 <= value <= 1 for value in values):
        raise ValueError(
            f"probs: they sum to {sum(values):.4g}, expected numbers in [0, 1] that sum to 1; "
            "are they logits? Apply a softmax first"
        )
    if pred_label not in labels.names:
        raise ValueError(f"pred_label: {pred_label!r} is not one of the {len(labels)} relations")
    if values[labels.names.index(pred_label)] < max(values):
        best = labels.names[values.index(max(values))]
        raise ValueError(
            f"pred_label: {pred_label!r}, but the largest of probs is that of {best!r}; is the "
            "label order of this file another one? Pass its --label2id_path"
        )
    return values
