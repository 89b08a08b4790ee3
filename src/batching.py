"""Which rows form an update, and in which order: a pure function of the seed and the epoch.

A run that is resumed, or that runs as several processes, therefore sees the very same updates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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


def longest_first(lengths: Sequence[int], batch_size: int) -> list[NDArray[np.int64]]:
    """Row numbers in batches of like length, the longest first: what does not fit fails at once."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
