"""Predictions and gold labels -> scores as a table, as JSON and as a picture."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

import figures
from config import AUTO, EvaluationOptions, SchemaOptions
from errors import UserError
from files import atomic_write
from label_files import load_label_map, make_label_map
from metrics import Floats, Ints, Scores, score
from rows import read_examples
from schema import LabelMap
from submission import read_schema, read_submission


def report(options: EvaluationOptions) -> Scores:
    """Scores `--prediction_file` against `--gold_file` and writes to `--output_dir`.

    Raises:
        UserError: a file is faulty, or the two do not hold the same ids.
    """
    prediction_file = Path(options.prediction_file)
    labels = find_labels(options, prediction_file)
    gold, probs = matched(options, prediction_file, labels)
    scores = score(gold, probs, labels)
    print(scores_table(scores))
    output_dir = Path(options.output_dir)
    with atomic_write(output_dir / "scores.json") as file:
        json.dump(scores.as_dict(), file, indent=2, ensure_ascii=False)
        file.write("\n")
    picture = output_dir / "confusion_matrix.png"
    figures.confusion(gold, probs.argmax(axis=1), labels.names, picture)
    print(f"\nWritten: {output_dir / 'scores.json'}, {picture}")
    return scores


def find_labels(options: EvaluationOptions, prediction_file: Path) -> LabelMap:
    """The label order of the predictions: as flagged, as written beside them, or KLUE's."""
    if options.label2id_path in ("", AUTO):
        written = read_schema(prediction_file)
        if written is not None:
            given = options.no_relation_label
            is_default = given == SchemaOptions.no_relation_label
            return written if is_default else make_label_map(written.names, given)
        options.label2id_path = options.label2id_path or SchemaOptions.label2id_path
    return load_label_map(options)


def matched(
    options: EvaluationOptions, prediction_file: Path, labels: LabelMap
) -> tuple[Ints, Floats]:
    """Gold relation numbers (N,) and probabilities (N, C), row by row of the gold file.

    Raises:
        UserError: the two files do not hold the same ids.
    """
    predictions = read_submission(prediction_file, labels)
    examples = read_examples(
        Path(options.gold_file), options, need_labels=True, known_labels=labels.names
    )
    row_of_id = {row_id: row for row, row_id in enumerate(predictions.ids)}
    gold_ids = {example.id for example in examples}
    sides: list[tuple[Collection[str], Collection[str], Path]] = [
        (row_of_id.keys(), gold_ids, prediction_file)
    ]
    if options.on_bad_row == "stop":  # else rows of the gold file may have been set aside
        sides.append((gold_ids, row_of_id.keys(), Path(options.gold_file)))
    for held, wanted, file in sides:
        lacking = [row_id for row_id in wanted if row_id not in held]
        if lacking:
            raise UserError(
                f"{file}: lacks {len(lacking)} ids of the other file, {lacking[0]!r} among them; "
                "name the predictions and the gold labels of the same rows"
            )
    gold = np.asarray(labels.index(str(example.label) for example in examples))
    return gold, predictions.probs[[row_of_id[example.id] for example in examples]]


def scores_table(scores: Scores) -> str:
    """The scores as text: totals, then relations by number of gold rows."""
    table = pd.DataFrame([vars(row) for row in scores.relations])
    table = table[(table["support"] > 0) | (table["predicted"] > 0)]
    table = table.sort_values("support", ascending=False, kind="stable")
    with pd.option_context("display.unicode.east_asian_width", True):
        rows = table.to_string(index=False, float_format="%.1f")
    return (
        f"{scores.rows} rows   micro-F1 {scores.micro_f1:.2f}   AUPRC {scores.auprc:.2f}   "
        f"accuracy {scores.accuracy:.2f}\n\n{rows}"
    )
