"""Entities and relations in one encoder, trained together: what it costs either of them.

    python benchmarks/bench_joint.py --train_file data/train_data.csv --valid_file data/valid_data.csv --ner_file klue-ner_4000.tsv --output_dir runs/joint --seed 0

Every optimizer step takes a batch of relations, whose levitated markers leave the text as it is, and
one of tagged texts, through the same encoder, by the recipes `kore_mini` and `kore_mini_ner`; the
loss is the sum of both means. Ends with the scores of both on their validation data, and writes a
checkpoint of each, for `inference.py` and `inference_ner.py`, which score like any other:

    python src/inference.py --model_file runs/joint/relations.pth --test_file klue-re-v1.1_dev_half.json
"""  # noqa: E501

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn

import _path  # noqa: F401
from kore.common.devices import make_accelerator
from kore.common.flags import parse_options
from kore.common.progress import progress_bar, show_progress
from kore.data.batching import epoch_batches
from kore.network.checkpoint import save_payload
from kore.training import ner_run, run
from kore.training.ner_options import TrainNerOptions
from kore.training.objective import Objective
from kore.training.optimizer import make_optimizer, make_schedule
from kore.training.options import TrainOptions
from kore.training.task_run import Start


def batches(objective: Objective, options: TrainOptions) -> Iterator:
    for epoch in itertools.count():
        yield from epoch_batches(objective.lengths, options.batch_size, options.seed, epoch)


def train_both(
    objectives: Sequence[Objective], options: TrainOptions, accelerator: Accelerator
) -> None:
    both = nn.ModuleList(objective.trained.model for objective in objectives).train()
    steps = math.ceil(len(objectives[0].lengths) / options.batch_size)
    optimizer = make_optimizer(both, options)
    schedule = make_schedule(optimizer, options, steps)
    orders = [batches(objective, options) for objective in objectives]
    bar = progress_bar(total=steps * options.num_epochs, desc="training", unit=" steps")
    with bar as progress:
        for _ in range(steps * options.num_epochs):
            for objective, order in zip(objectives, orders, strict=True):
                batch = objective.batch(next(order), accelerator.device)
                with accelerator.autocast():
                    loss = objective.losses(objective.trained.model, batch).mean()
                loss.backward()
            nn.utils.clip_grad_norm_(both.parameters(), options.max_grad_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            progress.update()


def must_be_finite(value: float) -> None:
    if not math.isfinite(value):
        raise SystemExit("the weights are no numbers any more")


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train_file", required=True, help="examples of relations")
    parser.add_argument("--valid_file", required=True, help="the same, to validate on")
    parser.add_argument("--ner_file", required=True, help="texts with tagged entities")
    parser.add_argument("--output_dir", required=True, help="folder for both checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_epochs", type=int, default=2, help="over the relations")
    parser.add_argument("--pair_layers", default="1", help="of the levitated markers")
    chosen = parser.parse_args(arguments)
    common = ["--seed", str(chosen.seed), "--num_epochs", str(chosen.num_epochs)]
    options = parse_options(
        TrainOptions,
        [
            *("--recipe", "kore_mini", *common, "--train_file", chosen.train_file),
            *("--valid_file", chosen.valid_file, "--marker_style", "levitated"),
            *("--span_pooling", "start_end", "--pair_layers", chosen.pair_layers),
        ],
    )
    ner_options = parse_options(
        TrainNerOptions,
        [
            *("--recipe", "kore_mini_ner", *common, "--train_file", chosen.ner_file),
            *("--model_name_or_path", options.model_name_or_path),
        ],
    )
    show_progress()
    set_seed(chosen.seed)
    accelerator = make_accelerator(options)
    start = Start(Path(), None, is_main=True)
    relations: Any = run.begin(options, start)
    entities = ner_run.begin(ner_options, start)
    tagger = entities.trained.tagger
    # That of the relations has embeddings of their markers as well.
    tagger.encoder = relations.trained.classifier.encoder
    tagger.run_encoder()
    train_both((relations, entities), options, accelerator)
    for name, objective in (("relations", relations), ("entities", entities)):
        model = objective.trained.model.eval()
        result = objective.validate(model, accelerator, must_be_finite)
        objective.trained.scores = {**result.row, **result.scores, "epoch": chosen.num_epochs}
        path = Path(chosen.output_dir) / f"{name}.pth"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_payload(path, objective.model_kind, objective.payload())
        print(f"{name}: {result.summary}; written: {path}")


if __name__ == "__main__":
    main()
