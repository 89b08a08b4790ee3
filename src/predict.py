"""A file of rows -> a submission: `id, pred_label, probs`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from checkpoint import TrainedModel, load_model, newest_model
from config import InferenceOptions
from devices import make_accelerator
from errors import UserError
from files import atomic_write
from metrics import Floats
from prediction import predict_probs
from rows import read_examples
from schema import LabelMap

PROB_DIGITS = 9  # the sum of a row's probabilities stays within 1e-8 of 1


def predict_file(options: InferenceOptions) -> Path:
    """Predicts every row of `--test_file` and returns the path of the CSV.

    Beside the CSV stands `<name>.json` with the relations in the order of the probabilities,
    which evaluation reads.

    Raises:
        UserError: anything the user can mend; an earlier CSV is then unchanged.
    """
    accelerator = make_accelerator(options)
    model_file = find_model(options)
    trained = load_model(model_file)
    test_file = Path(options.test_file)
    examples = read_examples(test_file, options, need_labels=False)
    rows = trained.input_encoder.encode(examples)
    model = accelerator.prepare_model(trained.model, evaluation_mode=True)
    probs = predict_probs(
        model, rows, trained.input_encoder.pad_id, options.batch_size, accelerator
    )
    name = options.output_name or f"{model_file.stem}_{test_file.stem}.csv"
    output = Path(options.output_dir) / name
    write_submission(output, [example.id for example in examples], probs, trained.labels)
    write_schema(output, model_file, test_file, trained)
    _warn_of_unseen_types(trained, {e.type for x in examples for e in (x.subject, x.object)})
    print(f"{len(examples)} rows predicted with {model_file}: {output}")
    return output


def find_model(options: InferenceOptions) -> Path:
    """`--model_file` as it stands or inside `--model_dir`; the newest there where none is named."""
    if not options.model_file:
        return newest_model(Path(options.model_dir))
    given = Path(options.model_file)
    inside = Path(options.model_dir) / given
    return inside if not given.exists() and inside.exists() else given


def write_submission(path: Path, ids: Sequence[str], probs: Floats, labels: LabelMap) -> None:
    """Writes `id, pred_label, probs`; the probabilities are a list in label order.

    They are rounded before the largest is looked up, so that the file agrees with itself.
    """
    rounded = np.round(probs, PROB_DIGITS)
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "pred_label", "probs"])
        for row_id, best, row in zip(ids, rounded.argmax(axis=1), rounded.tolist(), strict=True):
            writer.writerow([row_id, labels.names[best], row])


def schema_path(prediction_file: Path) -> Path:
    """Where the label order of a prediction file is written."""
    return prediction_file.with_suffix(".json")


def write_schema(path: Path, model_file: Path, test_file: Path, trained: TrainedModel) -> None:
    """The label order beside a submission, for people and for evaluation."""
    if path.suffix == ".json":
        raise UserError(f"--output_name {path.name} must end in .csv")
    with atomic_write(schema_path(path)) as file:
        json.dump(
            {
                "labels": list(trained.labels.names),
                "no_relation": trained.labels.no_relation,
                "model_file": str(model_file),
                "test_file": str(test_file),
            },
            file,
            indent=2,
            ensure_ascii=False,
        )
        file.write("\n")


def _warn_of_unseen_types(trained: TrainedModel, types: set[str]) -> None:
    scheme = trained.input_encoder.scheme
    unseen = sorted(types - set(scheme.types))
    if scheme.use_markers and scheme.use_types and unseen:
        print(
            f"Entity types never seen in training, marked without a type: {', '.join(unseen)}",
            file=sys.stderr,
        )
