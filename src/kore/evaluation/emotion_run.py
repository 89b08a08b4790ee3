"""The command that scores labels, each true or false, against gold ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kore.common.arrays import Floats
from kore.common.errors import UserError
from kore.common.files import atomic_write, write_table
from kore.data.emotion import JudgedText, labels_of, read_judged, truths_of
from kore.evaluation import figures
from kore.evaluation.html_report import write_table_page
from kore.evaluation.options import EvaluationOptions
from kore.evaluation.score_table import aligned
from kore.scoring.labels import LabelScores, score_labels
from kore.scoring.metrics import expected_calibration_error


def evaluate_emotion(options: EvaluationOptions) -> LabelScores:
    """Scores what `kore predict-emotion` wrote, prints and writes the result.

    Raises:
        UserError: a file is faulty, or the files do not hold the same texts and labels.
    """
    gold = read_judged(
        Path(options.gold_file), on_bad_row=options.on_bad_row, output_dir=options.output_dir
    )
    labels = labels_of(gold, options.gold_file)
    predicted = _matched(options, gold, labels)
    truths = truths_of(gold, labels)
    scores = score_labels(truths, truths_of(predicted, labels), labels)
    rows = _table(scores)
    probs = _probs(options.prediction_file, predicted, labels)
    numbers = scores.as_dict()
    if probs is not None:
        flat = np.stack([1 - probs, probs], axis=-1).reshape(-1, 2)
        numbers["ece"] = expected_calibration_error(truths.ravel().astype(np.int64), flat)
    lines = [f"{name.replace('_', ' ')} {value:.2f}" for name, value in numbers.items()]
    print(f"{len(gold)} texts, {len(labels)} labels: {', '.join(lines)}\n")
    print("\n".join(aligned(rows)))
    print(f"\nWritten: {', '.join(map(str, _write(options, numbers, rows)))}")
    return scores


def _matched(
    options: EvaluationOptions, gold: Sequence[JudgedText], labels: Sequence[str]
) -> list[JudgedText]:
    path = Path(options.prediction_file)
    by_id = {text.id: text for text in read_judged(path, labels=labels)}
    lacking = [text.id for text in gold if text.id not in by_id]
    if lacking:
        raise UserError(
            f"{path}: lacks {len(lacking)} texts of {options.gold_file}, {lacking[0]!r} among "
            "them; predict the same texts"
        )
    return [by_id[text.id] for text in gold]


def _probs(path: str, texts: Sequence[JudgedText], labels: Sequence[str]) -> Floats | None:
    """(N, C) where every row has them.

    Raises:
        UserError: one of them is no probability.
    """
    rows = [text.record.get("probs") for text in texts]
    if not all(isinstance(row, dict) and row.keys() >= set(labels) for row in rows):
        return None
    values = [[row[name] for name in labels] for row in rows if row]
    for text, own in zip(texts, values, strict=True):
        for name, value in zip(labels, own, strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise UserError(
                    f"{path}: the row {text.id!r} has {value!r} as the probability of {name}, "
                    "expected a number from 0 to 1"
                )
    return np.asarray(values, dtype=float)


def _table(scores: LabelScores) -> list[dict[str, Any]]:
    """A row for each label."""
    return [
        {
            "label": name,
            "precision": round(counts.precision, 2),
            "recall": round(counts.recall, 2),
            "f1": round(counts.f1, 2),
            "gold": counts.gold,
            "predicted": counts.predicted,
        }
        for name, counts in scores.by_label.items()
    ]


def _write(
    options: EvaluationOptions, numbers: dict[str, float], rows: list[dict[str, Any]]
) -> list[Path]:
    folder = Path(options.output_dir)
    scores, table, picture, page = (
        folder / name for name in ("scores.json", "labels.csv", "labels.png", "report.html")
    )
    with atomic_write(scores) as file:
        json.dump({**numbers, "labels": rows}, file, indent=2, ensure_ascii=False)
        file.write("\n")
    write_table(table, rows)
    figures.label_f1(rows, picture)
    cards = [(name.replace("_", " "), f"{value:.2f}") for name, value in numbers.items()]
    title = f"{options.prediction_file} against {options.gold_file}"
    write_table_page(page, title, cards, rows, [picture])
    return [scores, table, picture, page]
