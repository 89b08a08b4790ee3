"""Recipes and seeds -> runs -> one table: is a technique worth switching on, or was it chance?

OUTPUT_DIR/runs/<row>-seed0.pth …          the checkpoints and their folders
OUTPUT_DIR/predictions/<row>-seed0.csv …   what each predicts for the scored examples
OUTPUT_DIR/results.md, results.csv         a row per recipe: mean ± sd, difference and p, minutes
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from kore.common.arrays import Floats
from kore.common.errors import UserError
from kore.common.files import atomic_write, checksum, read_json, safe_name, write_table
from kore.common.flags import RECIPE, parse_options
from kore.common.manifest import Manifest
from kore.common.progress import progress_bar
from kore.common.recipes import as_arguments, unknown_flag
from kore.common.resources import find_file, python_path
from kore.data.options import SchemaOptions
from kore.data.rows import read_examples
from kore.data.schema import LabelMap
from kore.evaluation.score_table import GoldRows, as_markdown, score_rows
from kore.network.checkpoint import load_model
from kore.network.shipped import resolve
from kore.prediction.predictions import read_submission
from kore.studies.options import ExperimentOptions
from kore.training.options import TrainOptions
from kore.training.run_files import data_files, read_log

_MANAGED = {"train_file", "valid_file", "model_dir", "run_name", "resume", "seed", "num_folds"}
_SCHEMA = [field.name for field in fields(SchemaOptions)]


@dataclass(frozen=True)
class Row:
    """One row of the table: its name, and the flags of training that make it."""

    name: str
    arguments: tuple[str, ...]


def run_experiments(options: ExperimentOptions) -> Path:
    """Trains what is not trained yet, writes the table and returns its path.

    Raises:
        UserError: an unknown recipe or flag, or a run that failed; what is finished is kept.
    """
    rows = planned_rows(options)
    if options.target_prior and not find_file(options.target_prior).is_file():
        raise UserError(f"`target_prior` {options.target_prior}: no such file")
    read_examples(_scored_file(options), need_labels=True)  # what is wrong with it is said at once
    folder = Path(options.output_dir)
    runs = [(row, seed) for seed in range(options.seeds) for row in rows]
    threads = max(1, (os.cpu_count() or 1) // options.jobs)
    with (
        ThreadPoolExecutor(options.jobs) as pool,
        progress_bar(total=len(runs), unit=" runs") as progress,
    ):
        futures = [pool.submit(_finished, options, row, seed, threads) for row, seed in runs]
        try:
            for future in futures:
                future.result()
                progress.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    results = table(options, rows)
    write_table(folder / "results.csv", results)
    text = as_markdown(results)
    with atomic_write(folder / "results.md") as file:
        file.write(text)
    print(text)
    return folder / "results.md"


def planned_rows(options: ExperimentOptions) -> list[Row]:
    """The rows of the table, every flag of them checked before the first is trained."""
    if not options.recipes:
        raise UserError("`recipes` names none; see recipes/ for what there is")
    rows = [
        Row(name if not name.endswith(".json") else Path(name).stem, (f"--{RECIPE}", name))
        for name in options.recipes
    ]
    if options.variants:
        base = rows[0].arguments
        for name, flags in _read_variants(Path(options.variants)).items():
            rows.append(Row(name, (*base, *as_arguments(flags))))
    if len({safe_name(row.name) for row in rows}) < len(rows):
        raise UserError("two rows have the same name; each needs one of its own")
    for row in rows:
        try:
            run = parse_options(TrainOptions, row.arguments)
        except UserError as error:
            raise UserError(f"{row.name}: {error}") from error
        _check_common_flags(row, run, options)
    return rows


def table(options: ExperimentOptions, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The scores of finished runs: a dict for each row of the table, numbers not rounded."""
    labels = load_model(_files(options, rows[0], 0)[0]).labels
    probs = {
        row.name: [_probs(options, row, seed, labels) for seed in range(options.seeds)]
        for row in rows
    }
    prior = find_file(options.target_prior) if options.target_prior else None
    gold = GoldRows.read(_scored_file(options), Path(options.train_file), labels, prior)
    results = score_rows(gold, probs, options.resamples)
    for row, result in zip(rows, results, strict=True):
        minutes = [_minutes(options, row, seed) for seed in range(options.seeds)]
        result["minutes"] = statistics.median(minutes)
    return results


