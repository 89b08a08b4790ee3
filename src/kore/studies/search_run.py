"""A search for the best flags of training, by Optuna (Akiba et al. 2019).

    OUTPUT_DIR/search/<study>/trials.csv, history.png, slices.png, importance.png
    OUTPUT_DIR/search/<study>/study.db     all trials; several processes may share it
    MODEL_DIR/<study>/trial7.pth …         the best trial's checkpoint, and all logs

A trial is an ordinary run of training: one that was killed continues where it stopped.
"""

from __future__ import annotations

import dataclasses
import fcntl
import logging
import math
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from kore.common.errors import UnfitError, UserError, first_line
from kore.common.files import atomic_write
from kore.common.manifest import Manifest, with_defaults
from kore.common.processes import is_launched
from kore.common.resources import find_file
from kore.evaluation.figures import korean_text, save_figure
from kore.studies.options import SearchOptions
from kore.studies.search_space import Space, grid_of, read_space, suggest
from kore.training.loop import DivergedError
from kore.training.options import TrainOptions, default_learning_rate
from kore.training.run import train
from kore.training.run_files import RunFiles, check_run_name, data_files, read_log

try:
    import optuna
    from optuna.storages import RetryHeartbeatStaleTrialCallback as Retry
    from optuna.trial import TrialState
    from sqlalchemy.exc import DatabaseError
except ImportError as error:
    raise UserError(
        "a search needs the package optuna: poetry install --with search, or "
        "python -m pip install optuna"
    ) from error

_LOGGER = logging.getLogger(__name__)

_PROCESS, _RUN, _MANIFEST = "process", "run", "manifest"
_SHOWN = 10  # trials in the printed table
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
# Options of training that a search sets by itself, or that change no score.
_FREE_OPTIONS = {
    "recipe",
    "resume",
    "run_name",
    "model_dir",
    "output_dir",
    "save_steps",
    "num_folds",
}


def search(options: SearchOptions) -> Path:
    """Runs trials until there are enough, and returns the path of their table.

    Raises:
        UserError: the space is faulty, or the study was begun with another one or other settings.
        KeyboardInterrupt: with a message that says how to continue.
    """
    _check_flags(options)
    space = read_space(find_file(options.space))
    wanted = _wanted(options, space)
    folder = Path(options.output_dir) / "search" / options.study
    model_dir = Path(options.model_dir) / options.study
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        study = _open_study(options, space, folder)
        _take_up_dead_trials(study)
    try:
        if len(study.get_trials(states=_ENDED)) < wanted:
            study.optimize(
                lambda trial: _run_trial(trial, study, options, space),
                callbacks=[
                    optuna.study.MaxTrialsCallback(wanted, states=_ENDED),
                    lambda study, trial: _write_table(study, folder / "trials.csv"),
                    lambda study, trial: _keep_the_best(study, model_dir),
                ],
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Stopped; all trials are kept. To continue, give the same command once more"
        ) from None
    table = folder / "trials.csv"
    _write_table(study, table)
    _draw(study, folder)
    print(_summary(study, options))
    return table


