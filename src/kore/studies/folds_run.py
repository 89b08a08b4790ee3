"""k-fold training: every row is predicted once by a model that never saw its sentence.

A fold is an ordinary run of training on files of its own, so that it resumes like any other:

    models/<run>/fold1/train_data.csv, valid_data.csv    -->  models/<run>-fold1.pth
    models/<run>/folds.csv                               scores of each fold
    outputs/<run>_oof.csv                                the out-of-fold predictions of all rows
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from kore.common.arrays import Floats
from kore.common.changes import differences, refuse_changes
from kore.common.errors import UserError
from kore.common.files import atomic_write, checksum, read_json, write_table
from kore.common.processes import is_launched
from kore.data.records import write_examples
from kore.data.schema import Example, LabelMap
from kore.network.checkpoint import load_model
from kore.prediction.options import InferenceOptions
from kore.prediction.predictions import read_submission, write_submission
from kore.prediction.run import predict_file
from kore.scoring.metrics import ALL_TITLES, score
from kore.training.options import TrainOptions
from kore.training.run import read_labelled, train
from kore.training.run_files import RunFiles, run_files


def train_folds(options: TrainOptions) -> Path:
    """Trains a model for each of `--num_folds` and returns the path of the predictions of all rows.

    Raises:
        UserError: anything the user can mend, a relation with fewer rows than folds among it.
        KeyboardInterrupt: with a message that says how to go on.
    """
    if is_launched():
        raise UserError(
            "folds are trained by one process; leave accelerate launch out, or `num_folds`"
        )
    examples, labels = read_labelled(Path(options.train_file), options)
    fold_of_row = assign_folds(examples, options.num_folds, options.seed)
    files = run_files(options)
    folds = [_fold_options(options, files, fold) for fold in range(options.num_folds)]
    for fold_options in folds:
        run_files(fold_options)  # refuses a fold that is there before a file of it is written
    _keep_what_it_is_made_of(options, files)
    with atomic_write(Path(folds[0].label2id_path)) as file:
        json.dump(list(labels.names), file, ensure_ascii=False)
    probs = np.zeros((len(examples), len(labels)))
    rows: list[dict[str, Any]] = []
    for fold, fold_options in enumerate(folds):
        held_out = fold_of_row == fold
        _write_rows(Path(fold_options.train_file), examples, ~held_out)
        _write_rows(Path(fold_options.valid_file), examples, held_out)
        try:
            model_file = train(fold_options)
            probs[held_out] = _predictions(fold_options, model_file, labels)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped in fold {fold + 1} of {len(folds)}; all that is done is kept. To go on, "
                f"give the same command with --run_name {files.run_name} --resume"
            ) from None
        scores = load_model(model_file).scores
        rows.append({"fold": fold + 1, "rows": int(held_out.sum())})
        rows[-1] |= {name: scores[name] for name in ALL_TITLES}
    write_table(files.folder / "folds.csv", rows)
    output = Path(options.output_dir) / f"{files.run_name}_oof.csv"
    write_submission(output, [row.id for row in examples], probs, labels)
    print(summary(rows, examples, probs, labels))
    print(
        f"Out-of-fold predictions: {output}, for src/evaluation.py --gold_file {options.train_file}"
    )
    return output


def assign_folds(examples: Sequence[Example], num_folds: int, seed: int) -> np.ndarray:
    """(N,) the fold, from 0, that holds each row out; all rows of a sentence have the same one.

    The folds are of like size, and each has every relation's share of the rows as far as whole
    sentences allow.

    Raises:
        UserError: a relation has fewer sentences than there are folds.
    """
    labels = [str(row.label) for row in examples]
    sentences = Counter(label for label, _ in {(str(row.label), row.sentence) for row in examples})
    rarest, count = min(sentences.items(), key=lambda pair: pair[1])
    if count < num_folds:
        fewer = f"pass `num_folds` {count} or less, or " if count > 1 else ""
        raise UserError(
            f"`num_folds` {num_folds}, but {rarest} stands in {count} sentences only; {fewer}"
            "bring more rows of it"
        )
    folds = np.zeros(len(examples), dtype=np.int64)
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    groups = [row.sentence for row in examples]
    with warnings.catch_warnings(action="ignore"):  # of few rows of a relation, as checked above
        for fold, (_, held_out) in enumerate(splitter.split(groups, labels, groups)):
            folds[held_out] = fold
    return folds


def summary(
    rows: Sequence[dict[str, Any]], examples: Sequence[Example], probs: Floats, labels: LabelMap
) -> str:
    """Scores of the folds, mean ± sd, and of all rows together."""
    lines = []
    for name, title in ALL_TITLES.items():
        values = [row[name] for row in rows]
        spread = f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"
        lines.append(f"{title} {spread} ({', '.join(f'{value:.2f}' for value in values)})")
    gold = np.asarray(labels.index(str(row.label) for row in examples))
    whole = score(gold, probs, labels)
    lines.append(
        f"All {len(rows)} folds together: micro-F1 {whole.micro_f1:.2f}, AUPRC {whole.auprc:.2f}, "
        f"accuracy {whole.accuracy:.2f}. Each fold's best epoch was chosen on the rows it is "
        "scored on."
    )
    return "\n".join(lines)


def _keep_what_it_is_made_of(options: TrainOptions, files: RunFiles) -> None:
    """Refuses to go on with other folds than those that were begun: their files would change."""
    path = files.folder / "folds.json"
    made_of = {
        "`num_folds`": options.num_folds,
        "`seed`": options.seed,
        "the checksum of `train_file`": checksum(Path(options.train_file)),
    }
    before = read_json(path) if path.exists() else made_of
    refuse_changes(path, differences(before, made_of))
    with atomic_write(path) as file:
        json.dump(made_of, file, indent=2, ensure_ascii=False)


def _fold_options(options: TrainOptions, files: RunFiles, fold: int) -> TrainOptions:
    """The options of one fold's run; all folds share the relations of all rows."""
    folder = files.folder / f"fold{fold + 1}"
    return dataclasses.replace(
        options,
        num_folds=0,
        run_name=f"{files.run_name}-fold{fold + 1}",
        train_file=str(folder / "train_data.csv"),
        valid_file=str(folder / "valid_data.csv"),
        label2id_path=str(files.folder / "labels.json"),
        id2label_path="",
    )


def _write_rows(path: Path, examples: Sequence[Example], chosen: np.ndarray) -> None:
    rows = [row for row, is_chosen in zip(examples, chosen, strict=True) if is_chosen]
    write_examples(path, rows)


def _predictions(options: TrainOptions, model_file: Path, labels: LabelMap) -> Floats:
    """(n, C) of the rows that the fold held out, as src/inference.py predicts them."""
    folder = Path(options.valid_file).parent
    inference = InferenceOptions(
        model_file=str(model_file),
        test_file=options.valid_file,
        output_dir=str(folder),
        output_name="predictions.csv",
        use_cuda=options.use_cuda,
        precision=options.precision,
    )
    return read_submission(predict_file(inference), labels).probs
