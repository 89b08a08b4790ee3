"""The file of predictions: `id, pred_label, probs`, and its schema beside it."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from errors import UserError
from files import atomic_write
from metrics import Floats
from records import GZIP
from schema import LabelMap
from submission_formats import Table, format_of

SUM_TOLERANCE = 1e-3  # other programs round more than we do


class Submission(NamedTuple):
    """Predictions in the order of the file; probs (N, C) in label order."""

    ids: list[str]
    pred_labels: list[str]
    probs: Floats


def write_submission(path: Path, ids: Sequence[str], probs: Floats, labels: LabelMap) -> None:
    """Writes the predictions, and beside them `<name>.labels.json`: the label order of `probs`.

    Raises:
        UserError: a file cannot be written, or its name ends in no suffix of `OUTPUT_FORMATS`.
    """
    output_format, table = format_of(path), Table(labels)
    part = io.BytesIO()
    output_format.write_part(part, ids, probs, table)
    part.seek(0)
    with atomic_write(path, "wb") as file:
        output_format.join([part], file, table)
    write_schema(path, labels)


def write_schema(path: Path, labels: LabelMap) -> None:
    """Writes the label order of the prediction file `path` beside it."""
    with atomic_write(schema_path(path)) as file:
        schema = {"labels": list(labels.names), "no_relation": labels.no_relation}
        json.dump(schema, file, indent=2, ensure_ascii=False)
        file.write("\n")


def schema_path(path: Path) -> Path:
    """Where the label order of a prediction file stands."""
    plain = path.with_suffix("") if path.suffix == GZIP else path
    return plain.with_suffix(".labels.json")


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
    for line, row in format_of(path).read(path):
        try:
            _check_id(row["id"], ids, line)
            probs.append(_parse_probs(row["probs"], row["pred_label"], labels))
        except ValueError as error:
            raise UserError(f"{path}:{line} {error}") from error
        pred_labels.append(row["pred_label"])
    if not ids:
        raise UserError(f"{path}: holds no predictions")
    return Submission(list(ids), pred_labels, np.asarray(probs, dtype=np.float64))


def _check_id(row_id: str | None, ids: dict[str, int], line: int) -> None:
    if not row_id:
        raise ValueError("id: is empty")
    if ids.setdefault(row_id, line) != line:
        raise ValueError(f"id: {row_id!r} stands on line {ids[row_id]} as well")


def _parse_probs(cell: Any, pred_label: str | None, labels: LabelMap) -> list[float]:
    """The probabilities of one row, checked against its label."""
    try:
        listed = ast.literal_eval(cell) if isinstance(cell, str) else cell
        values = [float(value) for value in listed]
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
