"""k-fold training: every example is predicted once by a model that never saw its sentence.

A fold is an ordinary run of training on files of its own, so that it resumes like any other:

    models/<run>/fold1/train_data.csv, valid_data.csv    -->  models/<run>-fold1.pth
    models/<run>/folds.csv                               scores of each fold
    outputs/<run>_oof.csv                                the out-of-fold predictions of all examples
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from kore.common.arrays import Floats
from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.files import atomic_write, write_table
from kore.common.manifest import Manifest
from kore.common.processes import is_launched
from kore.common.resources import find_file
from kore.data.records import write_examples
from kore.data.schema import Example, LabelMap
from kore.network.checkpoint import load_model
from kore.prediction.predictions import write_submission
from kore.prediction.predictor import predict_examples
from kore.scoring.label_shift import read_prior, row_weights
from kore.scoring.metrics import ALL_TITLES, score
from kore.training.emotion_options import TrainEmotionOptions
from kore.training.ner_options import TrainNerOptions
from kore.training.options import TrainOptions
from kore.training.run import read_labelled, train
from kore.training.run_files import RunFiles, run_files


def train_folds(options: TrainOptions) -> Path:
    """Trains a model for each of `--num_folds` and returns the path of all predictions.

    Raises:
        UserError: anything the user can fix, such as a relation with fewer sentences than folds.
        KeyboardInterrupt: with a message that says how to continue.
    """
    refuse_processes()
    examples, labels = read_labelled(Path(options.train_file), options)
    fold_of_example = assign_folds(examples, options.num_folds, options.seed)
    files = run_files(options)
    folds = [_fold_options(options, files, fold) for fold in range(options.num_folds)]
    for fold_options in folds:
        run_files(fold_options)  # refuses a fold that is there before a file of it is written
    check_manifest(options, files)
    with atomic_write(Path(folds[0].label2id_path)) as file:
        json.dump(list(labels.names), file, ensure_ascii=False)
    probs = np.zeros((len(examples), len(labels)))
    rows: list[dict[str, Any]] = []
    for fold, fold_options in enumerate(folds):
        is_held_out = fold_of_example == fold
        kept, held_out = _parted(examples, is_held_out)
        write_examples(Path(fold_options.train_file), kept)
        write_examples(Path(fold_options.valid_file), held_out)
        try:
            trained = load_model(train(fold_options))
            accelerator = make_accelerator(fold_options)
            probs[is_held_out] = predict_examples(trained, held_out, accelerator)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped in fold {fold + 1} of {len(folds)}; all that is done is kept. To "
                f"continue, give the same command with --run_name {files.run_name} --resume"
            ) from None
        scores = {name: trained.scores[name] for name in ALL_TITLES}
        rows.append({"fold": fold + 1, "rows": len(held_out), **scores})
    write_table(files.folder / "folds.csv", rows)
    output = Path(options.output_dir) / f"{files.run_name}_oof.csv"
    write_submission(output, [example.id for example in examples], probs, labels)
    print(summary(rows, examples, probs, labels, options.target_prior))
    prior = f" --target_prior {options.target_prior}" if options.target_prior else ""
    print(
        f"Out-of-fold predictions: {output}; to score them, python src/evaluation.py "
        f"--prediction_file {output} --gold_file {options.train_file}{prior}"
    )
    return output


def assign_folds(examples: Sequence[Example], num_folds: int, seed: int) -> np.ndarray:
    """(N,) the fold, from 0, that holds each example out; those of a sentence have the same one.

    The folds are of like size, and each has every relation's share of the examples as far as whole
    sentences allow.

    Raises:
        UserError: a relation has fewer sentences than there are folds.
    """
    labels = [str(example.label) for example in examples]
    groups = [example.sentence for example in examples]
    sentences = Counter(label for label, _ in set(zip(labels, groups, strict=True)))
    rarest, count = min(sentences.items(), key=lambda pair: pair[1])
    if count < num_folds:
        fewer = f"pass `num_folds` {count} or less, or " if count > 1 else ""
        raise UserError(
            f"`num_folds` {num_folds}, but {rarest} stands in {count} sentences only; {fewer}"
            "add more examples of it"
        )
    folds = np.zeros(len(examples), dtype=np.int64)
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings(action="ignore"):  # of few examples of a relation, see above
        for fold, (_, held_out) in enumerate(splitter.split(groups, labels, groups)):
            folds[held_out] = fold
    return folds


def summary(
    rows: Sequence[dict[str, Any]],
    examples: Sequence[Example],
    probs: Floats,
    labels: LabelMap,
    target_prior: str = "",
) -> str:
    """Scores of the folds, mean ± sd, and of all examples together.

    Args:
        target_prior: the file of class shares to score under; "" = those of the examples.
    """
    gold = np.asarray(labels.index(str(example.label) for example in examples))
    weights = None
    if target_prior:
        weights = row_weights(gold, read_prior(find_file(target_prior), labels))
    whole = score(gold, probs, labels, weights)
    together = (
        f"All {len(rows)} folds together: micro-F1 {whole.micro_f1:.2f}, AUPRC {whole.auprc:.2f}, "
        f"accuracy {whole.accuracy:.2f}. Each fold's best epoch was chosen on the examples it "
        "is scored on."
    )
    return f"{spread_lines(rows, ALL_TITLES)}\n{together}"


def spread_lines(rows: Sequence[dict[str, Any]], titles: Mapping[str, str]) -> str:
    """Each score of the folds, by its column and title: mean ± sd, and all of them."""
    lines = []
    for name, title in titles.items():
        values = [row[name] for row in rows]
        spread = f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"
        lines.append(f"{title} {spread} ({', '.join(f'{value:.2f}' for value in values)})")
    return "\n".join(lines)


def refuse_processes() -> None:
    """Raises UserError where several processes were started."""
    if is_launched():
        raise UserError(
            "folds are trained by one process; leave accelerate launch out, or `num_folds`"
        )


def check_manifest(
    options: TrainOptions | TrainNerOptions | TrainEmotionOptions, files: RunFiles
) -> None:
    """Refuses to continue with other folds than those that were begun: their files would change."""
    split: dict[str, Any] = {"`num_folds`": options.num_folds, "`seed`": options.seed}
    manifest = Manifest.of(files={"train_file": Path(options.train_file)}, **split)
    begun = f"the run {files.run_name}"
    manifest.begin_or_continue(files.folder / "folds.json", begun, "pass another --run_name")


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


def _parted(
    examples: Sequence[Example], is_held_out: np.ndarray
) -> tuple[list[Example], list[Example]]:
    """The examples that a fold learns from, and those that it holds out."""
    kept: list[Example] = []
    held_out: list[Example] = []
    for example, is_out in zip(examples, is_held_out, strict=True):
        (held_out if is_out else kept).append(example)
    return kept, held_out
