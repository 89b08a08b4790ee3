"""The work of every way: the same examples, tokenizer, and encoder with random weights.

data file -> a sample of it with the lengths of the whole -> Job -> a process for each way
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import (
    BertTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    RobertaConfig,
    RobertaModel,
)

import _path  # noqa: F401
from kore.common.devices import make_accelerator
from kore.common.flags import DeviceOptions
from kore.data.dataset import EncodedExample, InputEncoder
from kore.data.markers import MarkerScheme, mark
from kore.data.rows import read_examples
from kore.data.sample_run import make_sample
from kore.data.schema import Example, LabelMap, entity_types
from kore.network import mini

SEED = 42
MAX_LENGTH = 160
BATCH_SIZE = 16
LEARNING_RATE = 3e-5
DROPOUT = 0.1
POSITIONS = 512  # of tokens; roberta's first positions are never used


@dataclass(frozen=True)
class Shape:
    """An encoder's shape: of klue/roberta-base and -large, and of mini."""

    num_layers: int
    hidden_size: int
    num_heads: int
    vocab_size: int

    @property
    def inner_size(self) -> int:
        return 4 * self.hidden_size


SHAPES = {
    "mini": Shape(
        mini.SIZE.num_layers, mini.SIZE.hidden_size, mini.SIZE.num_heads, mini.SIZE.vocab_size
    ),
    "base": Shape(12, 768, 12, 32_000),
    "large": Shape(24, 1024, 16, 32_000),
}


@dataclass(frozen=True)
class Job:
    """The work of a process. No example is longer than `MAX_LENGTH`, so none is truncated."""

    size: str
    examples: list[Example]
    lengths: list[int]  # tokens of each
    tokenizer: PreTrainedTokenizerBase
    scheme: MarkerScheme
    labels: LabelMap
    device: torch.device
    precision: str  # "bf16", or "fp32" where the device has no bf16 of its own
    rounds: int  # the uncounted first one included

    def label_numbers(self) -> list[int]:
        return self.labels.index(str(example.label) for example in self.examples)

    def encoder(self) -> PreTrainedModel:
        """The encoder, the same in every process; the head made right after it is so as well."""
        torch.manual_seed(SEED)
        return make_encoder(self.size, self.tokenizer)


def add_flags(parser: argparse.ArgumentParser, ways: Sequence[str]) -> None:
    """The flags that choose the work and the ways."""
    add = parser.add_argument
    add("--size", choices=tuple(SHAPES), help="encoder [base, with --quick mini]")
    add("--data_file", type=Path, help="examples to work on [generated ones]")
    add("--vocab_dir", type=Path, help="folder with a vocab.txt [a vocabulary is learned]")
    add("--rounds", type=int, help="counted rounds, each way once a round [5, with --quick 3]")
    add("--ways", nargs="+", choices=tuple(ways), default=list(ways), help="[all]")
    add("--quick", action="store_true", help="ends within 50 seconds on two cores")


def set_defaults(args: argparse.Namespace) -> argparse.Namespace:
    """Fills in what depends on `--quick` and on the device."""
    args.size = args.size or ("mini" if args.quick else "base")
    args.rounds = args.rounds or (3 if args.quick else 5)
    args.device = "cuda" if torch.cuda.is_available() else "cpu"
    return args


def read_rows(data_file: Path | None) -> tuple[list[Example], MarkerScheme]:
    """The examples of a file, or generated ones, and their markers."""
    if data_file is None:
        examples = list(make_sample(1_200, SEED).train)
    else:
        examples = read_examples(data_file)
    return examples, MarkerScheme(True, True, "punct", entity_types(examples))


Grouping = Callable[[Sequence[int]], list[np.ndarray]]


