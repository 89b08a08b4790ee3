"""Fitting the linear part of a model, before its encoder learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from kore.common.progress import progress_bar
from kore.data.dataset import EncodedExample, padded_ngrams
from kore.network.ngrams import NgramHead

_EPOCHS, _BATCH, _RATE = 3, 256, 0.02  # by measurement on KLUE-RE dev, see docs/results.md


def fit_ngrams(
    head: NgramHead, rows: Sequence[EncodedExample], labels: Sequence[int], seed: int
) -> None:
    """Fits multinomial logistic regression on the n-grams of training examples, in place.

    A few epochs of AdamW without decay, whose learning rate falls to 0: stopping early is what
    keeps rare n-grams small.
    """
    table = nn.Parameter(head.table.clone())
    bias = nn.Parameter(head.bias.clone())
    steps = _EPOCHS * -(-len(rows) // _BATCH)
    optimizer = torch.optim.AdamW([table, bias], lr=_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    generator = np.random.default_rng(seed)
    gold = torch.tensor(labels)
    with progress_bar(total=steps, desc="fitting n-grams", unit=" steps") as progress:
        for _ in range(_EPOCHS):
            order = generator.permutation(len(rows))
            for chosen in np.array_split(order, steps // _EPOCHS):
                ngrams = padded_ngrams([rows[number] for number in chosen])
                assert ngrams is not None
                logits = bias + functional.embedding_bag(
                    ngrams, table, per_sample_weights=head.weights(ngrams), mode="sum"
                )
                functional.cross_entropy(logits, gold[chosen]).backward()
                optimizer.step()
                optimizer.zero_grad()
                schedule.step()
                progress.update()
    head.table.copy_(table.detach())
    head.bias.copy_(bias.detach())
