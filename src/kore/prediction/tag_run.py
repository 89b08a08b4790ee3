"""The entities of a file of texts: `kore tag`, from its options to its file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from kore.data.texts import TextRow
from kore.network.locate import find_tagger
from kore.network.tagger_file import load_tagger
from kore.prediction.options import TagOptions
from kore.prediction.tagging import EntityFinder, record_of
from kore.prediction.text_job import TextJob, run_text_job
from kore.prediction.text_stream import texts_of


def tag_file(options: TagOptions) -> Path:
    """Finds the entities of every text of `test_file`, and returns the path of the output.

    See `run_text_job`.
    """
    model_file = find_tagger(options.model_file, options.model_dir)
    job = TextJob(
        source=texts_of(Path(options.test_file), options.text_column),
        models={"model_file": model_file},
        free=(),
        load=functools.partial(_load, options, model_file),
        flags=f"--model_file {model_file}",
        done="tagged",
    )
    output, summary = run_text_job(options, options.test_file, options.output_name, job)
    print(summary)
    return output


def _load(
    options: TagOptions, model_file: Path, accelerator: Accelerator
) -> Callable[[Sequence[TextRow]], list[dict[str, Any]]]:
    trained = load_tagger(model_file)
    if options.compile:
        trained.tagger.run_encoder(compiled=True)
    finder = EntityFinder(trained, accelerator, options.batch_tokens)

    def tagged(rows: Sequence[TextRow]) -> list[dict[str, Any]]:
        entities = finder([row.text for row in rows])
        return [record_of(row.id, row.text, own) for row, own in zip(rows, entities, strict=True)]

    return tagged
