"""k-fold training of many labels: every text is judged once by a model that never saw it.

models/<run>/fold1/train.jsonl, valid.jsonl    -->  models/<run>-fold1.pth
models/<run>/folds.csv                         scores of each fold
outputs/<run>_oof.jsonl                        what they say of all texts
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.files import atomic_write, write_table
from kore.data.emotion import JudgedText, labels_of, read_judged
from kore.network.emotion_file import load_emotions
from kore.prediction.judging import Judge, judged_records
from kore.studies.folds_run import check_manifest, refuse_processes, spread_lines
from kore.training.emotion_options import TrainEmotionOptions
from kore.training.emotion_run import train_emotion
from kore.training.run_files import RunFiles, run_files

_SCORES = ("micro_f1", "macro_f1", "exact_match")


def train_emotion_folds(options: TrainEmotionOptions) -> Path:
    """Trains a model for each of `--num_folds` and returns the path of what they say.

    Raises:
        UserError: anything the user can fix, such as fewer texts than folds.
        KeyboardInterrupt: with a message that says how to continue.
    """
    refuse_processes()
    if options.valid_file:
        raise UserError("`num_folds` holds out parts of TRAIN_FILE; leave `valid_file` out")
    texts = read_judged(
        Path(options.train_file), on_bad_row=options.on_bad_row, output_dir=options.output_dir
    )
    labels_of(texts, options.train_file)
    fold_of_text = _assign_folds(texts, options)
    files = run_files(options)
    folds = [_fold_options(options, files, fold) for fold in range(options.num_folds)]
    for fold_options in folds:
        run_files(fold_options)  # refuses a fold that is there before a file of it is written
    check_manifest(options, files)
    found: dict[int, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for fold, fold_options in enumerate(folds):
        held_out = np.flatnonzero(fold_of_text == fold).tolist()
        kept = np.flatnonzero(fold_of_text != fold).tolist()
        _write_lines(Path(fold_options.train_file), (texts[number].record for number in kept))
        _write_lines(Path(fold_options.valid_file), (texts[number].record for number in held_out))
        try:
            best = train_emotion(fold_options)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped in fold {fold + 1} of {len(folds)}; all that is done is kept. To "
                f"continue, give the same command with --run_name {files.run_name} --resume"
            ) from None
        trained = load_emotions(best)
        judge = Judge({str(best): trained}, make_accelerator(fold_options))
        records = judged_records(judge, [texts[number] for number in held_out], with_probs=True)
        found.update(zip(held_out, records, strict=True))
        scores = {name: trained.scores[name] for name in _SCORES}
        rows.append({"fold": fold + 1, "texts": len(held_out), **scores})
    write_table(files.folder / "folds.csv", rows)
    output = Path(options.output_dir) / f"{files.run_name}_oof.jsonl"
    _write_lines(output, (found[number] for number in range(len(texts))))
    print(spread_lines(rows, _SCORES))
    print(
        "Each fold's best epoch, temperature and fitted thresholds were chosen on the texts it is "
        "scored on."
    )
    print(
        f"By models that never saw the text: {output}; to score it, python src/evaluation.py "
        f"--task emotion --prediction_file {output} --gold_file {options.train_file}\n"
        f"To let them vote: python src/inference_emotion.py --model_file "
        f"{' '.join(str(run_files_of(one).best) for one in folds)} --vote soft"
    )
    return output


def run_files_of(options: TrainEmotionOptions) -> RunFiles:
    """Where a fold wrote."""
    return RunFiles(Path(options.model_dir), options.run_name)


def _assign_folds(texts: Sequence[JudgedText], options: TrainEmotionOptions) -> Any:
    """(N,) the fold, from 0, that holds each text out; a text that stands twice has one fold."""
    forms = [text.form for text in texts]
    if len(set(forms)) < options.num_folds:
        raise UserError(
            f"`num_folds` {options.num_folds}, but {options.train_file} has {len(set(forms))} "
            "different texts"
        )
    splitter = GroupKFold(options.num_folds, shuffle=True, random_state=options.seed)
    folds = np.zeros(len(texts), dtype=np.int64)
    for fold, (_, held_out) in enumerate(splitter.split(forms, groups=forms)):
        folds[held_out] = fold
    return folds


def _fold_options(options: TrainEmotionOptions, files: RunFiles, fold: int) -> TrainEmotionOptions:
    folder = files.folder / f"fold{fold + 1}"
    return dataclasses.replace(
        options,
        num_folds=0,
        run_name=f"{files.run_name}-fold{fold + 1}",
        train_file=str(folder / "train.jsonl"),
        valid_file=str(folder / "valid.jsonl"),
    )


def _write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    with atomic_write(path) as file:
        for record in records:
            file.write(f"{json.dumps(record, ensure_ascii=False)}\n")
