"""Which examples are computed together, and in which order.

The optimizer steps of training are a pure function of the seed and the epoch, the batches of
prediction of the lengths: a run that is resumed, or that has several processes, sees the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Examples are sorted by length within so many optimizer steps: little padding, still random.
WINDOW_STEPS = 50


def epoch_batches(
    lengths: Sequence[int], examples_per_step: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Example numbers of every optimizer step of an epoch; each is in exactly one step.

    Examples are shuffled, sorted by length inside windows of 50 steps and cut into steps of like
    length, whose order is shuffled again. Their sizes differ by one at most.

    Args:
        lengths: tokens of each example.
        examples_per_step: the most examples a step takes.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    sizes = np.asarray(lengths)
    window = examples_per_step * WINDOW_STEPS
    windows = [order[start : start + window] for start in range(0, len(order), window)]
    by_length = np.concatenate([rows[np.argsort(sizes[rows], kind="stable")] for rows in windows])
    updates = np.array_split(by_length, -(-len(by_length) // examples_per_step))
    return [updates[number] for number in generator.permutation(len(updates))]


def padded_length(length: int) -> int:
    """How many tokens an example of prediction is padded to: a multiple of 4.

    oneDNN, the library of matrix products on CPUs, keeps a program for every shape it has met.
    Few lengths make few shapes, and so memory that does not grow with the number of examples.
    """
    return -(-length // 4) * 4


def token_batches(lengths: ArrayLike, budget: int) -> list[NDArray[np.int64]]:
    """Example numbers in batches of at most `budget` tokens, padding included, the longest first.

    What does not fit the memory thus fails at once. An example longer than `budget` stands alone.
    Examples are as many as fit, and where fewer are left, a multiple of 8 as long as there are 8.
    """
    sizes = np.asarray(lengths)
    order = np.argsort(-sizes, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        most = max(1, budget // padded_length(int(sizes[order[start]])))
        left = len(order) - start
        count = most if left >= most else max(left // 8 * 8, left % 8)
        batches.append(order[start : start + count])
        start += count
    return batches
