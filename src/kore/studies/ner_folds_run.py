"""k-fold training of taggers: every text is tagged once by a model that never saw it.

models/<run>/fold1/train.jsonl, valid.jsonl    -->  models/<run>-fold1.pth
models/<run>/folds.csv                         scores of each fold
outputs/<run>_oof.jsonl                        what was found in all texts
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.files import atomic_write
from kore.data.ner import (
    TaggedText,
    read_tagged,
    read_type_names,
    with_types,
    write_json_lines,
)
from kore.network.tagger_file import load_tagger
from kore.prediction.tagging import EntityFinder, record_of
from kore.scoring.ner import SCORE_NAMES
from kore.studies.text_folds_run import check_folds, train_in_folds
from kore.training.ner_options import TrainNerOptions
from kore.training.ner_run import train_ner


def train_ner_folds(options: TrainNerOptions) -> Path:
    """Trains a tagger for each of `--num_folds` and returns the path of all that was found.

    Raises:
        UserError: anything the user can fix, such as a type with fewer texts than folds.
        KeyboardInterrupt: with a message that says how to continue.
    """
    check_folds(options)
    texts = with_types(
        read_tagged(
            Path(options.train_file), on_bad_row=options.on_bad_row, output_dir=options.output_dir
        ),
        read_type_names(options.type_names),
    )

    def judge(
        checkpoint: Path, fold_options: TrainNerOptions, numbers: Sequence[int]
    ) -> tuple[list[dict[str, Any]], dict[str, float]]:
        trained = load_tagger(checkpoint)
        finder = EntityFinder(trained, make_accelerator(fold_options))
        hits = finder([texts[number].text for number in numbers])
        records = [
            record_of(texts[number].id, texts[number].text, entities)
            for number, entities in zip(numbers, hits, strict=True)
        ]
        return records, {name: trained.scores[name] for name in SCORE_NAMES}

    files, found, _ = train_in_folds(
        options,
        assign_folds(texts, options.num_folds, options.seed),
        lambda path, numbers: write_json_lines(path, [texts[number] for number in numbers]),
        train_ner,
        judge,
    )
    output = Path(options.output_dir) / f"{files.run_name}_oof.jsonl"
    with atomic_write(output) as file:
        for record in found:
            file.write(f"{json.dumps(record, ensure_ascii=False)}\n")
    gold = output.with_name(f"{files.run_name}_gold.jsonl")
    write_json_lines(gold, texts)
    print(
        f"Found by models that never saw the text: {output}; to score it, python "
        f"src/evaluation.py --task ner --prediction_file {output} --gold_file {gold}"
    )
    return output


def assign_folds(texts: Sequence[TaggedText], num_folds: int, seed: int) -> NDArray[np.int64]:
    """(N,) the fold, from 0, that holds each text out; a text that stands twice has one fold.

    Each fold has its share of the texts of every type, so that every type is learned everywhere.

    Raises:
        UserError: a type has fewer texts than there are folds.
    """
    counts = Counter(kind for row in texts for kind in {one.type for one in row.entities})
    rarest = [
        min((one.type for one in row.entities), key=counts.__getitem__, default="") for row in texts
    ]
    groups = Counter(kind for kind in rarest if kind)
    kind, count = min(groups.items(), key=lambda pair: pair[1], default=("", 0))
    if count < num_folds:
        fewer = f"pass `num_folds` {count} or less, or " if count > 1 else ""
        raise UserError(
            f"`num_folds` {num_folds}, but {count} texts have {kind or 'an entity'} as their "
            f"rarest type; {fewer}add more of them"
        )
    folds = np.zeros(len(texts), dtype=np.int64)
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    same_text = [row.text for row in texts]
    with warnings.catch_warnings(action="ignore"):  # of few texts without an entity
        for fold, (_, held_out) in enumerate(splitter.split(rarest, rarest, same_text)):
            folds[held_out] = fold
    return folds
