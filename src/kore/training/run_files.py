"""The files of one run: how they are named and what the readable ones hold."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.common.files import atomic_write, write_table
from kore.common.flags import AUTO
from kore.common.resources import find_file
from kore.training.options import FineTuningOptions, TrainOptions


@dataclass
class RunFiles:
    """Where a run writes."""

    model_dir: Path
    run_name: str

    @property
    def best(self) -> Path:
        return self.model_dir / f"{self.run_name}.pth"

    @property
    def folder(self) -> Path:
        return self.model_dir / self.run_name

    @property
    def last(self) -> Path:
        return self.folder / "last.pth"

    def beside(self, name: str) -> Path:
        """Another model that learned with the run's."""
        return self.folder / f"{name}.pth"


def check_run_name(name: str) -> None:
    """Raises UserError where a run's name is no file name."""
    if re.search(r"[/\\\0]|^\.", name):
        raise UserError(f"`run_name` {name!r} is no file name; leave out / and \\")


def run_files(options: FineTuningOptions) -> RunFiles:
    """The run's files, under a name of its own.

    Raises:
        UserError: a new run would write over an old one, or the name is no file name.
    """
    model_dir = Path(options.model_dir)
    check_run_name(options.run_name)
    if not options.run_name:
        options.run_name = _numbered_name(options, model_dir)
    files = RunFiles(model_dir, options.run_name)
    if not options.resume and (files.best.exists() or files.last.exists()):
        raise UserError(
            f"{files.best if files.best.exists() else files.last} is already there; pass another "
            "`run_name`, or `resume` to continue that run"
        )
    return files


def _numbered_name(options: FineTuningOptions, model_dir: Path) -> str:
    """`mini-3`: the next free number, or with `resume` the highest taken."""
    base = Path(options.model_name_or_path).name.removesuffix(".pth")
    taken = [
        int(match[1])
        for path in model_dir.glob(f"{base}-*")
        if (match := re.fullmatch(re.escape(base) + r"-(\d+)(\.pth)?", path.name))
    ]
    highest = max(taken, default=0)
    return f"{base}-{highest if options.resume and highest else highest + 1}"


def data_files(options: TrainOptions) -> dict[str, Path | None]:
    """The files whose content a run's weights depend on, by the name of their option.

    A file that ships with KoRE counts as what is found under its name; None = none is named.
    """
    names = [
        "train_file",
        "valid_file",
        "ner_file",
        "type_names",
        "swap_entities",
        "target_prior",
        "id2label_path",
    ]
    if options.label2id_path != AUTO:
        names.append("label2id_path")
    given = {name: getattr(options, name) for name in names}
    return {name: find_file(path) if path else None for name, path in given.items()}


def write_log(folder: Path, history: list[dict[str, Any]]) -> None:
    """`log.csv` with a row an epoch."""
    write_table(folder / "log.csv", history)


def read_log(folder: Path) -> list[dict[str, str]]:
    """The rows of `log.csv`, as texts."""
    with (folder / "log.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_options(folder: Path, options: FineTuningOptions) -> None:
    """`options.json`: every option of the run."""
    with atomic_write(folder / "options.json") as file:
        json.dump(vars(options), file, indent=2, ensure_ascii=False)
        file.write("\n")
