"""What ensembles are worth: seeds, folds and techniques of `mini` against a single model.

    python src/tools/experiments.py --recipes benchmarks/technique_base.json \\
        --variants benchmarks/techniques.json --seeds 3 --output_dir EXPERIMENTS \\
        --train_file DIR/train_data.csv --valid_file DIR/valid_data.csv
    python benchmarks/bench_ensembles.py --data_file train.csv --work_dir DIR \\
        --experiments EXPERIMENTS --target_prior src/tools/klue_dev_shares.json

Single models, and the members of ensembles over seeds and techniques, come from the experiments,
and with `--pretrained DIR/pretraining` from bench_pretraining.py; the folds are trained here and
kept. Ends with a table: the single model, and below it the ensembles that `--rows` names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import _path  # noqa: F401
import ensemble
import train
from kore.common.files import safe_name
from kore.evaluation.score_table import GoldRows, as_markdown, score_rows
from kore.prediction.options import EnsembleOptions
from kore.prediction.predictions import find_labels, read_submission
from mini_runs import RECIPE_FILE, make_parser, run_flags, split_by_sentence

BASE = RECIPE_FILE.stem
TECHNIQUES = (
    "BiLSTM on top",
    "asymmetric loss",
    "cue sentence",
    "entity-type embedding",
    "R-Drop 1.0",
    "all that help, together",
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--experiments", required=True, type=Path, help="their --output_dir")
    parser.add_argument("--pretrained", type=Path, help="the same of bench_pretraining.py's runs")
    parser.add_argument("--num_folds", type=int, default=5, help="of a k-fold run [5]")
    rows = ("seeds", "techniques", "folds")
    parser.add_argument(
        "--rows", nargs="+", choices=rows, default=rows, help="ensembles to score [all]"
    )
    args = parser.parse_args(arguments)
    split_by_sentence(args.data_file, args.work_dir)
    seeds = range(args.seeds)
    single = [predictions(args.experiments, BASE, seed) for seed in seeds]
    joined = Joined(args.work_dir)
    files = {"one model": single}
    if "seeds" in args.rows:
        files[f"{args.seeds} seeds, soft vote"] = [joined.vote("seeds", single)]
        files[f"{args.seeds} seeds, hard vote"] = [joined.vote("seeds_hard", single, "hard")]
    if "techniques" in args.rows:
        files |= joined_techniques(joined, seeds, args.experiments, args.pretrained)
    if "folds" in args.rows:
        files[f"{args.num_folds} folds, soft vote"] = [
            joined.vote(f"folds{seed}", trained_folds(args.work_dir, args.num_folds, seed))
            for seed in seeds
        ]
    labels = find_labels(single[0], EnsembleOptions())
    valid_file, train_file = (args.work_dir / f"{part}_data.csv" for part in ("valid", "train"))
    gold = GoldRows.read(valid_file, train_file, labels, args.target_prior)
    probs = {
        name: [read_submission(path, labels).probs for path in paths]
        for name, paths in files.items()
    }
    print(as_markdown(score_rows(gold, probs, resamples=1000)))


def joined_techniques(
    joined: Joined, seeds: Sequence[int], experiments: Path, pretrained: Path | None
) -> dict[str, list[Path]]:
    """The techniques of each seed joined; where there is a pretrained encoder, with it as well."""
    name = f"{len(TECHNIQUES)} techniques"
    members = [[predictions(experiments, row, seed) for row in TECHNIQUES] for seed in seeds]
    files = {
        f"{name}, soft vote": [joined.vote(f"techniques{seed}", members[seed]) for seed in seeds]
    }
    if pretrained:
        files[f"{name} and the pretrained encoder, soft vote"] = [
            joined.vote(
                f"pretrained{seed}", [*members[seed], predictions(pretrained, "pretrained", seed)]
            )
            for seed in seeds
        ]
    return files


class Joined:
    """Writes ensembles of predictions or checkpoints, with the command a user has."""

    def __init__(self, work_dir: Path) -> None:
        self.rows = work_dir / "valid_data.csv"
        self.folder = work_dir / "ensembles"

    def vote(self, name: str, members: Sequence[Path], method: str = "soft") -> Path:
        flags = ["--test_file", str(self.rows), "--output_dir", str(self.folder)]
        flags += ["--output_name", f"{name}.csv", "--method", method]
        ensemble.main([*map(str, members), *flags])
        return self.folder / f"{name}.csv"


def predictions(experiments: Path, row: str, seed: int) -> Path:
    """The predictions of a row of the experiments with a seed."""
    return experiments / "predictions" / f"{safe_name(row)}-seed{seed}.csv"


def trained_folds(work_dir: Path, num_folds: int, seed: int) -> list[Path]:
    """The checkpoints of a k-fold run over the training rows; a stopped run is resumed."""
    run_name = f"folds-seed{seed}"
    changes = {"num_epochs": "3", "num_folds": str(num_folds), "seed": str(seed)}
    output = {"output_dir": str(work_dir / "outputs")}
    train.main(run_flags(work_dir, run_name, **changes, **output))
    models = work_dir / "models"
    return [models / f"{run_name}-fold{fold + 1}.pth" for fold in range(num_folds)]


if __name__ == "__main__":
    main()
