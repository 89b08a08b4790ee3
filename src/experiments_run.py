"""Recipes and seeds -> runs -> one table: is a technique worth switching on, or was it chance?

    OUTPUT_DIR/runs/<row>-seed0.pth …          the checkpoints and their folders
    OUTPUT_DIR/predictions/<row>-seed0.csv …   what each predicts for the validation rows
    OUTPUT_DIR/results.md, results.csv         a row a recipe: mean ± sd, difference and p, minutes

p is that of a paired bootstrap over the validation rows, of the mean score of all seeds against
that of the first row's seeds (Berg-Kirkpatrick et al. 2012).
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from checkpoint import load_model
from config import RECIPE, RowOptions, SchemaOptions, TrainOptions, parse_options
from config import ExperimentOptions as Options
from errors import UserError
from files import atomic_write, checksum, read_json, safe_name
from metrics import Floats, Ints, score
from priors import read_prior, row_weights
from recipes import as_arguments, nearest
from resampling import difference, resampled_scores
from rows import read_examples
from run_files import read_log
from schema import LabelMap
from submission import read_submission

SOURCE = Path(__file__).resolve().parent
SCORES = {"micro_f1": "micro-F1", "auprc": "AUPRC"}
_MANAGED = {"train_file", "valid_file", "model_dir", "run_name", "resume", "seed", "num_folds"}


_SCHEMA = [field.name for field in fields(SchemaOptions)]


@dataclass(frozen=True)
class Row:
    """One row of the table: its name, and the flags of src/train.py that make it."""

    name: str
    arguments: tuple[str, ...]


def run_experiments(options: Options) -> Path:
    """Trains what is not trained yet, writes the table and returns its path.

    Raises:
        UserError: an unknown recipe or flag, or a run that failed; what is finished is kept.
    """
    rows = planned_rows(options)
    if options.target_prior and not Path(options.target_prior).is_file():
        raise UserError(f"--target_prior {options.target_prior}: no such file")
    folder = Path(options.output_dir)
    runs = [(row, seed) for seed in range(options.seeds) for row in rows]
    threads = max(1, (os.cpu_count() or 1) // options.jobs)
    with ThreadPoolExecutor(options.jobs) as pool, tqdm(total=len(runs), unit=" runs") as progress:
        futures = [pool.submit(_finished, options, row, seed, threads) for row, seed in runs]
        try:
            for future in futures:
                future.result()
                progress.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    results = table(options, rows)
    _write_csv(folder / "results.csv", results)
    text = as_markdown(results, options)
    with atomic_write(folder / "results.md") as file:
        file.write(text)
    print(text)
    return folder / "results.md"


def planned_rows(options: Options) -> list[Row]:
    """The rows of the table, every flag of them checked before the first is trained."""
    if not options.recipes:
        raise UserError("--recipes names none; see recipes/ for what there is")
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
            parse_options(TrainOptions, row.arguments)
        except UserError as error:
            raise UserError(f"{row.name}: {error}") from error
    return rows


def table(options: Options, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The scores of finished runs: one dict a row, numbers as they are."""
    labels = load_model(_files(options, rows[0], 0)[0]).labels
    examples = read_examples(
        Path(options.valid_file), RowOptions(), need_labels=True, known_labels=labels.names
    )
    gold = np.asarray(labels.index(str(row.label) for row in examples))
    weights = None
    if options.target_prior:
        weights = row_weights(gold, read_prior(Path(options.target_prior), labels))
    resamples: dict[str, dict[str, Floats]] = {}
    results: list[dict[str, Any]] = []
    for row in rows:
        probs = [_probs(options, row, seed, labels) for seed in range(options.seeds)]
        resamples[row.name] = resampled_scores(gold, probs, labels, options.resamples, seed=0)
        result = {"name": row.name, **_scores(gold, probs, labels, weights)}
        result["minutes"] = statistics.median(
            _minutes(options, row, seed) for seed in range(options.seeds)
        )
        results.append(result)
        for name in SCORES:
            first = results[0][name]
            delta = difference(
                result[name] - first,
                resamples[row.name][name].mean(axis=0),
                resamples[rows[0].name][name].mean(axis=0),
            )
            result[f"{name}_delta"] = delta.value
            result[f"{name}_p"] = delta.p
    return results