def make_job(
    args: argparse.Namespace, num_rows: int, group: Grouping, window: int | None = None
) -> Job:
    """About `num_rows` examples of the file, as long as in all of it, and what else the ways need.

    Args:
        group: lengths -> the indices of every batch, as KoRE makes them of a whole file.
        window: examples drawn from the file and grouped together; None = all of them.
    """
    examples, scheme = read_rows(args.data_file)
    generator = np.random.default_rng(SEED)
    if window is not None:
        drawn = generator.permutation(len(examples))[:window]
        examples = [examples[number] for number in drawn]
    tokenizer = make_tokenizer(
        args.size, args.vocab_dir, [mark(example, scheme).text for example in examples]
    )
    rows = InputEncoder(tokenizer, scheme, MAX_LENGTH).encode(examples)
    examples, lengths = _uncut(examples, rows)
    chosen = generator.permutation(representative_rows(lengths, num_rows, group(lengths)))
    names = tuple(sorted({str(example.label) for example in examples}))
    accelerator = make_accelerator(DeviceOptions())
    return Job(
        size=args.size,
        examples=[examples[number] for number in chosen],
        lengths=[lengths[number] for number in chosen],
        tokenizer=tokenizer,
        scheme=scheme,
        labels=LabelMap(names, None),
        device=accelerator.device,
        precision="bf16" if accelerator.mixed_precision == "bf16" else "fp32",
        rounds=1 + args.rounds,
    )


def make_tokenizer(
    size: str, vocab_dir: Path | None, texts: Sequence[str]
) -> PreTrainedTokenizerBase:
    """klue's kind of tokenizer from a folder with its vocab.txt, or one learned from `texts`."""
    if vocab_dir is None:
        return mini.learn_tokenizer(texts, SHAPES[size].vocab_size)
    if not (vocab_dir / "vocab.txt").is_file():
        raise SystemExit(f"error: --vocab_dir {vocab_dir} holds no vocab.txt")
    return BertTokenizer.from_pretrained(vocab_dir, do_lower_case=False)


def make_encoder(size: str, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Random weights in the shape that `size` names, dropout 0.1 as published."""
    shape = SHAPES[size]
    if size == "mini":
        return mini.make_encoder(len(tokenizer), mini.SIZE)
    config = RobertaConfig(
        # A learned vocabulary may stay smaller; the embedding is as large as the published one.
        vocab_size=max(shape.vocab_size, len(tokenizer)),
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        intermediate_size=shape.inner_size,
        max_position_embeddings=POSITIONS + 2,
        type_vocab_size=1,
        pad_token_id=tokenizer.pad_token_id,
    )
    return RobertaModel(config, add_pooling_layer=False)


def equal_batches(lengths: Sequence[int], size: int) -> list[np.ndarray]:
    """Indices sorted by length, `size` a batch; an incomplete last batch is dropped."""
    order = np.argsort(lengths, kind="stable")
    return np.split(order[: len(order) // size * size], range(size, len(order) - size + 1, size))


def representative_rows(
    lengths: Sequence[int], num_rows: int, batches: Sequence[np.ndarray]
) -> np.ndarray:
    """Indices of a few of the `batches` (sorted by length), whose mean length is that of all.

    A whole file makes batches of like length. A few rows drawn at random and sorted do not; a few
    of its batches do, and sorted again they fall into the very same ones.
    """
    sizes = np.asarray(lengths)
    wanted = max(1, round(num_rows * len(batches) / len(sizes)))
    if wanted >= len(batches):
        return np.concatenate(batches)

    def spread(shift: float) -> np.ndarray:
        places = ((np.arange(wanted) + shift) / wanted * (len(batches) - 1)).astype(int)
        return np.concatenate([batches[place] for place in places])

    mean = sizes[np.concatenate(batches)].mean()
    choices = (spread(shift) for shift in np.linspace(0, 1, 51))
    return min(choices, key=lambda rows: abs(sizes[rows].mean() - mean))


def _uncut(
    examples: Sequence[Example], rows: Sequence[EncodedExample]
) -> tuple[list[Example], list[int]]:
    """Examples that fit, and their lengths: the ways would truncate differently."""
    kept = [number for number, row in enumerate(rows) if not row.was_cut]
    return [examples[number] for number in kept], [len(rows[number].input_ids) for number in kept]
