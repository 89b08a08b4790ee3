"""All commands: the options of each, the function that runs it, and one sentence about it.

`kore train …` and `python src/train.py …` are the same command with the same parser.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kore.common.errors import ExitStatus, UserError, nearest, run_command
from kore.common.flags import name_flags, parse_options
from kore.common.memory import keep_freed_memory
from kore.common.progress import log_to_stderr, show_progress


class Command(NamedTuple):
    """`options` and `run` are "module:name", imported only when the command is given."""

    about: str
    options: str
    run: str
    keeps_memory: bool = False  # what training frees it needs again at the next step


COMMANDS = {
    "train": Command(
        "Train a Korean relation classifier.",
        "kore.training.options:TrainOptions",
        "kore.studies.run:train",
        keeps_memory=True,
    ),
    "train-ner": Command(
        "Train a tagger of named entities.",
        "kore.training.ner_options:TrainNerOptions",
        "kore.studies.run:train_ner",
        keeps_memory=True,
    ),
    "train-emotion": Command(
        "Train a classifier of many labels, such as emotions, toward a target or none.",
        "kore.training.emotion_options:TrainEmotionOptions",
        "kore.studies.run:train_emotion",
        keeps_memory=True,
    ),
    "predict": Command(
        "Predict the relation of every example.",
        "kore.prediction.options:InferenceOptions",
        "kore.prediction.run:predict_file",
    ),
    "tag": Command(
        "Find the entities of every text of a file.",
        "kore.prediction.options:TagOptions",
        "kore.prediction.tag_run:tag_file",
    ),
    "predict-emotion": Command(
        "Predict which labels of every text are true.",
        "kore.prediction.options:PredictEmotionOptions",
        "kore.prediction.emotion_run:predict_emotion",
    ),
    "extract": Command(
        "Extract triples from texts: entities, and the relations between them.",
        "kore.extraction.options:ExtractOptions",
        "kore.extraction.run:extract",
    ),
    "serve": Command(
        "Answer over HTTP: entities, triples and relations, and a page to try them.",
        "kore.serve.options:ServeOptions",
        "kore.serve.run:serve",
    ),
    "evaluate": Command(
        "Score predictions against gold labels.",
        "kore.evaluation.options:EvaluationOptions",
        "kore.evaluation.run:evaluate",
    ),
    "check-data": Command(
        "Check data files for faults, duplicates, leaks and odd characters; clean one of them.",
        "kore.inspection.options:CheckOptions",
        "kore.inspection.run:check",
    ),
    "prepare-data": Command(
        "Take examples in any usual format, and split them into train_data.csv and valid_data.csv.",
        "kore.conversion.options:PrepareOptions",
        "kore.conversion.prepare_run:prepare",
    ),
    "make-sample-data": Command(
        "Generate examples in the form of KLUE-RE from invented names.",
        "kore.data.options:SampleOptions",
        "kore.data.sample_run:write_sample",
    ),
    "eda": Command(
        "Draw the distributions of a data set.",
        "kore.inspection.options:EdaOptions",
        "kore.inspection.plots_run:draw",
    ),
    "ensemble": Command(
        "Combine the predictions of several models.",
        "kore.prediction.options:EnsembleOptions",
        "kore.prediction.ensemble_run:join_members",
    ),
    "search": Command(
        "Search for the best flags of training; takes all of them as well.",
        "kore.studies.options:SearchOptions",
        "kore.studies.search_run:search",
        keeps_memory=True,
    ),
    "experiments": Command(
        "Train recipes with several seeds and compare their scores.",
        "kore.studies.options:ExperimentOptions",
        "kore.studies.experiments_run:run_experiments",
    ),
    "pretrain": Command(
        "Pretrain an encoder on texts by masked language modelling; labels are never read.",
        "kore.pretraining.options:PretrainOptions",
        "kore.pretraining.run:pretrain",
        keeps_memory=True,
    ),
    "export": Command(
        "Export a checkpoint as a folder for transformers or as an ONNX file.",
        "kore.prediction.options:ExportOptions",
        "kore.prediction.export_run:export",
    ),
    "explain": Command(
        "Show which words moved the prediction of one example, and its attention.",
        "kore.evaluation.options:ExplainOptions",
        "kore.evaluation.explain_run:explain",
    ),
    "check-submission": Command(
        "Check a file of predictions before it is submitted.",
        "kore.prediction.options:SubmissionCheckOptions",
        "kore.prediction.check_run:check",
    ),
    "extract-on-ray": Command(
        "Extract the triples of a whole corpus on a Ray cluster: texts to Parquet.",
        "kore.extraction.options:ExtractOnRayOptions",
        "kore.extraction.ray_run:extract_corpus",
    ),
    "predict-on-ray": Command(
        "Predict the relations of a whole corpus on a Ray cluster: Parquet or CSV to Parquet.",
        "kore.prediction.options:RayOptions",
        "kore.prediction.ray_run:predict_corpus",
    ),
}


def main_of(name: str) -> Callable[..., None]:
    """The `main(arguments=None)` of a command's script."""

    def main(arguments: Sequence[str] | None = None) -> None:
        run(name, arguments)

    return main


def run(name: str, arguments: Sequence[str] | None = None) -> None:
    """Parses a command's flags, `sys.argv` where `arguments` is None, and runs it.

    Raises:
        UserError: anything the user can fix.
        SystemExit: with status 1 where a check found something.
    """
    command = COMMANDS[name]
    options_class = _load(command.options)

    def spelling(message: str) -> str:
        return name_flags(message, options_class)

    log_to_stderr(spelling)
    show_progress()
    try:
        options = parse_options(options_class, arguments, command.about)
        if command.keeps_memory:
            keep_freed_memory()
        # Imported only now: torch and transformers take seconds, for which --help does not wait.
        result = _load(command.run)(options)
    except UserError as error:
        error.args = (spelling(str(error)),)
        raise
    if result is ExitStatus.FOUND:
        sys.stdout.flush()  # after sys.exit, run_command would not notice a closed pipe
        sys.exit(result)


def main() -> None:
    """The console command: `kore NAME [flags]`."""
    run_command(_console)


def _console() -> None:
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        print("usage: kore COMMAND [flags]; kore COMMAND --help lists them\n")
        print("\n".join(f"  {name:{width}}  {known.about}" for name, known in COMMANDS.items()))
        return
    if name not in COMMANDS:
        raise UserError(f"{name!r} is not a command; did you mean {nearest(name, COMMANDS)}?")
    sys.argv[0] = f"kore {name}"  # the name that --help shows
    run(name, arguments)


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
