"""One prediction run from its options to its file, as a stream of chunks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.files import checksum
from kore.common.memory import keep_freed_memory_for
from kore.common.progress import progress_bar
from kore.data.records import without_gzip
from kore.network.checkpoint import TrainedModel, load_model
from kore.network.locate import find_model
from kore.prediction.chunks import FileSurvey, stream_chunks, survey, worker_death_as_user_error
from kore.prediction.formats import Table, format_of
from kore.prediction.options import InferenceOptions
from kore.prediction.parts import Parts
from kore.prediction.predictor import CHUNK_ROWS, Predictor, prepared, warn_of_unseen_types

SMALL_FILE_ROWS = 50_000  # fewer are encoded before a process that reads ahead has even started


def predict_file(options: InferenceOptions) -> Path:
    """Predicts every row of `--test_file` and returns the path of the output.

    Several processes (`accelerate launch`) share the chunks; the main one joins what they wrote.

    Raises:
        UserError: anything the user can mend; an earlier output is then unchanged.
        KeyboardInterrupt: with a message that says how to go on.
    """
    accelerator = make_accelerator(options)
    model_file = find_model(options)
    output = output_file(options, model_file)
    trained = load_model(model_file)
    _check_budget(options, trained)
    if not options.calibrated:
        trained.classifier.temperature.fill_(1.0)
    # The other processes write parts; only this one opens and joins them, and reads whole files.
    job = _job(options, model_file, accelerator) if accelerator.is_main_process else {}
    found = _shared_survey(options, accelerator)
    parts = Parts(output, Table(trained.labels, options.abstain_below), found.chunks, job)
    if accelerator.is_main_process:
        parts.open(resume=options.resume)
    accelerator.wait_for_everyone()
    try:
        _predict_missing(options, trained, parts, found, accelerator)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Stopped; what is predicted so far is kept in {parts.folder}. To go on, give the "
            f"same command with --model_file {model_file} --resume"
        ) from None
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        if _job(options, model_file, accelerator) != job:
            raise UserError(
                f"{options.test_file} or {model_file} changed while rows were predicted; what is "
                "predicted so far does not belong together: run it again without `resume`"
            )
        parts.join()
        warn_of_unseen_types(trained, found.types)
        print(f"{found.rows} rows predicted with {model_file}: {output}")
    accelerator.wait_for_everyone()  # the file is there for whoever is given its path
    return output


def output_file(options: InferenceOptions, model_file: Path) -> Path:
    """The file to write: `--output_name`, or the names of the model and of the test file.

    Raises:
        UserError: the name has an unknown suffix, or is the test file itself.
    """
    test_file = Path(options.test_file)
    name = options.output_name or f"{model_file.stem}_{without_gzip(test_file).stem}.csv"
    output = Path(options.output_dir) / name
    format_of(output)
    if output.resolve() == test_file.resolve():
        raise UserError(f"{output} is the test file itself; pass another `output_name`")
    return output


def _check_budget(options: InferenceOptions, trained: TrainedModel) -> None:
    longest = trained.input_encoder.max_length
    if options.batch_tokens < longest:
        raise UserError(
            f"`batch_tokens` {options.batch_tokens}, but this model reads rows of up to {longest} "
            f"tokens and one of them must fit; pass at least {longest}"
        )


def _shared_survey(options: InferenceOptions, accelerator: Accelerator) -> FileSurvey:
    """The main process reads the file, so that its faults are told and set aside once."""
    found: list[Any] = [None]
    if accelerator.is_main_process:
        found[0] = survey(Path(options.test_file), options)
    if accelerator.num_processes > 1:
        broadcast_object_list(found)
    return found[0]


def _job(options: InferenceOptions, model_file: Path, accelerator: Accelerator) -> dict[str, Any]:
    """What the predictions depend on."""
    return {
        "model": checksum(model_file),
        "test_file": checksum(Path(options.test_file)),
        "on_bad_row": options.on_bad_row,
        "precision": accelerator.mixed_precision,
        "calibrated": options.calibrated,
        "abstain_below": options.abstain_below,
        "rows of a part": CHUNK_ROWS,
    }


def _predict_missing(
    options: InferenceOptions,
    trained: TrainedModel,
    parts: Parts,
    found: FileSurvey,
    accelerator: Accelerator,
) -> None:
    """Makes this process's share of the parts that are not there yet."""
    if options.compile:
        trained.classifier.run_encoder(compiled=True)
    model = prepared(trained, accelerator)
    keep_freed_memory_for(model)
    encoder = trained.input_encoder
    predictor = Predictor(model, encoder, accelerator, options.batch_tokens)
    missing = parts.missing()
    wanted = missing[accelerator.process_index :: accelerator.num_processes]
    num_workers = options.num_workers
    if num_workers is None:
        num_workers = int(len(missing) * CHUNK_ROWS > SMALL_FILE_ROWS and (os.cpu_count() or 1) > 1)
    chunks = stream_chunks(Path(options.test_file), encoder, found, wanted, num_workers)
    progress = progress_bar(
        total=found.rows,
        initial=found.rows - min(found.rows, len(missing) * CHUNK_ROWS),
        desc="predicting",
        unit=" rows",
        quiet=not accelerator.is_main_process,
    )
    with progress, worker_death_as_user_error():
        for chunk in chunks:
            probs = np.empty((0, len(trained.labels)))
            if chunk.rows:  # all of them may have been set aside
                probs = predictor.probs(chunk.rows)
            parts.write(chunk.number, chunk.ids, probs)
            progress.update(len(chunk.rows) * accelerator.num_processes)
