"""One prediction run from its options to its CSV."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from checkpoint import TrainedModel, load_model, newest_model
from config import InferenceOptions, ModelOptions
from devices import make_accelerator
from errors import UserError
from prediction import predict_examples
from rows import read_examples
from submission import write_submission


def predict_file(options: InferenceOptions) -> Path:
    """Predicts every row of `--test_file` and returns the path of the CSV.

    Raises:
        UserError: anything the user can mend; an earlier CSV is then unchanged.
    """
    accelerator = make_accelerator(options)
    model_file = find_model(options)
    test_file = Path(options.test_file)
    output = output_file(options, model_file)
    trained = load_model(model_file)
    examples = read_examples(test_file, options, need_labels=False)
    try:
        probs = predict_examples(trained, examples, accelerator, options.batch_size)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the GPU's memory is full at --batch_size {options.batch_size}; pass a smaller one"
        ) from error
    write_submission(output, [example.id for example in examples], probs, trained.labels)
    _warn_of_unseen_types(trained, {e.type for x in examples for e in (x.subject, x.object)})
    print(f"{len(examples)} rows predicted with {model_file}: {output}")
    return output


def output_file(options: InferenceOptions, model_file: Path) -> Path:
    """The CSV to write: `--output_name`, or the names of the model and of the test file.

    Raises:
        UserError: the name does not end in .csv, or is the test file itself.
    """
    test_file = Path(options.test_file)
    name = options.output_name or f"{model_file.stem}_{test_file.stem}.csv"
    output = Path(options.output_dir) / name
    if output.suffix != ".csv":
        raise UserError(f"--output_name {name} must end in .csv")
    if output.resolve() == test_file.resolve():
        raise UserError(f"{output} is the test file itself; pass another --output_name")
    return output


def find_model(options: ModelOptions) -> Path:
    """`--model_file` as it stands or inside `--model_dir`; the newest there where none is named."""
    if not options.model_file:
        return newest_model(Path(options.model_dir))
    given = Path(options.model_file)
    inside = Path(options.model_dir) / given
    return inside if not given.exists() and inside.exists() else given


def _warn_of_unseen_types(trained: TrainedModel, types: set[str]) -> None:
    scheme = trained.input_encoder.scheme
    unseen = sorted(types - set(scheme.types))
    if scheme.use_markers and scheme.use_types and unseen:
        print(
            f"Entity types never seen in training, marked without a type: {', '.join(unseen)}",
            file=sys.stderr,
        )
