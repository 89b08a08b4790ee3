"""The labels of a file of texts: `kore predict-emotion`, from its options to its file."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.data.emotion import JudgedText, iter_judged, record_of
from kore.data.text_files import without_compression
from kore.network.emotion_file import load_emotions
from kore.network.locate import find_emotions
from kore.prediction.judging import Judge
from kore.prediction.options import PredictEmotionOptions
from kore.prediction.parts import is_finished
from kore.prediction.text_stream import (
    FREE_OPTIONS,
    JsonLines,
    Source,
    json_lines_output,
    text_manifest,
    write_stream,
)


def predict_emotion(options: PredictEmotionOptions) -> Path:
    """Judges every text of `test_file` and returns the path of the output.

    Raises:
        UserError: anything the user can fix; an earlier output is then unchanged.
        KeyboardInterrupt: with a message that says how to continue.
    """
    accelerator = make_accelerator(options)
    if accelerator.num_processes > 1:
        raise UserError("texts are read by one process; leave accelerate launch out")
    files = find_emotions(options.model_file, options.model_dir)
    test_file = Path(options.test_file)
    default = f"{files[0].stem}_{without_compression(test_file).stem}.jsonl"
    output = json_lines_output(options.output_dir, options.output_name, default, test_file)
    manifest = text_manifest(
        options,
        "test_file",
        {*FREE_OPTIONS, "model_file"},
        {f"model_file {number}": path for number, path in enumerate(files, start=1)},
        mixed_precision=accelerator.mixed_precision,
    )
    named = ", ".join(map(str, files))
    if options.resume and is_finished(output, manifest):
        print(f"Nothing to resume, all is predicted with {named}: {output}")
        return output
    models = {str(path): load_emotions(path) for path in files}
    if options.compile:
        for trained in models.values():
            trained.model.run_encoder(compiled=True)
    judge = Judge(models, accelerator, options.vote, options.batch_tokens)

    def judged(texts: Sequence[JudgedText]) -> list[dict[str, Any]]:
        return records_of(judge, texts, with_probs=options.probs)

    source = Source(str(test_file), functools.partial(iter_judged, test_file))
    flags = f"--model_file {' '.join(map(str, files))}"
    texts = write_stream(source, options, output, JsonLines(output), manifest, judged, flags)
    print(f"{texts} texts predicted with {named}: {output}")
    return output


def records_of(
    judge: Judge, texts: Sequence[JudgedText], *, with_probs: bool
) -> list[dict[str, Any]]:
    """The rows of texts with their `output` filled in, and maybe `probs`."""
    found = judge(texts)
    records = []
    for text, truths, probs in zip(texts, found.truths, found.probs, strict=True):
        record = record_of(text, dict(zip(judge.labels, truths, strict=True)))
        if with_probs:
            rounded = (round(float(value), 6) for value in probs)
            record["probs"] = dict(zip(judge.labels, rounded, strict=True))
        records.append(record)
    return records
