"""The file of predictions: `id, pred_label, probs`, and its schema beside it."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kore.common.arrays import Floats
from kore.common.errors import UserError
from kore.common.files import atomic_write
from kore.common.flags import AUTO
from kore.data.label_files import load_label_map, make_label_map
from kore.data.options import SchemaOptions
from kore.data.records import without_gzip
from kore.data.schema import LabelMap
from kore.prediction.formats import Table, format_of

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
    """The file that holds the label order of a prediction file."""
    return without_gzip(path).with_suffix(".labels.json")


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
            f"{schema_file}: not a label order that KoRE wrote ({error}); restore it, "
            "or remove it and pass `label2id_path`"
        ) from error


def find_labels(path: Path, options: SchemaOptions) -> LabelMap:
    """The label order of a prediction file: that of the options, as written beside it, or KLUE's.

    Raises:
        UserError: the order cannot be read.
    """
    if options.label2id_path in ("", AUTO):
        written = read_schema(path)
        if written is not None:
            given = options.no_relation_label
            is_default = given == SchemaOptions.no_relation_label
            return written if is_default else make_label_map(written.names, given)
    label2id_path = options.label2id_path or SchemaOptions.label2id_path
    return load_label_map(
        label2id_path,
        id2label_path=options.id2label_path,
        no_relation_label=options.no_relation_label,
    )


class CheckedPrediction(NamedTuple):
    """One row of a file, and all that is wrong with it; probs are () where they are no numbers."""

    line: int
    id: str
    pred_label: str
    probs: tuple[float, ...]
    faults: list[str]


def read_submission(path: Path, labels: LabelMap) -> Submission:
    """Reads predictions, from this program or any other that keeps to the format.

    Raises:
        UserError: the first row that does not, by its line.
    """
    rows = []
    for row in iter_predictions(path, labels):
        if row.faults:
            raise UserError(f"{path}:{row.line} {row.faults[0]}")
        rows.append(row)
    if not rows:
        raise UserError(f"{path}: holds no predictions")
    return Submission(
        [row.id for row in rows],
        [row.pred_label for row in rows],
        np.asarray([row.probs for row in rows], dtype=np.float64),
    )


def iter_predictions(path: Path, labels: LabelMap) -> Iterator[CheckedPrediction]:
    """Every row of a file of predictions, good or faulty.

    Raises:
        UserError: it is missing, lacks a column or is damaged as a whole.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    lines: dict[str, int] = {}
    for line, row in format_of(path).read(path):
        row_id, pred_label = row["id"] or "", row["pred_label"] or ""
        faults = []
        if not row_id:
            faults.append("id: is empty")
        elif lines.setdefault(row_id, line) != line:
            faults.append(f"id: {row_id!r} stands on line {lines[row_id]} as well")
        probs = _parse_probs(row["probs"])
        if probs is None:
            faults.append("probs: expected a list of numbers such as [0.9, 0.1]")
        else:
            faults += _probs_faults(probs, labels) or _label_faults(pred_label, probs, labels)
        yield CheckedPrediction(line, row_id, pred_label, probs or (), faults)


def _parse_probs(cell: Any) -> tuple[float, ...] | None:
    """The numbers of a cell; None where it holds anything else. Nothing in it is executed."""
    try:
        listed = ast.literal_eval(cell) if isinstance(cell, str) else cell
        return tuple(float(value) for value in listed)
    except (ValueError, OverflowError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _probs_faults(probs: tuple[float, ...], labels: LabelMap) -> list[str]:
    if len(probs) != len(labels):
        return [f"probs: {len(probs)} numbers, expected {len(labels)}, one for every relation"]
    if not abs(sum(probs) - 1) <= SUM_TOLERANCE or not all(0 <= value <= 1 for value in probs):
        return [
            f"probs: they sum to {sum(probs):.4g}, expected numbers in [0, 1] that sum to 1; "
            "are they logits? Apply a softmax first"
        ]
    return []


def _label_faults(pred_label: str, probs: tuple[float, ...], labels: LabelMap) -> list[str]:
    if pred_label not in labels.names:
        return [f"pred_label: {pred_label!r} is not one of the {len(labels)} relations"]
    if probs[labels.names.index(pred_label)] < max(probs):
        best = labels.names[probs.index(max(probs))]
        return [
            f"pred_label: {pred_label!r}, but the largest of probs is that of {best!r}; is the "
            "label order of this file another one? Pass its `label2id_path`"
        ]
    return []
