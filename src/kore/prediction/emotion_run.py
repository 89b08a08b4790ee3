"""The labels of a file of texts: `kore predict-emotion`, from its options to its file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from kore.data.emotion import JudgedText, iter_judged
from kore.network.emotion_file import load_emotions
from kore.network.locate import find_emotions
from kore.prediction.judging import Judge, judged_records
from kore.prediction.options import PredictEmotionOptions
from kore.prediction.text_job import TextJob, run_text_job
from kore.prediction.text_stream import Source


def predict_emotion(options: PredictEmotionOptions) -> Path:
    """Judges every text of `test_file` and returns the path of the output; see `run_text_job`."""
    files = find_emotions(options.model_file, options.model_dir)
    test_file = Path(options.test_file)
    job = TextJob(
        source=Source(str(test_file), functools.partial(iter_judged, test_file)),
        models={f"model_file {number}": path for number, path in enumerate(files, start=1)},
        free=("model_file",),
        load=functools.partial(_load, options, files),
        flags=f"--model_file {' '.join(map(str, files))}",
        done="predicted",
    )
    output, summary = run_text_job(options, options.test_file, options.output_name, job)
    print(summary)
    return output


def _load(
    options: PredictEmotionOptions, files: Sequence[Path], accelerator: Accelerator
) -> Callable[[Sequence[JudgedText]], list[dict[str, Any]]]:
    models = {str(path): load_emotions(path) for path in files}
    if options.compile:
        for trained in models.values():
            trained.model.run_encoder(compiled=True)
    judge = Judge(models, accelerator, options.vote, options.batch_tokens)
    return functools.partial(judged_records, judge, with_probs=options.probs)
