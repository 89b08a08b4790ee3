"""Fitting the linear part of a model, before its encoder learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, AdamW, Optimizer

from kore.common.progress import progress_bar
from kore.data.dataset import EncodedExample, padded_ngrams
from kore.data.ngrams import ngrams_around
from kore.data.tagging import UNKNOWN, EncodedWindow
from kore.network.ngrams import CharacterNgrams, NgramHead
from kore.network.tagger import TagSets

_BATCH = 256
# By measurement on KLUE-RE dev and on KLUE-NER, see docs/results.md and docs/ner.md.
_EPOCHS, _RATE = 3, 0.02
_CHARACTER_EPOCHS, _CHARACTER_RATE = 8, 20.0
# table (N, C), bias (C,), numbers of some examples -> their mean loss
Loss = Callable[[Tensor, Tensor, NDArray[np.int64]], Tensor]


def fit_ngrams(
    head: NgramHead, rows: Sequence[EncodedExample], labels: Sequence[int], seed: int
) -> None:
    """Fits multinomial logistic regression on the n-grams of training examples, in place.

    A few epochs of AdamW without decay: stopping early is what keeps rare n-grams small.
    """
    gold = torch.tensor(labels)

    def loss(table: Tensor, bias: Tensor, chosen: NDArray[np.int64]) -> Tensor:
        ngrams = padded_ngrams([rows[number] for number in chosen])
        assert ngrams is not None
        logits = bias + functional.embedding_bag(
            ngrams, table, per_sample_weights=head.weights(ngrams), mode="sum"
        )
        return functional.cross_entropy(logits, gold[chosen])

    def optimizer(weights: list[nn.Parameter]) -> Optimizer:
        return AdamW(weights, lr=_RATE, weight_decay=0.0)

    _fit(head, optimizer, loss, len(rows), _EPOCHS, seed)


def fit_character_ngrams(
    head: CharacterNgrams,
    windows: Sequence[EncodedWindow],
    targets: Sequence[Sequence[int]],
    tag_sets: TagSets,
    seed: int,
) -> None:
    """The same for the n-grams around each character of which something is known.

    By SGD, whose small steps for rare n-grams leave more of them to the encoder than AdamW's, which
    are of one size for all.

    Args:
        targets: of each window's characters, see `TagSets`.
    """
    buckets = len(head.table)
    ngrams = torch.from_numpy(
        np.concatenate([ngrams_around(window.surroundings, buckets) for window in windows])
    )
    gold = torch.tensor([target for row in targets for target in row])
    known = (gold != UNKNOWN).nonzero()[:, 0].numpy()

    def loss(table: Tensor, bias: Tensor, chosen: NDArray[np.int64]) -> Tensor:
        own = known[chosen]
        logits = bias + functional.embedding_bag(ngrams[own], table, mode="sum")
        return tag_sets.losses(logits[:, None], gold[own, None]).mean()

    def optimizer(weights: list[nn.Parameter]) -> Optimizer:
        return SGD(weights, lr=_CHARACTER_RATE)

    _fit(head, optimizer, loss, len(known), _CHARACTER_EPOCHS, seed)


def _fit(
    head: NgramHead | CharacterNgrams,
    make_optimizer: Callable[[list[nn.Parameter]], Optimizer],
    loss: Loss,
    count: int,
    epochs: int,
    seed: int,
) -> None:
    """Passes over `count` examples, in an order drawn anew each time; the rate falls to 0."""
    table = nn.Parameter(head.table.clone())
    bias = nn.Parameter(head.bias.clone())
    steps = -(-count // _BATCH)  # of an epoch
    optimizer = make_optimizer([table, bias])
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs * steps)
    generator = np.random.default_rng(seed)
    bar = progress_bar(total=epochs * steps, desc="fitting n-grams", unit=" steps")
    with bar as progress:
        for _ in range(epochs):
            for chosen in np.array_split(generator.permutation(count), steps):
                loss(table, bias, chosen).backward()
                optimizer.step()
                optimizer.zero_grad()
                schedule.step()
                progress.update()
    head.table.copy_(table.detach())
    head.bias.copy_(bias.detach())
