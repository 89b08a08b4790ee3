"""A search for the best flags of training, by Optuna (Akiba et al. 2019).

    OUTPUT_DIR/search/<study>/trials.csv, history.png, slices.png, importance.png
    OUTPUT_DIR/search/<study>/study.db     all trials; several processes may share it
    MODEL_DIR/<study>/trial7.pth …         the best trial's checkpoint, and all logs

A trial is an ordinary run of training: one that was killed goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import sys
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

from config import SearchOptions, TrainOptions
from errors import UserError
from figures import save_figure
from files import atomic_write
from run_files import RunFiles, read_log
from search_space import Choice, Range, Space, read_space
from trainer import DivergedError
from training_run import train

try:
    import optuna
    from optuna.storages import RetryHeartbeatStaleTrialCallback as Retry
    from optuna.trial import TrialState
except ImportError as error:
    raise UserError(
        "src/search.py needs a package of its own: poetry install --with search, or "
        "python -m pip install optuna"
    ) from error

_PROCESS, _SPACE = "process", "space"
_SHOWN = 10  # trials in the printed table


def search(options: SearchOptions) -> Path:
    """Runs trials until there are enough, and returns the path of their table.

    Raises:
        UserError: the space is faulty, or the study was begun with another one.
        KeyboardInterrupt: with a message that says how to go on.
    """
    space = read_space(Path(options.space))
    folder = Path(options.output_dir) / "search" / options.study
    folder.mkdir(parents=True, exist_ok=True)
    study = _open_study(options, space, folder)
    _take_up_dead_trials(study)
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    try:
        if len(study.get_trials(states=ended)) < _wanted(options, space):
            study.optimize(
                lambda trial: _run_trial(trial, study, options, space),
                callbacks=[
                    optuna.study.MaxTrialsCallback(_wanted(options, space), states=ended),
                    lambda study, trial: _write_table(study, folder / "trials.csv"),
                ],
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Stopped; all trials are kept. To go on, give the same command once more"
        ) from None
    table = folder / "trials.csv"
    _write_table(study, table)
    _draw(study, folder)
    print(_summary(study, options))
    return table


def _open_study(options: SearchOptions, space: Space, folder: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    described = json.dumps(space, sort_keys=True)
    if options.sampler == "grid":
        sampler: optuna.samplers.BaseSampler = optuna.samplers.GridSampler(
            {name: list(_grid_values(options, name, space)) for name in space}, seed=options.seed
        )
    else:
        sampler = optuna.samplers.TPESampler(seed=options.seed + os.getpid() % 1000)
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if options.pruning:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    study = optuna.create_study(
        study_name=options.study,
        storage=f"sqlite:///{(folder / 'study.db').resolve()}",
        sampler=sampler,
        pruner=pruner,
        direction="maximize",
        load_if_exists=True,
    )
    before = study.user_attrs.get(_SPACE)
    if before is None:
        study.set_user_attr(_SPACE, described)
    elif before != described:
        raise UserError(
            f"{folder}: this study searches another space ({before}); restore {options.space}, or "
            "pass another --study"
        )
    return study


def _grid_values(options: SearchOptions, name: str, space: Space) -> tuple[Any, ...]:
    domain = space[name]
    if isinstance(domain, Range):
        raise UserError(
            f"{options.space}: {name} is a range, but a grid needs a list of values; pass "
            "--sampler tpe, or name the values"
        )
    return domain.values


def _wanted(options: SearchOptions, space: Space) -> int:
    """How many trials there are to be."""
    if options.sampler != "grid":
        return options.num_trials
    cells = 1
    for name in space:
        cells *= len(_grid_values(options, name, space))
    return cells


def _take_up_dead_trials(study: optuna.Study) -> None:
    """Queues trials once more whose process on this machine is gone; they go on where they were."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        host, _, process = str(trial.user_attrs.get(_PROCESS, "")).rpartition(":")
        if host == socket.gethostname() and not _is_alive(int(process)):
            study.tell(trial.number, state=TrialState.FAIL)
            Retry()(study, trial)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _run_trial(
    trial: optuna.Trial, study: optuna.Study, options: SearchOptions, space: Space
) -> float:
    """One training; returns the best epoch's score, in per cent."""
    trial.set_user_attr(_PROCESS, f"{socket.gethostname()}:{os.getpid()}")
    chosen = {name: _suggest(trial, name, domain) for name, domain in space.items()}
    with warnings.catch_warnings(action="ignore"):  # that this function is experimental
        first = Retry.retried_trial_number(study.trials[trial.number])
    run = dataclasses.replace(
        _train_options(options),
        **chosen,
        model_dir=str(Path(options.model_dir) / options.study),
        run_name=f"trial{trial.number if first is None else first}",
        resume=True,
    )
    metric = options.selection_metric
    told = ", ".join(f"{name} {value}" for name, value in chosen.items())
    print(f"trial {trial.number}: {told}", file=sys.stderr)

    def report(row: dict[str, Any]) -> None:
        trial.report(row[metric], row["epoch"])
        if row["epoch"] < run.num_epochs and trial.should_prune():
            raise optuna.TrialPruned()

    files = RunFiles(Path(run.model_dir), run.run_name)
    try:
        train(run, report)
    except DivergedError as error:
        print(f"trial {trial.number} is given up: {error}", file=sys.stderr)
        _remove_weights(files)
        raise optuna.TrialPruned() from error
    except optuna.TrialPruned:
        _remove_weights(files)
        raise
    files.last.unlink()
    score = max(float(row[metric]) for row in read_log(files.folder))
    earlier = [trial.value for trial in study.get_trials(states=(TrialState.COMPLETE,))]
    if any(value is not None and value >= score for value in earlier):
        _remove_weights(files)
    return score


def _remove_weights(files: RunFiles) -> None:
    """An encoder may take gigabytes; the log and the flags of a trial stay."""
    files.best.unlink(missing_ok=True)
    files.last.unlink(missing_ok=True)


def _suggest(trial: optuna.Trial, name: str, domain: Choice | Range) -> Any:
    if isinstance(domain, Choice):
        return trial.suggest_categorical(name, domain.values)
    if type(domain.low) is int and type(domain.high) is int:
        return trial.suggest_int(name, domain.low, domain.high, log=domain.is_log)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.is_log)


def _train_options(options: SearchOptions) -> TrainOptions:
    given = {field.name: getattr(options, field.name) for field in fields(TrainOptions)}
    return TrainOptions(**given)


def _write_table(study: optuna.Study, path: Path) -> None:
    frame = study.trials_dataframe(attrs=("number", "value", "state", "duration", "params"))
    with atomic_write(path) as file:
        frame.to_csv(file, index=False)


def _draw(study: optuna.Study, folder: Path) -> None:
    """Pictures of the trials; importance only where scores differ."""
    from optuna.visualization import matplotlib as drawings

    scores = {trial.value for trial in study.get_trials(states=(TrialState.COMPLETE,))}
    pictures: dict[str, Any] = {
        "history": drawings.plot_optimization_history,
        "slices": drawings.plot_slice,
    }
    if len(scores) > 1:
        pictures["importance"] = drawings.plot_param_importances
    with warnings.catch_warnings(action="ignore"):  # that these functions are experimental
        for name, draw in pictures.items():
            axes = draw(study)
            first = axes.flat[0] if hasattr(axes, "flat") else axes
            save_figure(first.figure, folder / f"{name}.png")


def _summary(study: optuna.Study, options: SearchOptions) -> str:
    """The best trials, and the flags of the first."""
    done = study.get_trials(states=(TrialState.COMPLETE,))
    if not done:
        return "No trial came to its end."
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
