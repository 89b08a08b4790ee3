"""k-fold training of taggers: every text is tagged once by a model that never saw it.

models/<run>/fold1/train.jsonl, valid.jsonl    -->  models/<run>-fold1.pth
models/<run>/folds.csv                         scores of each fold
outputs/<run>_oof.jsonl                        what was found in all texts
"""

from __future__ import annotations

import dataclasses
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
from kore.common.files import atomic_write, write_table
from kore.data.ner import TaggedText, read_tagged, with_types, write_json_lines
from kore.network.tagger_file import load_tagger
from kore.prediction.tagging import EntityFinder, record_of
from kore.scoring.ner import SCORE_NAMES
from kore.studies.folds_run import check_manifest, refuse_processes, spread_lines
from kore.training.ner_options import TrainNerOptions
from kore.training.ner_run import read_type_names, train_ner
from kore.training.run_files import RunFiles, run_files


def train_ner_folds(options: TrainNerOptions) -> Path:
    """Trains a tagger for each of `--num_folds` and returns the path of all that was found.

    Raises:
        UserError: anything the user can fix, such as a type with fewer texts than folds.
        KeyboardInterrupt: with a message that says how to continue.
    """
    refuse_processes()
    if options.valid_file:
        raise UserError("`num_folds` holds out parts of TRAIN_FILE; leave `valid_file` out")
    texts = with_types(
        read_tagged(
            Path(options.train_file), on_bad_row=options.on_bad_row, output_dir=options.output_dir
        ),
        read_type_names(options.type_names),
    )
    fold_of_text = assign_folds(texts, options.num_folds, options.seed)
    files = run_files(options)
    folds = [_fold_options(options, files, fold) for fold in range(options.num_folds)]
    for fold_options in folds:
        run_files(fold_options)  # refuses a fold that is there before a file of it is written
    check_manifest(options, files)
    found: dict[int, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for fold, fold_options in enumerate(folds):
        held_out = np.flatnonzero(fold_of_text == fold).tolist()
        kept = [row for row, own in zip(texts, fold_of_text, strict=True) if own != fold]
        write_json_lines(Path(fold_options.train_file), kept)
        write_json_lines(Path(fold_options.valid_file), [texts[number] for number in held_out])
        try:
            trained = load_tagger(train_ner(fold_options))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped in fold {fold + 1} of {len(folds)}; all that is done is kept. To "
                f"continue, give the same command with --run_name {files.run_name} --resume"
            ) from None
        finder = EntityFinder(trained, make_accelerator(fold_options))
        hits = finder([texts[number].text for number in held_out])
        for number, entities in zip(held_out, hits, strict=True):
            found[number] = record_of(texts[number].id, texts[number].text, entities)
        scores = {name: trained.scores[name] for name in SCORE_NAMES}
        rows.append({"fold": fold + 1, "texts": len(held_out), **scores})
    write_table(files.folder / "folds.csv", rows)
    output = Path(options.output_dir) / f"{files.run_name}_oof.jsonl"
    with atomic_write(output) as file:
        for number in range(len(texts)):
            file.write(f"{json.dumps(found[number], ensure_ascii=False)}\n")
    gold = output.with_name(f"{files.run_name}_gold.jsonl")
    write_json_lines(gold, texts)
    print(spread_lines(rows, SCORE_NAMES))
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


def _fold_options(options: TrainNerOptions, files: RunFiles, fold: int) -> TrainNerOptions:
    folder = files.folder / f"fold{fold + 1}"
    return dataclasses.replace(
        options,
        num_folds=0,
        type_names="",  # the files of a fold have the other names already
        run_name=f"{files.run_name}-fold{fold + 1}",
        train_file=str(folder / "train.jsonl"),
        valid_file=str(folder / "valid.jsonl"),
    )
