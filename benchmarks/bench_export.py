"""How fast and how large a model is in each format, on the CPU: torch, ONNX, ONNX in 8 bits.

    python benchmarks/bench_export.py --model_file models/NAME.pth --data_file train.csv --rows 512
    python benchmarks/bench_export.py --size base --data_file train.csv --vocab_dir FOLDER

Rows/s from encoded examples to probabilities, one at a time and in bulk; medians over repetitions,
the formats alternating within one process. `--size` takes random weights in the shape of mini,
klue/roberta-base or klue/roberta-large in place of a checkpoint: they compute as fast.
Ends with a table for people and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import _path  # noqa: F401

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch

from kore.common.devices import make_accelerator
from kore.common.flags import BATCH_TOKENS, DeviceOptions
from kore.data.dataset import EncodedExample, InputEncoder
from kore.data.markers import MarkerScheme, mark
from kore.data.schema import Example, LabelMap, labels_in_order
from kore.network.checkpoint import load_model, save_model
from kore.network.model import RelationClassifier
from kore.network.onnx_export import onnx_bytes
from kore.network.trained import TrainedModel
from kore.prediction.predictor import Predictor, prepared
from kore.training.options import TrainOptions
from workload import SHAPES, make_encoder, make_tokenizer, read_rows

QUICK_ROWS, QUICK_REPEATS = 16, 1
PRECISIONS = {"torch fp32": "fp32", "torch bf16": "bf16"}
FILES = {"onnx": False, "onnx-int8": True}


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_arguments(arguments)
    examples, scheme = read_rows(args.data_file)
    trained = (
        load_model(args.model_file) if args.model_file else random_model(args, examples, scheme)
    )
    rows = trained.input_encoder.encode(examples[: args.rows])
    with tempfile.TemporaryDirectory() as folder:
        ways, sizes = make_ways(trained, Path(folder))
        trained.model.eval()
        speeds = {
            "one_at_a_time": measure(ways, rows[: args.single_rows], 1, args.repeats),
            "in_bulk": measure(ways, rows, BATCH_TOKENS, args.repeats),
        }
    threads = torch.get_num_threads()
    tokens = statistics.mean(len(row.input_ids) for row in rows)
    print(
        f"{args.model_file or args.size}: {len(rows)} rows of {tokens:.0f} tokens on average, "
        f"{threads} thread(s), medians of {args.repeats}\n"
    )
    print(table(speeds, sizes))
    result = {"model": str(args.model_file or args.size), "threads": threads, "rows": len(rows)}
    print(json.dumps({**result, "rows_per_second": speeds, "mib": sizes}))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model_file", type=Path, help="a checkpoint")
    model.add_argument("--size", choices=tuple(SHAPES), help="random weights in that shape")
    parser.add_argument("--data_file", required=True, type=Path, help="examples to predict")
    parser.add_argument("--vocab_dir", type=Path, help="folder of a vocab.txt; else one is learned")
    parser.add_argument("--rows", type=int, default=256, help="examples in bulk [256]")
    parser.add_argument("--single_rows", type=int, default=32, help="examples one at a time [32]")
    parser.add_argument("--repeats", type=int, default=5, help="counted repetitions [5]")
    parser.add_argument("--quick", action="store_true", help="few examples, once: does it run?")
    args = parser.parse_args(arguments)
    if args.quick:
        args.rows, args.single_rows = QUICK_ROWS, QUICK_ROWS // 4
        args.repeats = QUICK_REPEATS
    return args


def random_model(
    args: argparse.Namespace, examples: Sequence[Example], scheme: MarkerScheme
) -> TrainedModel:
    """A model of the shape `--size` with random weights and the recipe's markers and pooling."""
    texts = [mark(example, scheme).text for example in examples]
    tokenizer = make_tokenizer(args.size, args.vocab_dir, texts)
    names = labels_in_order([str(row.label) for row in examples], None)
    torch.manual_seed(0)
    encoder = make_encoder(args.size, tokenizer)
    return TrainedModel(
        model=RelationClassifier(encoder, len(names), "start", dropout=0.1),
        input_encoder=InputEncoder(tokenizer, scheme, TrainOptions.max_length),
        labels=LabelMap(names, None),
        options={"dropout": 0.1},
        scores={},
    )


Way = Callable[[Sequence[EncodedExample], int], Any]


def make_ways(trained: TrainedModel, folder: Path) -> tuple[dict[str, Way], dict[str, float]]:
    """For each format a function of rows and batch size, and the size of its file in MiB.

    bf16 is `--precision bf16` with the fp32 checkpoint, hence its size.
    """
    ways: dict[str, Way] = {}
    sizes: dict[str, float] = {}
    checkpoint = folder / "model.pth"
    save_model(checkpoint, trained)
    for name, precision in PRECISIONS.items():
        sizes[name] = checkpoint.stat().st_size / 2**20
        ways[name] = make_way(load_model(checkpoint), precision)
    for name, int8 in FILES.items():
        file = folder / f"{name}.onnx"
        file.write_bytes(onnx_bytes(trained, int8=int8))
        sizes[name] = file.stat().st_size / 2**20
        ways[name] = make_way(load_model(file), "fp32")
    return ways, sizes


def make_way(trained: TrainedModel, precision: str) -> Way:
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision=precision))
    model = prepared(trained, accelerator)
    encoder = trained.input_encoder
    return lambda rows, tokens: Predictor(model, encoder, accelerator, tokens).probs(rows)


def measure(
    ways: dict[str, Way], rows: Sequence[EncodedExample], batch_tokens: int, repeats: int
) -> dict[str, float]:
    """Median rows/s of each way after one uncounted call, the ways taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way(rows, batch_tokens)
            if repeat:
                seconds[name].append(time.perf_counter() - started)
    return {name: len(rows) / statistics.median(times) for name, times in seconds.items()}


def table(speeds: dict[str, dict[str, float]], sizes: dict[str, float]) -> str:
    """Speeds and sizes as a Markdown table."""
    lines = [
        f"| format | rows/s, one at a time | rows/s, {BATCH_TOKENS} tokens at once | MiB |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {speeds['one_at_a_time'][name]:.1f} | {speeds['in_bulk'][name]:.1f} "
        f"| {size:.1f} |"
        for name, size in sizes.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
