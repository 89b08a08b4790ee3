"""A command that reads texts and writes JSON lines, from its options to its file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from accelerate import Accelerator

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.data.text_files import without_compression
from kore.prediction.options import StreamOptions
from kore.prediction.parts import FREE_OPTIONS, is_finished
from kore.prediction.text_stream import (
    JsonLines,
    Record,
    Source,
    json_lines_output,
    text_manifest,
    write_stream,
)

RowT = TypeVar("RowT")


class TextJob(NamedTuple, Generic[RowT]):
    """What a task brings to it.

    source: the texts of `test_file`.
    models: by what the record of settings calls them.
    free: options beside `FREE_OPTIONS` that no result depends on.
    load: the models on a device -> what computes the records of texts.
    flags: that name the models, for whoever continues.
    done: what has happened to the texts, as "tagged".
    """

    source: Source[RowT]
    models: Mapping[str, Path]
    free: Collection[str]
    load: Callable[[Accelerator], Callable[[Sequence[RowT]], list[Record]]]
    flags: str
    done: str


def run_text_job(
    options: StreamOptions, test_file: str, output_name: str, job: TextJob[Any]
) -> tuple[Path, str]:
    """Computes every text of `test_file`; returns the path of the output, and what was done.

    Raises:
        UserError: anything the user can fix; an earlier output is then unchanged.
        KeyboardInterrupt: with a message that says how to continue.
    """
    accelerator = make_accelerator(options)
    if accelerator.num_processes > 1:
        raise UserError("texts are read by one process; leave accelerate launch out")
    path = Path(test_file)
    first, *_ = job.models.values()
    default = f"{first.stem}_{without_compression(path).stem}.jsonl"
    output = json_lines_output(options.output_dir, output_name, default, path)
    manifest = text_manifest(
        options,
        "test_file",
        {*FREE_OPTIONS, *job.free},
        job.models,
        mixed_precision=accelerator.mixed_precision,
    )
    named = ", ".join(map(str, job.models.values()))
    if options.resume and is_finished(output, manifest):
        return output, f"Nothing to resume, all is {job.done} with {named}: {output}"
    compute = job.load(accelerator)
    content = JsonLines(output)
    texts = write_stream(job.source, options, output, content, manifest, compute, job.flags)
    return output, f"{texts} texts {job.done} with {named}: {output}"
