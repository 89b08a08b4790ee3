"""k-fold training of many labels: every text is judged once by a model that never saw it.

models/<run>/fold1/train.jsonl, valid.jsonl    -->  models/<run>-fold1.pth
models/<run>/folds.csv                         scores of each fold
outputs/<run>_oof.jsonl                        what they say of all texts
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.files import atomic_write
from kore.data.emotion import JudgedText, labels_of, read_judged
from kore.network.emotion_file import load_emotions
from kore.prediction.judging import Judge, judged_records
from kore.studies.text_folds_run import check_folds, train_in_folds
from kore.training.emotion_options import TrainEmotionOptions
from kore.training.emotion_run import train_emotion

_SCORES = ("micro_f1", "macro_f1", "exact_match")


def train_emotion_folds(options: TrainEmotionOptions) -> Path:
    """Trains a model for each of `--num_folds` and returns the path of what they say.

    Raises:
        UserError: anything the user can fix, such as fewer texts than folds.
        KeyboardInterrupt: with a message that says how to continue.
    """
    check_folds(options)
    texts = read_judged(
        Path(options.train_file), on_bad_row=options.on_bad_row, output_dir=options.output_dir
    )
    labels_of(texts, options.train_file)

    def judge(
        checkpoint: Path, fold_options: TrainEmotionOptions, numbers: Sequence[int]
    ) -> tuple[list[dict[str, Any]], dict[str, float]]:
        trained = load_emotions(checkpoint)
        one = Judge({str(checkpoint): trained}, make_accelerator(fold_options))
        records = judged_records(one, [texts[number] for number in numbers], with_probs=True)
        return records, {name: trained.scores[name] for name in _SCORES}

    files, found, checkpoints = train_in_folds(
        options,
        _assign_folds(texts, options),
        lambda path, numbers: _write_lines(path, (texts[number].record for number in numbers)),
        train_emotion,
        judge,
    )
    output = Path(options.output_dir) / f"{files.run_name}_oof.jsonl"
    _write_lines(output, found)
    print(
        "Each fold's best epoch, temperature and fitted thresholds were chosen on the texts it is "
        f"scored on.\nBy models that did not learn from the text: {output}; to score it, python "
        f"src/evaluation.py --task emotion --prediction_file {output} --gold_file "
        f"{options.train_file}\nTo let them vote: python src/inference_emotion.py --model_file "
        f"{' '.join(map(str, checkpoints))} --vote soft"
    )
    return output


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


def _write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    with atomic_write(path) as file:
        for record in records:
            file.write(f"{json.dumps(record, ensure_ascii=False)}\n")
