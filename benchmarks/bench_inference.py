"""How fast KoRE predicts, beside the plain script and Hugging Face's Trainer.

    python benchmarks/bench_inference.py --data_file train.csv --vocab_dir VOCAB --size base
    python benchmarks/bench_inference.py --quick

From examples in memory to their probabilities, tokenization included. All ways have the same
examples, encoder and head, and take turns. max_difference is the largest difference of a
probability from the plain script's. Ends with a table for people and one line of JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

import _path  # noqa: F401
from alternation import Turn, Way, Ways
from baselines import (
    predict_plainly,
    predict_with_trainer,
    predict_with_trainer_at_best,
)
from comparison import compare, print_report
from kore.common.devices import make_accelerator
from kore.common.flags import BATCH_TOKENS
from kore.data.batching import token_batches
from kore.data.dataset import InputEncoder
from kore.network.checkpoint import TrainedModel
from kore.network.model import RelationClassifier
from kore.prediction.options import InferenceOptions
from kore.prediction.predictor import CHUNK_ROWS, predict_examples
from kore.training.options import TrainOptions
from workload import DROPOUT, MAX_LENGTH, Job, add_flags, make_job, set_defaults

ROWS = {
    "cpu": {"mini": 2_048, "base": 192, "large": 128},
    "cuda": {"mini": 16_384, "base": 8_192, "large": 4_096},
}
QUICK_ROWS = {"mini": 256, "base": 64, "large": 64}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_flags(parser, tuple(WAYS))
    parser.add_argument("--rows", type=int, help="examples a round [by size]")
    args = set_defaults(parser.parse_args(arguments))
    ways = Ways({name: WAYS[name] for name in args.ways})
    rows = args.rows or (QUICK_ROWS if args.quick else ROWS[args.device])[args.size]
    job = make_job(args, rows, full_batches, window=max(rows, CHUNK_ROWS))
    report, results = compare("inference", ways, job)
    if "plain" in results:
        plain = results["plain"].laps[-1].result
        for name, result in results.items():
            difference = np.abs(result.laps[-1].result - plain).max()
            report["ways"][name]["max_difference"] = float(difference)
    print_report(report)


def full_batches(lengths: Sequence[int]) -> list[np.ndarray]:
    """The batches that KoRE makes of a chunk of a file, but the last one, which is seldom full."""
    return token_batches(lengths, BATCH_TOKENS)[:-1]


def predict_with_kore(job: Job, turn: Turn) -> None:
    """KoRE's own prediction, as its command calls it."""
    accelerator = make_accelerator(InferenceOptions())
    model = RelationClassifier(job.encoder(), len(job.labels), TrainOptions.span_pooling, DROPOUT)
    turn.watch(model)
    input_encoder = InputEncoder(job.tokenizer, job.scheme, MAX_LENGTH)
    trained = TrainedModel(model, input_encoder, job.labels, {}, {})
    for _ in range(job.rounds):
        turn.start()
        probs = predict_examples(trained, job.examples, accelerator)
        turn.stop(probs)


WAYS: dict[str, Way] = {
    "plain": predict_plainly,
    "trainer": predict_with_trainer,
    "trainer_best": predict_with_trainer_at_best,
    "kore": predict_with_kore,
}

if __name__ == "__main__":
    main()
