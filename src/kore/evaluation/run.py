"""The command that scores predictions against gold labels.

read the files -> `assess`: all numbers -> text on stdout, tables, pictures, report.html
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kore.common.arrays import Floats
from kore.common.errors import UserError
from kore.common.files import atomic_write
from kore.common.resources import find_file
from kore.data.rows import read_examples
from kore.data.schema import Example, LabelMap
from kore.evaluation import figures
from kore.evaluation.assessment import Assessment, assess, gold_numbers
from kore.evaluation.assessment_text import full_text
from kore.evaluation.emotion_run import evaluate_emotion
from kore.evaluation.error_analysis import changed_rows, confident_errors
from kore.evaluation.extraction_run import evaluate_extraction
from kore.evaluation.html_report import write_html
from kore.evaluation.marked_run import evaluate_marked, holds_examples
from kore.evaluation.ner_run import evaluate_entities
from kore.evaluation.options import EMOTION, EXTRACTION, NER, EvaluationOptions
from kore.prediction.predictions import find_labels, read_schema, read_submission
from kore.scoring.label_shift import class_shares, estimate_prior, read_prior
from kore.scoring.labels import LabelScores
from kore.scoring.metrics import reliability
from kore.scoring.ner import EntityScores

ESTIMATE = "estimate"


def evaluate(
    options: EvaluationOptions,
) -> Assessment | EntityScores | LabelScores | dict[str, Any]:
    """Scores PREDICTION_FILE against GOLD_FILE, prints the result and writes it to OUTPUT_DIR.

    Raises:
        UserError: a file is faulty, or the files do not hold the same ids.
    """
    _check_options(options)
    if options.task == EXTRACTION:
        return evaluate_extraction(options)
    if options.task == EMOTION:
        return evaluate_emotion(options)
    if options.task != NER:
        return evaluate_relations(options)
    if holds_examples(Path(options.gold_file)):
        if options.train_file:
            raise UserError(
                "`train_file` goes with tagged texts as `gold_file`; leave it out with examples of "
                "relations"
            )
        return evaluate_marked(options)
    return evaluate_entities(options)


def evaluate_relations(options: EvaluationOptions) -> Assessment:
    """The same for relations."""
    prediction_file = Path(options.prediction_file)
    labels = find_labels(prediction_file, options)
    if options.compare:
        _check_same_schema(options, labels)
    examples = read_examples(
        Path(options.gold_file),
        need_labels=True,
        known_labels=labels.names,
        on_bad_row=options.on_bad_row,
        output_dir=options.output_dir,
    )
    probs = matched(options, prediction_file, examples, labels)
    train_examples: list[Example] = []
    if options.train_file:
        train_examples = read_examples(
            Path(options.train_file), on_bad_row=options.on_bad_row, output_dir=options.output_dir
        )
    other = None
    if options.compare:
        other = matched(options, Path(options.compare), examples, labels)
    result = assess(
        examples,
        probs,
        labels,
        other=other,
        prior=_expected_shares(options, examples, labels),
        train_examples=train_examples,
        resamples=options.resamples,
        seed=options.seed,
    )
    print(full_text(result))
    written = write_files(Path(options.output_dir), result)
    print(f"\nWritten: {', '.join(str(path) for path in written)}")
    return result


def matched(
    options: EvaluationOptions, file: Path, examples: Sequence[Example], labels: LabelMap
) -> Floats:
    """Probabilities (N, C) of a prediction file, in the order of the gold examples.

    Raises:
        UserError: the two do not hold the same ids.
    """
    predictions = read_submission(file, labels)
    row_of_id = {row_id: row for row, row_id in enumerate(predictions.ids)}
    gold_ids = {example.id for example in examples}
    sides: list[tuple[Collection[str], Collection[str], Path]] = [
        (row_of_id.keys(), gold_ids, file)
    ]
    if options.on_bad_row == "stop":  # else rows of the gold file may have been set aside
        sides.append((gold_ids, row_of_id.keys(), Path(options.gold_file)))
    for held, wanted, lacking_file in sides:
        lacking = [row_id for row_id in wanted if row_id not in held]
        if lacking:
            raise UserError(
                f"{lacking_file}: lacks {len(lacking)} ids of the other file, {lacking[0]!r} "
                "among them; give predictions and gold labels of the same examples"
            )
    return predictions.probs[[row_of_id[example.id] for example in examples]]


def write_files(folder: Path, result: Assessment) -> list[Path]:
    """Writes numbers, tables, pictures and the page that shows them all; returns their paths.

    Raises:
        UserError: a file cannot be written.
    """
    scores_file = folder / "scores.json"
    with atomic_write(scores_file) as file:
        json.dump(result.as_dict(), file, indent=2, ensure_ascii=False)
        file.write("\n")
    tables = _tables(result)
    for name, table in tables.items():
        with atomic_write(folder / name) as file:
            table.to_csv(file, index=False)
    pictures = _draw(folder, result)
    page = folder / "report.html"
    write_html(page, result, tables["errors.csv"], tables.get("changed_rows.csv"), pictures)
    return [page, scores_file, *(folder / name for name in tables), *pictures]


def _tables(result: Assessment) -> dict[str, pd.DataFrame]:
    """By the name of the file."""
    tables = {
        "slices.csv": result.slices,
        "errors.csv": confident_errors(result.examples, result.gold, result.probs, result.labels),
    }
    if result.other is not None:
        second = result.other.argmax(axis=1)
        tables["changed_rows.csv"] = changed_rows(
            result.examples, result.gold, result.predicted, second, result.labels
        )
    return tables


def _draw(folder: Path, result: Assessment) -> list[Path]:
    gold, predicted, names = result.gold, result.predicted, result.labels.names
    counts, shares, precision_recall, calibration = pictures = [
        folder / f"{name}.png"
        for name in ("confusion_matrix", "confusion_shares", "precision_recall", "reliability")
    ]
    figures.confusion(gold, predicted, names, counts)
    figures.confusion(gold, predicted, names, shares, is_normalised=True)
    figures.precision_recall(gold, result.probs, names, precision_recall)
    curves = {"first": result.probs, "second": result.other}
    figures.reliability(
        {name: reliability(gold, probs) for name, probs in curves.items() if probs is not None},
        calibration,
    )
    return pictures


def _expected_shares(
    options: EvaluationOptions, examples: Sequence[Example], labels: LabelMap
) -> Floats | None:
    """(C,), read or estimated from predictions of unlabelled examples; None where none are asked.

    Raises:
        UserError: a file is faulty.
    """
    if not options.target_prior:
        return None
    if options.target_prior != ESTIMATE:
        return read_prior(find_file(options.target_prior), labels)
    unlabelled = read_submission(Path(options.unlabelled_file), labels).probs
    return estimate_prior(unlabelled, class_shares(gold_numbers(examples, labels), len(labels)))


def _check_options(options: EvaluationOptions) -> None:
    for name in ("prediction_file", "gold_file"):
        if not getattr(options, name):
            raise UserError(f"`{name}` is missing: name the file")
    foreign = {
        NER: ("compare", "target_prior", "unlabelled_file"),
        EXTRACTION: ("train_file", "target_prior", "unlabelled_file"),
        EMOTION: ("compare", "train_file", "target_prior", "unlabelled_file"),
    }
    for name in foreign.get(options.task, ()):
        if getattr(options, name):
            raise UserError(f"`{name}` is for relations; leave it out with `task` {options.task}")
    if options.target_prior == ESTIMATE and not options.unlabelled_file:
        raise UserError(
            "`target_prior` estimate needs `unlabelled_file`, predictions of the examples whose "
            "class shares are to be estimated"
        )
    if options.unlabelled_file and options.target_prior != ESTIMATE:
        raise UserError("`unlabelled_file` goes with `target_prior` estimate")


def _check_same_schema(options: EvaluationOptions, labels: LabelMap) -> None:
    other = read_schema(Path(options.compare))
    if other is not None and other.names != labels.names:
        raise UserError(
            f"{options.compare}: its relations or their order are not those of "
            f"{options.prediction_file}; compare predictions with the same relations"
        )