def _check_flags(options: SearchOptions) -> None:
    check_run_name(options.study or ".")
    if options.num_folds or options.run_name:
        raise UserError("a search sets `num_folds` and `run_name` by itself; leave them out")
    if is_launched():
        raise UserError(
            "a trial runs as one process; leave accelerate launch out, and start the same command "
            "as often as there are GPUs: the processes share the trials"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the lock of one that dies is free again."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open_study(options: SearchOptions, space: Space, folder: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # we report what goes wrong
    database = folder / "study.db"
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if options.pruning:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    try:
        study = optuna.create_study(
            study_name=options.study,
            storage=f"sqlite:///{database.resolve()}",
            pruner=pruner,
            direction="maximize",
            load_if_exists=True,
        )
    except DatabaseError as error:
        raise UserError(
            f"{database}: no study that can be read ({first_line(error)}); remove it, or "
            "pass another `study`"
        ) from error
    study.sampler = _sampler(options, space, len(study.trials))
    _check_manifest(options, space, study, folder)
    return study


def _sampler(
    options: SearchOptions, space: Space, trials_before: int
) -> optuna.samplers.BaseSampler:
    if options.sampler == "grid":
        return optuna.samplers.GridSampler(grid_of(space, options.space), seed=options.seed)
    # A search that is continued must not draw its first values once more.
    return optuna.samplers.TPESampler(seed=options.seed + trials_before)


def _check_manifest(
    options: SearchOptions, space: Space, study: optuna.Study, folder: Path
) -> None:
    """Refuses to rank trials together that were trained with other settings or examples."""
    base = _train_options(options)
    settings = {
        "`sampler`": options.sampler,
        "the space": {name: list(domain) for name, domain in space.items()},
    }
    files = {name: path for name, path in data_files(base).items() if name not in space}
    manifest = Manifest.of(base, free=_FREE_OPTIONS | set(space), files=files, **settings)
    before = study.user_attrs.get(_MANIFEST)
    if before is not None:
        begun = f"the search in {folder}"
        manifest.refuse_changes(with_defaults(base, before), begun, "pass another --study")
    elif study.trials:
        raise UserError(
            f"{folder}: this search was begun by another version of KoRE; finish it with that "
            "version, or pass another --study"
        )
    else:
        study.set_user_attr(_MANIFEST, manifest.settings)


def _wanted(options: SearchOptions, space: Space) -> int:
    """How many trials there are to be."""
    if options.sampler != "grid":
        return options.num_trials
    return math.prod(len(values) for values in grid_of(space, options.space).values())


def _take_up_dead_trials(study: optuna.Study) -> None:
    """Queues trials once more whose process on this machine has ended; they continue."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        host, _, process = str(trial.user_attrs.get(_PROCESS, "")).rpartition(":")
        if host == socket.gethostname() and not _is_alive(int(process)):
            study.tell(trial.number, state=TrialState.FAIL)
            _queue_again(study, trial.number)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True


def _queue_again(study: optuna.Study, number: int) -> None:
    with warnings.catch_warnings(action="ignore"):  # that this callback is experimental
        Retry(inherit_intermediate_values=True)(study, study.trials[number])


def _run_trial(
    trial: optuna.Trial, study: optuna.Study, options: SearchOptions, space: Space
) -> float:
    """One training; returns the best epoch's score, in per cent."""
    trial.set_user_attr(_PROCESS, f"{socket.gethostname()}:{os.getpid()}")
    run_name = trial.user_attrs.get(_RUN, f"trial{trial.number}")  # a queued one has its run's
    trial.set_user_attr(_RUN, run_name)
    chosen = {name: suggest(trial, name, domain) for name, domain in space.items()}
    shown = ", ".join(f"{name} {value}" for name, value in chosen.items())
    _LOGGER.info(f"trial {trial.number}: {shown}")
    files = RunFiles(Path(options.model_dir) / options.study, run_name)
    metric = options.selection_metric

    def report(row: dict[str, Any]) -> None:
        trial.report(row[metric], row["epoch"])
        is_last = row["epoch"] == trial_options.num_epochs
        if trial.should_prune() and not is_last:
            raise optuna.TrialPruned()

    try:
        trial_options = _options_of(options, chosen, files)
        train(trial_options, report)
    except (DivergedError, UnfitError) as error:
        _LOGGER.warning(f"trial {trial.number} was abandoned: {error}")
        _remove_weights(files)
        raise optuna.TrialPruned() from error
    except optuna.TrialPruned:
        _remove_weights(files)
        raise
    except (KeyboardInterrupt, UserError):
        _queue_again(study, trial.number)  # Optuna takes this one for failed
        raise
    return max(float(row[metric]) for row in read_log(files.folder))


def _options_of(options: SearchOptions, chosen: dict[str, Any], files: RunFiles) -> TrainOptions:
    base = _train_options(options)
    if base.learning_rate == default_learning_rate(base.model_name_or_path):
        chosen = {"learning_rate": None, **chosen}  # another encoder has another one
    try:
        return dataclasses.replace(
            base,
            **chosen,
            model_dir=str(files.model_dir),
            run_name=files.run_name,
            resume=True,
        )
    except UserError as error:
        raise UnfitError(str(error)) from error


def _keep_the_best(study: optuna.Study, model_dir: Path) -> None:
    """Removes the states of all trials that have their score, and the weights of all but the best.

    Not before the study has the score: a trial that is killed in between continues from its state.
    """
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    best = max(complete, key=lambda trial: float(trial.value or 0.0), default=None)
    for trial in complete:
        files = RunFiles(model_dir, trial.user_attrs[_RUN])
        files.last.unlink(missing_ok=True)
        if trial is not best:
            files.best.unlink(missing_ok=True)


def _remove_weights(files: RunFiles) -> None:
    """An encoder may take gigabytes; the log and the options of a trial stay."""
    files.best.unlink(missing_ok=True)
    files.last.unlink(missing_ok=True)


def _train_options(options: SearchOptions) -> TrainOptions:
    given = {field.name: getattr(options, field.name) for field in fields(TrainOptions)}
    return TrainOptions(**given)


def _write_table(study: optuna.Study, path: Path) -> None:
    frame = study.trials_dataframe(attrs=("number", "value", "state", "duration", "params"))
    with atomic_write(path) as file:
        frame.to_csv(file, index=False)


def _draw(study: optuna.Study, folder: Path) -> None:
    """Pictures of the trials; importance only where scores differ."""
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as drawings

    scores = {trial.value for trial in study.get_trials(states=(TrialState.COMPLETE,))}
    pictures: dict[str, Any] = {
        "history": drawings.plot_optimization_history,
        "slices": drawings.plot_slice,
    }
    if len(scores) > 1:
        pictures["importance"] = drawings.plot_param_importances
    # Optuna changes matplotlib's style and warns that these functions are experimental.
    with korean_text(), warnings.catch_warnings(action="ignore"):
        for name, draw in pictures.items():
            axes = draw(study)
            first = axes.flat[0] if hasattr(axes, "flat") else axes
            save_figure(first.figure, folder / f"{name}.png")
            pyplot.close(first.figure)  # Optuna opens them in pyplot, which would keep them


def _summary(study: optuna.Study, options: SearchOptions) -> str:
    """The best trials, and the flags of the first."""
    done = study.get_trials(states=(TrialState.COMPLETE,))
    if not done:
        return "No trial was finished."
    done.sort(key=lambda trial: -float(trial.value or 0.0))
    names = list(done[0].params)
    lines = [f"| trial | {options.selection_metric} | {' | '.join(names)} |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for trial in done[:_SHOWN]:
        cells = [str(trial.number), f"{trial.value:.2f}"]
        cells += [str(trial.params[name]) for name in names]
        lines.append(f"| {' | '.join(cells)} |")
    best = " ".join(f"--{name} {value}" for name, value in done[0].params.items())
    return "\n".join([*lines, f"Best: {best}"])
