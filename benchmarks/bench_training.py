"""How fast KoRE trains, beside the plain script and Hugging Face's Trainer.

    python benchmarks/bench_training.py --data_file train.csv --vocab_dir VOCAB --size base
    python benchmarks/bench_training.py --quick

All ways make the same number of optimizer steps with the same examples, encoder and head, and take
turns. Only these steps are timed: no reading, no encoding, no validation, no checkpoint. Ends
with a table for people and one line of JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import _path  # noqa: F401
from alternation import Turn, Way, Ways
from baselines import train_plainly, train_with_trainer, train_with_trainer_at_best
from comparison import compare, print_report
from kore.common.devices import make_accelerator, make_deterministic
from kore.common.manifest import Manifest
from kore.common.memory import keep_freed_memory
from kore.data.batching import WINDOW_STEPS
from kore.data.dataset import InputEncoder
from kore.network.checkpoint import TrainedModel
from kore.network.model import RelationClassifier
from kore.training.options import TrainOptions
from kore.training.relation import EncodedData, RelationObjective
from kore.training.run_files import RunFiles
from kore.training.trainer import Trainer
from workload import (
    BATCH_SIZE,
    DROPOUT,
    LEARNING_RATE,
    MAX_LENGTH,
    Job,
    add_flags,
    equal_batches,
    make_job,
    set_defaults,
)

UPDATES = {
    "cpu": {"mini": 50, "base": 4, "large": 2},
    "cuda": {"mini": 50, "base": 50, "large": 50},
}
QUICK_UPDATES = {"mini": 10, "base": 1, "large": 1}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_flags(parser, tuple(WAYS))
    parser.add_argument("--updates", type=int, help="optimizer steps a round, at most 50 [by size]")
    args = set_defaults(parser.parse_args(arguments))
    ways = Ways({name: WAYS[name] for name in args.ways})
    updates = args.updates or (QUICK_UPDATES if args.quick else UPDATES[args.device])[args.size]
    window = BATCH_SIZE * WINDOW_STEPS  # what KoRE and Trainer sort by length at a time
    rows = min(updates * BATCH_SIZE, window)
    job = make_job(args, rows, lambda lengths: equal_batches(lengths, BATCH_SIZE), window)
    report, _ = compare("training", ways, job)
    print_report(report)


def train_with_kore(job: Job, turn: Turn) -> None:
    """KoRE's own Trainer; an epoch's optimizer steps are a turn."""
    make_deterministic()
    keep_freed_memory()
    trainer = make_trainer(job)
    turn.watch(trainer.objective.trained.model)
    trainer.model.train()
    for epoch in range(job.rounds):
        batches = trainer._batches(epoch)
        turn.start()
        for number, batch in enumerate(batches):
            trainer._optimizer_step(batch, epoch * len(batches) + number)
        turn.stop()


def make_trainer(job: Job) -> Trainer:
    """The trainer of a run over the job's rows; it writes no files."""
    options = TrainOptions(
        model_name_or_path=job.size,
        max_length=MAX_LENGTH,
        batch_size=BATCH_SIZE,
        num_epochs=job.rounds,
        learning_rate=LEARNING_RATE,
        dropout=DROPOUT,
    )
    accelerator = make_accelerator(options)
    model = RelationClassifier(job.encoder(), len(job.labels), options.span_pooling, DROPOUT)
    input_encoder = InputEncoder(job.tokenizer, job.scheme, MAX_LENGTH)
    trained = TrainedModel(model, input_encoder, job.labels, asdict(options), {})
    data = EncodedData(input_encoder.encode(job.examples), job.label_numbers())
    objective = RelationObjective(options, trained, data, data)
    files = RunFiles(Path("unused"), "unused")
    return Trainer(options, accelerator, objective, files, Manifest({}))


WAYS: dict[str, Way] = {
    "plain": train_plainly,
    "trainer": train_with_trainer,
    "trainer_best": train_with_trainer_at_best,
    "kore": train_with_kore,
}

if __name__ == "__main__":
    main()