def _check_common_flags(row: Row, run: TrainOptions, options: ExperimentOptions) -> None:
    """Refuses a recipe that sets what all rows of a table share."""
    if run.num_folds:
        raise UserError(f"{row.name}: sets num_folds, but a table compares models of one split")
    for name in ("train_file", "valid_file", *_SCHEMA):
        given = getattr(run, name)
        if given not in (getattr(TrainOptions, name), getattr(options, name)):
            raise UserError(
                f"{row.name}: sets {name}, but all rows of a table share it; pass --{name} {given}"
            )


def _read_variants(path: Path) -> dict[str, dict[str, Any]]:
    variants = read_json(path)
    if not isinstance(variants, dict) or not all(isinstance(v, dict) for v in variants.values()):
        raise UserError(f'{path}: expected {{"name": {{"flag": value}}, …}}')
    known = {field.name for field in fields(TrainOptions)} - {*_MANAGED, *_SCHEMA, RECIPE}
    for name, flags in variants.items():
        for flag in flags:
            if flag not in known:
                raise UserError(
                    f"{path}: {name}: {unknown_flag(flag, known, TrainOptions.REMOVED)}"
                )
    return variants


def _scored_file(options: ExperimentOptions) -> Path:
    return Path(options.test_file or options.valid_file)


def _files(options: ExperimentOptions, row: Row, seed: int) -> tuple[Path, Path]:
    """The checkpoint and the predictions of a run."""
    name = f"{safe_name(row.name)}-seed{seed}"
    folder = Path(options.output_dir)
    return folder / "runs" / f"{name}.pth", folder / "predictions" / f"{name}.csv"


def _finished(options: ExperimentOptions, row: Row, seed: int, threads: int) -> None:
    """Trains and predicts, unless that is done."""
    checkpoint, predictions = _files(options, row, seed)
    remedy = "pass another --output_dir"
    record = predictions.with_suffix(".manifest.json")
    if predictions.exists() and not record.exists():
        raise UserError(f"{predictions}: {record.name} is missing beside it; {remedy}")
    _manifest(options, row).begin_or_continue(record, predictions, remedy)
    if predictions.exists():
        return
    log = checkpoint.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    schema = {name: getattr(options, name) for name in _SCHEMA}
    train = [*row.arguments, *as_arguments(schema), "--seed", str(seed), "--resume"]
    train += ["--train_file", options.train_file, "--valid_file", options.valid_file]
    train += ["--model_dir", str(checkpoint.parent), "--run_name", checkpoint.stem]
    _run("train", train, log, threads)
    predict = ["--model_file", str(checkpoint), "--test_file", str(_scored_file(options))]
    predict += ["--output_dir", str(predictions.parent), "--output_name", predictions.name]
    run = parse_options(TrainOptions, row.arguments)
    predict += ["--use_cuda", run.use_cuda, "--precision", run.precision]
    _run("predict", predict, log, threads)


def _manifest(options: ExperimentOptions, row: Row) -> Manifest:
    """What a run's predictions depend on beside its seed."""
    shared = {name: getattr(options, name) for name in ("train_file", "valid_file", *_SCHEMA)}
    run = dataclasses.replace(parse_options(TrainOptions, row.arguments), **shared)
    encoder = Path(resolve(run.model_name_or_path))
    return Manifest.of(
        run,
        free={*_MANAGED, RECIPE, "output_dir", "save_steps"},
        files=data_files(run),
        **{
            "the content of the encoder": checksum(encoder) if encoder.exists() else None,
            "the content of the scored file": checksum(_scored_file(options)),
        },
    )


def _run(command: str, arguments: Sequence[str], log: Path, threads: int) -> None:
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, "PYTHONPATH": python_path()}
    with log.open("a", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, "-m", "kore", command, *arguments],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise UserError(f"a run failed: {''.join(last)} (all it printed is in {log})")


def _probs(options: ExperimentOptions, row: Row, seed: int, labels: LabelMap) -> Floats:
    """(N, C), in the order of the scored file, which is that of inference."""
    return read_submission(_files(options, row, seed)[1], labels).probs


def _minutes(options: ExperimentOptions, row: Row, seed: int) -> float:
    """Of all epochs, without start and validation."""
    checkpoint, _ = _files(options, row, seed)
    return sum(float(epoch["seconds"]) for epoch in read_log(checkpoint.with_suffix(""))) / 60