def as_markdown(results: Sequence[dict[str, Any]], options: Options) -> str:
    """The table as people read it."""
    adjusted = [f"{name}_adjusted" for name in SCORES if options.target_prior]
    titles = ["", *SCORES.values()]
    titles += [f"Δ {title} (p)" for title in SCORES.values()]
    titles += [f"{SCORES[name.removesuffix('_adjusted')]}, expected shares" for name in adjusted]
    lines = [[*titles, "minutes"], ["---"] * (len(titles) + 1)]
    for number, result in enumerate(results):
        cells = [result["name"]]
        cells += [f"{result[name]:.2f} ± {result[f'{name}_sd']:.2f}" for name in SCORES]
        cells += [
            f"{result[f'{name}_delta']:+.2f} ({result[f'{name}_p']:.3f})" if number else ""
            for name in SCORES
        ]
        cells += [f"{result[name]:.2f} ± {result[f'{name}_sd']:.2f}" for name in adjusted]
        lines.append([*cells, f"{result['minutes']:.1f}"])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _read_variants(path: Path) -> dict[str, dict[str, Any]]:
    variants = read_json(path)
    if not isinstance(variants, dict) or not all(isinstance(v, dict) for v in variants.values()):
        raise UserError(f'{path}: expected {{"name": {{"flag": value}}, …}}')
    known = {field.name for field in fields(TrainOptions)} - _MANAGED
    for name, flags in variants.items():
        for flag in flags:
            if flag not in known:
                raise UserError(
                    f"{path}: {name}: no flag {flag!r}; did you mean {nearest(flag, known)}?"
                )
    return variants


def _files(options: Options, row: Row, seed: int) -> tuple[Path, Path]:
    """The checkpoint and the predictions of a run."""
    name = f"{safe_name(row.name)}-seed{seed}"
    folder = Path(options.output_dir)
    return folder / "runs" / f"{name}.pth", folder / "predictions" / f"{name}.csv"


def _finished(options: Options, row: Row, seed: int, threads: int) -> None:
    """Trains and predicts, as far as that is not done."""
    checkpoint, predictions = _files(options, row, seed)
    made_of = predictions.with_suffix(".made_of.json")
    origin = _origin(options, row)
    if made_of.exists() and read_json(made_of) != origin:
        raise UserError(
            f"{predictions}: was made with other flags or rows; pass another --output_dir, or "
            "remove this one"
        )
    if predictions.exists():
        return
    with atomic_write(made_of) as file:
        json.dump(origin, file, indent=2, ensure_ascii=False)
    log = checkpoint.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    schema = {name: getattr(options, name) for name in _SCHEMA}
    train = [*row.arguments, *as_arguments(schema), "--seed", str(seed), "--resume"]
    train += ["--train_file", options.train_file, "--valid_file", options.valid_file]
    train += ["--model_dir", str(checkpoint.parent), "--run_name", checkpoint.stem]
    _run("train.py", train, log, threads)
    predict = ["--model_file", str(checkpoint), "--test_file", options.valid_file]
    predict += ["--output_dir", str(predictions.parent), "--output_name", predictions.name]
    run = parse_options(TrainOptions, row.arguments)
    predict += ["--use_cuda", run.use_cuda, "--precision", run.precision]
    _run("inference.py", predict, log, threads)


def _origin(options: Options, row: Row) -> dict[str, Any]:
    """What a run's predictions depend on beside its seed, as JSON holds it."""
    flags = dataclasses.asdict(parse_options(TrainOptions, row.arguments))
    managed = {*_MANAGED, RECIPE, "output_dir", "save_steps", *_SCHEMA}
    return {
        "flags": {name: value for name, value in flags.items() if name not in managed},
        "schema": {name: getattr(options, name) for name in _SCHEMA},
        "files": {
            name: checksum(Path(name))
            for name in (options.train_file, options.valid_file)
            if Path(name).is_file()
        },
    }


def _run(script: str, arguments: Sequence[str], log: Path, threads: int) -> None:
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
    with log.open("a", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, str(SOURCE / script), *arguments],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise UserError(f"a run failed: {''.join(last)} (all it said is in {log})")


def _probs(options: Options, row: Row, seed: int, labels: LabelMap) -> Floats:
    """(N, C), in the order of the validation file, which is that of inference."""
    return read_submission(_files(options, row, seed)[1], labels).probs


def _minutes(options: Options, row: Row, seed: int) -> float:
    """Of all epochs, without start and validation."""
    checkpoint, _ = _files(options, row, seed)
    return sum(float(epoch["seconds"]) for epoch in read_log(checkpoint.with_suffix(""))) / 60


def _scores(
    gold: Ints, probs: Sequence[Floats], labels: LabelMap, weights: Floats | None
) -> dict[str, float]:
    """Mean and standard deviation of the seeds' scores, also with weighed rows."""
    found = {"": [score(gold, part, labels) for part in probs]}
    if weights is not None:
        found["_adjusted"] = [score(gold, part, labels, weights) for part in probs]
    result = {}
    for suffix, scores in found.items():
        for name in SCORES:
            values = [getattr(one, name) for one in scores]
            result[f"{name}{suffix}"] = statistics.mean(values)
            result[f"{name}{suffix}_sd"] = statistics.stdev(values) if len(values) > 1 else 0.0
    return result


def _write_csv(path: Path, results: Sequence[dict[str, Any]]) -> None:
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, list(results[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(results)
