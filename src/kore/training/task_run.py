"""One training run of any task: its files, its state, the loop, and what to say at its end."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from accelerate import Accelerator
from accelerate.utils import set_seed

from kore.common.devices import hardware, make_accelerator, make_deterministic
from kore.common.errors import UserError
from kore.common.manifest import Manifest
from kore.scoring.metrics import ReliabilityBin
from kore.training.loop import EpochReport
from kore.training.objective import Objective
from kore.training.options import FineTuningOptions
from kore.training.run_files import RunFiles, run_files, write_options
from kore.training.state import load_state
from kore.training.trainer import Trainer

# Options that may differ between a run and its resumption, because no weight depends on them.
_FREE_OPTIONS = {
    "recipe",
    "resume",
    "run_name",
    "model_dir",
    "output_dir",
    "on_bad_row",
    "save_steps",
}


class Start(NamedTuple):
    """Where a run begins: the file of its saved state, and the model in it; None for a new run."""

    path: Path
    model: dict[str, Any] | None
    is_main: bool


class Task(NamedTuple):
    """What a run needs to know of its task.

    state_kind: what the state of a run is known by.
    data_files: by the name of their option, see `run_files.data_files`.
    begin: reads the data and makes the model, or takes it from a saved state; raises UserError.
    summarize: the scores of the best epoch, as a sentence.
    """

    state_kind: str
    data_files: Mapping[str, Path | None]
    begin: Callable[[Start], Objective]
    summarize: Callable[[Mapping[str, Any]], str]


def run_task(
    options: FineTuningOptions, task: Task, report: EpochReport = lambda row: None
) -> Path:
    """Trains, writes the run's files and returns the path of its best checkpoint.

    Args:
        report: is given every epoch's row of the log; what it raises ends the run.

    Raises:
        UserError: anything the user can fix, before a file is written where possible.
        KeyboardInterrupt: with a message that says how to continue.
    """
    make_deterministic()
    accelerator = make_accelerator(options)
    is_main = accelerator.is_main_process
    set_seed(options.seed)
    files = run_files(options)
    manifest = Manifest.of(
        options, free=_FREE_OPTIONS, files=task.data_files, **hardware(accelerator)
    )
    state = None
    if options.resume:
        state = _resume_state(options, task.state_kind, files, manifest, is_main)
    model = None if state is None else state["model"]
    objective = task.begin(Start(files.last, model, is_main))
    if is_main:
        write_options(files.folder, options)
        _announce(options, objective, accelerator)
    trainer = Trainer(
        options,
        accelerator,
        objective,
        files,
        manifest,
        report,
        functools.partial(_draw, files.folder),
    )
    if state is not None:
        trainer.restore(state)
    _run(trainer, task)
    return files.best


def _run(trainer: Trainer, task: Task) -> None:
    """Trains to the end and reports the best epoch."""
    options, files = trainer.options, trainer.files
    try:
        trainer.run()
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            f"{stop}. To continue, give the same command with --model_name_or_path "
            f"{options.model_name_or_path} --run_name {files.run_name} --resume"
        ) from None
    if trainer.accelerator.is_main_process:
        best = trainer.best_epoch()
        beside = [f"    {name}: {files.beside(name)}" for name in trainer.objective.beside()]
        print(
            f"Best epoch {best['epoch']}: {task.summarize(best)}\n"
            f"Checkpoint: {files.best}{''.join(beside)}    log and learning curve: {files.folder}/"
        )


def _resume_state(
    options: FineTuningOptions, kind: str, files: RunFiles, manifest: Manifest, is_main: bool
) -> dict[str, Any] | None:
    """The saved state of the run, or None where it was stopped before the first was saved.

    Raises:
        UserError: the state is lost, or was begun with other settings.
    """
    if files.last.exists():
        return load_state(files.last, kind, manifest, options, _new_run(files))
    if files.best.exists():
        raise UserError(
            f"{files.last} is missing, so that run cannot be resumed; {_new_run(files)}"
        )
    if is_main:
        print(f"{files.last} is not there yet: starting from the beginning", file=sys.stderr)
    return None


def _new_run(files: RunFiles) -> str:
    """What to do where a run cannot be continued, as part of a sentence."""
    if not files.best.exists():
        return "pass another --run_name"
    return f"pass another --run_name, and --model_name_or_path {files.best} to begin with its model"


def _draw(
    folder: Path,
    history: Sequence[dict[str, Any]],
    curves: Mapping[str, Sequence[ReliabilityBin]] | None,
) -> None:
    from kore.evaluation import figures  # matplotlib takes seconds to import

    figures.learning_curve(history, folder / "learning_curve.png")
    if curves is not None:
        figures.reliability(curves, folder / "reliability.png")


def _announce(options: FineTuningOptions, objective: Objective, accelerator: Accelerator) -> None:
    weights = sum(weight.numel() for weight in objective.model.parameters())
    print(
        f"{options.run_name}: {options.model_name_or_path}, {weights / 1e6:.1f} M weights, on "
        f"{accelerator.device}, precision {accelerator.mixed_precision}; {objective.about}",
        file=sys.stderr,
    )
