"""Which rows are computed together, and in which order.

The updates of training are a pure function of the seed and the epoch, the batches of prediction of
the lengths: a run that is resumed, or that runs as several processes, sees the very same ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

WINDOW_UPDATES = (
    50  # rows are sorted by length within so many updates: little padding, still random
)


def epoch_updates(
    lengths: Sequence[int], rows_per_update: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Row numbers of every update of an epoch; each row stands in exactly one.

    Rows are shuffled, sorted by length inside windows of 50 updates and cut into updates of rows
    of like length, whose order is shuffled again. Their number of rows differs by one at most.

    Args:
        lengths: tokens of each row.
        rows_per_update: the most rows an update holds.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    sizes = np.asarray(lengths)
    window = rows_per_update * WINDOW_UPDATES
    windows = [order[start : start + window] for start in range(0, len(order), window)]
    by_length = np.concatenate([rows[np.argsort(sizes[rows], kind="stable")] for rows in windows])
    updates = np.array_split(by_length, -(-len(by_length) // rows_per_update))
    return [updates[number] for number in generator.permutation(len(updates))]


def padded_length(length: int) -> int:
    """How many tokens a row of prediction is padded to: a multiple of 4.

    oneDNN, a processor's library of matrix products, keeps a program for every shape it has met.
    Few lengths make few shapes, and so memory that does not grow with the number of rows.
    """
    return -(-length // 4) * 4


def token_batches(lengths: ArrayLike, budget: int) -> list[NDArray[np.int64]]:
    """Row numbers in batches of at most `budget` tokens, padding included, the longest row first.

    What does not fit the memory thus fails at once. A row longer than `budget` stands alone.
    Rows are as many as fit, and where fewer are left, a multiple of 8 as long as there are 8.
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
