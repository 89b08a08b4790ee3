"""One ensemble from its options to its file of predictions.

checkpoints --run.predict_file--> files of predictions --voting--> one file, as inference writes it
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from kore.common.arrays import Floats
from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.processes import is_launched
from kore.data.rows import read_examples
from kore.data.schema import LabelMap
from kore.network.locate import find_model
from kore.prediction.formats import OUTPUT_FORMATS, format_of
from kore.prediction.options import EnsembleOptions, InferenceOptions
from kore.prediction.parts import is_free_for
from kore.prediction.predictions import Submission, find_labels, read_submission, write_submission
from kore.prediction.run import job_manifest, output_file, predict_file
from kore.scoring.voting import fit_weights, hard_vote, soft_vote

FIT = "fit"


def join_members(options: EnsembleOptions) -> Path:
    """Writes the ensemble's predictions and returns their path.

    Raises:
        UserError: anything the user can fix; an earlier output is then unchanged.
        KeyboardInterrupt: with a message that says how to continue.
    """
    _check_flags(options)
    output = Path(options.output_dir) / options.output_name
    format_of(output)
    members = prediction_files(options.members, Path(options.test_file), options)
    named = [options.test_file, options.gold_file, *options.valid_predictions.split(",")]
    read = [*members, *(Path(name) for name in named if name)]
    if output.resolve() in [path.resolve() for path in read]:
        raise UserError(f"{output} is one of the files it is made of; pass another `output_name`")
    labels = common_labels(members, options)
    files = read_aligned(members, labels)
    probs = [file.probs for file in files]
    if options.method == "hard":
        joined = hard_vote(probs)
    else:
        weights = chosen_weights(options, labels)
        shown = ", ".join(
            f"{name} {weight:.3f}" for name, weight in zip(options.members, weights, strict=True)
        )
        print(f"Weights: {shown}")
        joined = soft_vote(probs, weights)
    write_submission(output, files[0].ids, joined, labels)
    print(f"{len(joined)} examples, {options.method} vote of {len(files)} files: {output}")
    return output


def prediction_files(members: Sequence[str], rows: Path, options: EnsembleOptions) -> list[Path]:
    """A file for each member: itself where it holds predictions, or what it as a model predicts.

    Raises:
        UserError: there is no such file, or a model cannot predict the rows.
        KeyboardInterrupt: with a message that says how to continue.
    """
    given = [Path(member) for member in members if member.endswith(tuple(OUTPUT_FORMATS))]
    for path in given:
        if not path.is_file():
            raise UserError(f"{path}: no such file")
    taken = {path.resolve() for path in given}
    files: list[Path] = []
    for member in members:
        path = Path(member)
        if path not in given:
            path = _predicted(member, rows, options, taken)
            taken.add(path.resolve())
        files.append(path)
    return files


def _predicted(
    model_file: str, rows: Path, options: EnsembleOptions, taken: Collection[Path]
) -> Path:
    """What a model predicts, under the name inference gives it.

    Numbered where that is `taken`, or holds anything but this model's predictions of these rows.
    """
    inference = InferenceOptions(
        model_file=model_file,
        test_file=str(rows),
        output_dir=options.output_dir,
        on_bad_row=options.on_bad_row,
        use_cuda=options.use_cuda,
        precision=options.precision,
        compile=options.compile,
        batch_tokens=options.batch_tokens,
        resume=True,
    )
    inference.output_name = _free_name(inference, taken)
    try:
        return predict_file(inference)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Stopped. Give the same command once more, or name finished files of predictions in "
            f"{options.output_dir} in place of their models"
        ) from None


def _free_name(inference: InferenceOptions, taken: Collection[Path]) -> str:
    path = find_model(inference.model_file, inference.model_dir)
    usual = output_file(inference, path)
    manifest = job_manifest(inference, path, make_accelerator(inference).mixed_precision)
    names = (usual.with_stem(f"{usual.stem}-{number}") for number in itertools.count(2))
    return next(
        output.name
        for output in itertools.chain([usual], names)
        if output.resolve() not in taken and is_free_for(output, manifest)
    )


def common_labels(files: Sequence[Path], options: EnsembleOptions) -> LabelMap:
    """The label order that all files share.

    Raises:
        UserError: one of them has other relations, another order or another negative one.
    """
    first, *others = [find_labels(file, options) for file in files]
    for file, labels in zip(files[1:], others, strict=True):
        if labels != first:
            raise UserError(
                f"{file}: its relations, their order or its no_relation are not those of "
                f"{files[0]}; join models of one schema"
            )
    return first


def read_aligned(files: Sequence[Path], labels: LabelMap) -> list[Submission]:
    """All files, with the rows of the first in its order.

    Raises:
        UserError: a file is faulty, or lacks a row of another.
    """
    first, *others = [read_submission(file, labels) for file in files]
    aligned = [first]
    for path, file in zip(files[1:], others, strict=True):
        row_of_id = {row_id: row for row, row_id in enumerate(file.ids)}
        lacking = [row_id for row_id in first.ids if row_id not in row_of_id]
        if lacking or len(file.ids) != len(first.ids):
            example = f", {lacking[0]!r} is missing" if lacking else ""
            raise UserError(
                f"{path}: {len(file.ids)} rows, but {files[0]} has {len(first.ids)}{example}; "
                "join predictions of the same rows"
            )
        rows = [row_of_id[row_id] for row_id in first.ids]
        labels_in_order = [file.pred_labels[row] for row in rows]
        aligned.append(Submission(first.ids, labels_in_order, file.probs[rows]))
    return aligned


def chosen_weights(options: EnsembleOptions, labels: LabelMap) -> Floats:
    """(K,) weights of sum 1: equal, as given, or fitted on `--gold_file`.

    Raises:
        UserError: they are no numbers, too few or too many, or cannot be fitted.
    """
    count = len(options.members)
    if not options.weights:
        return np.full(count, 1 / count)
    if options.weights == FIT:
        return _fitted(options, labels)
    try:
        given = np.asarray([float(text) for text in options.weights.split(",")])
    except ValueError:
        given = np.asarray([-1.0])
    if not (np.isfinite(given).all() and (given >= 0).all() and given.sum() > 0):
        raise UserError(
            f"`weights` {options.weights}: expected numbers from 0 on such as 0.5,0.3,0.2, or {FIT}"
        )
    if len(given) != count:
        raise UserError(f"`weights` has {len(given)} numbers, but there are {count} members")
    return given / given.sum()


def _fitted(options: EnsembleOptions, labels: LabelMap) -> Floats:
    gold_file = Path(options.gold_file)
    names = options.valid_predictions.split(",") if options.valid_predictions else options.members
    if len(names) != len(options.members):
        raise UserError(
            f"`valid_predictions` names {len(names)} files, but there are "
            f"{len(options.members)} members; name one for each, in their order"
        )
    files = prediction_files(names, gold_file, options)
    aligned = read_aligned(files, labels)
    examples = read_examples(
        gold_file,
        need_labels=True,
        known_labels=labels.names,
        on_bad_row=options.on_bad_row,
        output_dir=options.output_dir,
    )
    label_of = {example.id: str(example.label) for example in examples}
    lacking = [row_id for row_id in aligned[0].ids if row_id not in label_of]
    if lacking:
        raise UserError(
            f"{gold_file}: lacks {len(lacking)} ids of {files[0]}, {lacking[0]!r} among them; name "
            "the predictions of these rows with `valid_predictions`"
        )
    gold = np.asarray(labels.index(label_of[row_id] for row_id in aligned[0].ids))
    return fit_weights([file.probs for file in aligned], gold)


def _check_flags(options: EnsembleOptions) -> None:
    if len(options.members) < 2:
        raise UserError(f"an ensemble needs two members at least, got {len(options.members)}")
    if is_launched():
        raise UserError(
            "members are joined by one process; leave accelerate launch out, or predict with each "
            "model first and name the files of predictions"
        )
    if options.method == "hard" and options.weights:
        raise UserError("`weights` go with `method` soft; a hard vote counts every member once")
    if options.weights == FIT and not options.gold_file:
        raise UserError(
            "`weights` fit needs `gold_file`, labelled examples that no member was trained on"
        )
    if options.weights != FIT and (options.gold_file or options.valid_predictions):
        raise UserError("`gold_file` and `valid_predictions` go with `weights` fit")
