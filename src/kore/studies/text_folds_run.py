"""Folds of texts: what taggers and classifiers of many labels share.

models/<run>/fold1/train.jsonl, valid.jsonl    -->  models/<run>-fold1.pth
models/<run>/folds.csv                         scores of each fold
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kore.common.errors import UserError
from kore.common.files import write_table
from kore.studies.folds_run import check_manifest, refuse_processes, spread_lines
from kore.training.emotion_options import TrainEmotionOptions
from kore.training.ner_options import TrainNerOptions
from kore.training.run_files import RunFiles, run_files

OptionsT = TypeVar("OptionsT", TrainNerOptions, TrainEmotionOptions)
Record = dict[str, Any]


def check_folds(options: TrainNerOptions | TrainEmotionOptions) -> None:
    """Raises UserError where folds cannot be trained at all."""
    refuse_processes()
    if options.valid_file:
        raise UserError("`num_folds` holds out parts of TRAIN_FILE; leave `valid_file` out")


def train_in_folds(
    options: OptionsT,
    fold_of_text: NDArray[np.int64],
    write: Callable[[Path, Sequence[int]], None],
    train: Callable[[OptionsT], Path],
    judge: Callable[[Path, OptionsT, Sequence[int]], tuple[list[Record], dict[str, float]]],
) -> tuple[RunFiles, list[Record], list[Path]]:
    """Trains a model for each fold and writes the table of their scores.

    Args:
        fold_of_text: (N,) the fold, from 0, that holds each text out.
        write: the texts of these numbers to a file.
        train: one run, to its checkpoint.
        judge: what a checkpoint says of the texts of these numbers, and its scores.

    Returns:
        The files of the run; what is said of each text; the checkpoints.

    Raises:
        UserError: a fold is there already, or what a run raises.
        KeyboardInterrupt: with a message that says how to continue.
    """
    files = run_files(options)
    folds = [_fold_options(options, files, fold) for fold in range(options.num_folds)]
    for fold_options in folds:
        run_files(fold_options)  # refuses a fold that is there before a file of it is written
    check_manifest(options, files)
    found: dict[int, Record] = {}
    rows: list[dict[str, Any]] = []
    checkpoints = []
    for fold, fold_options in enumerate(folds):
        held_out = np.flatnonzero(fold_of_text == fold).tolist()
        write(Path(fold_options.train_file), np.flatnonzero(fold_of_text != fold).tolist())
        write(Path(fold_options.valid_file), held_out)
        try:
            checkpoints.append(train(fold_options))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped in fold {fold + 1} of {len(folds)}; all that is done is kept. To "
                f"continue, give the same command with --run_name {files.run_name} --resume"
            ) from None
        records, scores = judge(checkpoints[-1], fold_options, held_out)
        found.update(zip(held_out, records, strict=True))
        rows.append({"fold": fold + 1, "texts": len(held_out), **scores})
    write_table(files.folder / "folds.csv", rows)
    print(spread_lines(rows, {name: name for name in list(rows[0])[2:]}))
    return files, [found[number] for number in range(len(fold_of_text))], checkpoints


def _fold_options(options: OptionsT, files: RunFiles, fold: int) -> OptionsT:
    folder = files.folder / f"fold{fold + 1}"
    changed: dict[str, Any] = {"type_names": ""} if isinstance(options, TrainNerOptions) else {}
    return dataclasses.replace(
        options,
        num_folds=0,
        run_name=f"{files.run_name}-fold{fold + 1}",
        train_file=str(folder / "train.jsonl"),
        valid_file=str(folder / "valid.jsonl"),
        **changed,  # the files of a fold have the other names already
    )
