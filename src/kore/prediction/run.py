"""One prediction run from its options to its file, as a stream of chunks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.manifest import Manifest
from kore.common.memory import keep_freed_memory_for
from kore.common.progress import progress_bar
from kore.data.records import without_gzip
from kore.network.checkpoint import load_model
from kore.network.locate import find_model
from kore.network.trained import TrainedModel
from kore.prediction.chunks import FileSurvey, stream_chunks, survey, worker_death_as_user_error
from kore.prediction.formats import Table, format_of
from kore.prediction.options import InferenceOptions
from kore.prediction.parts import FREE_OPTIONS, Parts, TableContent, is_finished
from kore.prediction.predictions import schema_path
from kore.prediction.predictor import CHUNK_ROWS, Predictor, prepared, warn_of_unseen_types

T = TypeVar("T")

SMALL_FILE_ROWS = 50_000  # fewer are encoded before a process that reads ahead has even started


def predict_file(options: InferenceOptions) -> Path:
    """Predicts every example of `test_file` and returns the path of the output.

    Several processes (`accelerate launch`) share the chunks; the main one joins what they wrote.

    Raises:
        UserError: anything the user can fix; an earlier output is then unchanged.
        KeyboardInterrupt: with a message that says how to continue.
    """
    accelerator = make_accelerator(options)
    model_file = find_model(options.model_file, options.model_dir)
    output = output_file(options, model_file)
    # The other processes write parts; only this one opens and joins them, and reads whole files.
    manifest = Manifest({})
    if accelerator.is_main_process:
        manifest = job_manifest(options, model_file, accelerator.mixed_precision)
    if options.resume and _from_main(
        lambda: is_finished(output, manifest, [schema_path(output)]), accelerator
    ):
        if accelerator.is_main_process:
            print(f"Nothing to resume, all is predicted with {model_file}: {output}")
        return output
    trained = _load(options, model_file)
    found = _from_main(lambda: _survey(options), accelerator)
    content = TableContent(output, Table(trained.labels, options.abstain_below))
    parts = Parts(output, content, found.chunks, manifest)
    if accelerator.is_main_process:
        parts.open(resume=options.resume)
    accelerator.wait_for_everyone()
    try:
        _predict_missing(options, trained, parts, found, accelerator)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Stopped; what is predicted so far is kept in {parts.folder}. To continue, give the "
            f"same command with --model_file {model_file} --resume"
        ) from None
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        now = job_manifest(options, model_file, accelerator.mixed_precision)
        if now.changes(manifest.settings):
            raise UserError(
                f"{options.test_file} or {model_file} changed during prediction; what is predicted "
                "so far does not belong together: run it again without `resume`"
            )
        parts.join()
        warn_of_unseen_types(trained, found.types)
        print(f"{found.rows} examples predicted with {model_file}: {output}")
    accelerator.wait_for_everyone()  # the file is there for whoever is given its path
    return output


def job_manifest(options: InferenceOptions, model_file: Path, precision: str) -> Manifest:
    """What the predictions depend on."""
    return Manifest.of(
        options,
        free={*FREE_OPTIONS, "num_workers"},
        files={"model_file": model_file, "test_file": Path(options.test_file)},
        mixed_precision=precision,
        chunk_rows=CHUNK_ROWS,
    )


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


def _load(options: InferenceOptions, model_file: Path) -> TrainedModel:
    trained = load_model(model_file)
    longest = trained.input_encoder.max_length
    if options.batch_tokens < longest:
        raise UserError(
            f"`batch_tokens` {options.batch_tokens}, but this model reads examples of up to "
            f"{longest} tokens and one of them must fit; pass at least {longest}"
        )
    if not options.calibrated:
        trained.classifier.temperature.fill_(1.0)
    return trained


def _survey(options: InferenceOptions) -> FileSurvey:
    return survey(Path(options.test_file), options)


def _from_main(compute: Callable[[], T], accelerator: Accelerator) -> T:
    """What the main process computes, so that it reads files, and reports their faults, once."""
    found: list[Any] = [compute() if accelerator.is_main_process else None]
    if accelerator.num_processes > 1:
        broadcast_object_list(found)
    return cast(T, found[0])


def _predict_missing(
    options: InferenceOptions,
    trained: TrainedModel,
    parts: Parts,
    found: FileSurvey,
    accelerator: Accelerator,
) -> None:
    """Computes this process's share of the missing parts."""
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
        unit=" examples",
        quiet=not accelerator.is_main_process,
    )
    with progress, worker_death_as_user_error():
        for chunk in chunks:
            probs = np.empty((0, len(trained.labels)))
            if chunk.rows:  # all of them may have been skipped
                probs = predictor.probs(chunk.rows)
            parts.write(chunk.number, (chunk.ids, probs))
            progress.update(len(chunk.rows) * accelerator.num_processes)
