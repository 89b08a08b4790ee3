"""What pretraining is worth: an encoder of src/pretrain.py against one with random weights.

    python src/pretrain.py train.csv test_data.csv more_text.tsv --run_name my_encoder
    python benchmarks/bench_pretraining.py --encoder models/my_encoder --data_file train.csv \\
        --work_dir DIR --target_prior src/tools/klue_dev_shares.json

Both are fine-tuned with the same flags and seeds on 80 % of the sentences and scored on the other
20 %, beside plain `mini`. Finished runs are kept. Ends with a table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

import _path  # noqa: F401
import experiments
from mini_runs import RECIPE_FILE, make_parser, split_by_sentence

FLAGS = {
    "batch_size": 32,
    "learning_rate": 3e-4,
    "focal_loss": True,
    "label_smoothing": 0.09,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--encoder", required=True, type=Path, help="folder of src/pretrain.py")
    parser.add_argument("--num_epochs", type=int, default=3, help="of fine-tuning [3]")
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time [1]")
    args = parser.parse_args(arguments)
    split_by_sentence(args.data_file, args.work_dir)
    fresh = args.work_dir / f"{args.encoder.name}_from_nothing"
    if not fresh.exists():
        save_fresh(args.encoder, fresh)
    recipes: dict[str, dict[str, Any]] = {
        "pretrained": {"model_name_or_path": str(args.encoder.resolve()), **FLAGS},
        "from_nothing": {"model_name_or_path": str(fresh.resolve()), **FLAGS},
        "mini": json.loads(RECIPE_FILE.read_text(encoding="utf-8")),
    }
    paths = []
    for name, flags in recipes.items():
        paths.append(args.work_dir / f"{name}.json")
        recipe = {**flags, "num_epochs": args.num_epochs}
        paths[-1].write_text(json.dumps(recipe, indent=2), encoding="utf-8")
    flags = {
        "train_file": args.work_dir / "train_data.csv",
        "valid_file": args.work_dir / "valid_data.csv",
        "output_dir": args.work_dir / "pretraining",
        "seeds": args.seeds,
        "jobs": args.jobs,
        "target_prior": args.target_prior or "",
    }
    given = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
    experiments.main(["--recipes", *map(str, paths), *given])


def save_fresh(encoder: Path, folder: Path) -> None:
    """The same tokenizer and shape with random weights."""
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.from_pretrained(encoder)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)


if __name__ == "__main__":
    main()
