"""Updates of an epoch: every row once, the same every time, of like length."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from kore.data.batching import epoch_batches, padded_length, token_batches


def klue_like_lengths(rows: int, seed: int = 0) -> list[int]:
    """Token counts as skewed as KLUE-RE's: about 70 on average, some of them cut at 160."""
    lengths = np.random.default_rng(seed).lognormal(mean=4.15, sigma=0.42, size=rows)
    return lengths.round().clip(20, 160).astype(int).tolist()


def as_lists(updates: list[np.ndarray]) -> list[list[int]]:
    return [update.tolist() for update in updates]


@pytest.mark.parametrize(
    ("rows", "size"), [(1, 16), (16, 16), (17, 16), (100, 7), (5, 1), (2000, 16)]
)
def test_every_row_once_and_sizes_differ_by_one_at_most(rows, size):
    updates = epoch_batches(klue_like_lengths(rows), size, seed=42, epoch=0)
    assert sorted(np.concatenate(updates).tolist()) == list(range(rows))
    sizes = {len(update) for update in updates}
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    assert len(updates) == (rows + size - 1) // size


def test_a_function_of_seed_and_epoch():
    lengths = klue_like_lengths(300)
    first = as_lists(epoch_batches(lengths, 16, seed=42, epoch=3))
    assert as_lists(epoch_batches(lengths, 16, seed=42, epoch=3)) == first
    assert as_lists(epoch_batches(lengths, 16, seed=42, epoch=4)) != first
    assert as_lists(epoch_batches(lengths, 16, seed=43, epoch=3)) != first
    # Seed and epoch are not simply added up.
    assert as_lists(epoch_batches(lengths, 16, seed=43, epoch=2)) != first


def test_rows_meet_other_rows_in_another_epoch():
    lengths = [50] * 160
    first, second = (
        {frozenset(update.tolist()) for update in epoch_batches(lengths, 16, 42, epoch)}
        for epoch in (0, 1)
    )
    assert not first & second


def test_updates_are_not_in_order_of_length():
    lengths = klue_like_lengths(1600)
    means = [np.mean([lengths[i] for i in u]) for u in epoch_batches(lengths, 16, 42, 0)]
    ascents = sum(later > earlier for earlier, later in pairwise(means))
    assert 30 < ascents < 70  # of 99; sorted either way it would be 99 or 0


def padding_share(lengths: list[int], updates: list[np.ndarray]) -> float:
    padded = sum(len(update) * max(lengths[i] for i in update) for update in updates)
    return 1 - sum(lengths) / padded


def test_little_padding():
    lengths = klue_like_lengths(8_000)
    updates = epoch_batches(lengths, 16, seed=42, epoch=0)
    assert padding_share(lengths, updates) < 0.05
    random_order = np.array_split(np.random.default_rng(0).permutation(8_000), 500)
    assert padding_share(lengths, random_order) > 0.3  # what it saves


def test_token_batches_by_hand():
    batches = token_batches([3, 11, 5, 11, 1, 8], budget=25)
    # 2 x 12 tokens, then 8 and 5 padded to 8 with the 3, then what is left.
    assert as_lists(batches) == [[1, 3], [5, 2, 0], [4]]  # ties keep their order
    assert as_lists(token_batches([4], budget=64)) == [[0]]


def test_what_is_left_is_a_multiple_of_eight_as_long_as_it_can_be():
    sizes = [len(batch) for batch in token_batches([10] * 50, budget=240)]
    assert sizes == [20, 20, 8, 2]


def test_padded_length():
    lengths = [1, 4, 5, 97, 160, 510]
    assert [padded_length(n) for n in lengths] == [4, 4, 8, 100, 160, 512]


def test_a_row_longer_than_the_budget_stands_alone():
    assert as_lists(token_batches([9, 2, 9, 2], budget=8)) == [[0], [2], [1, 3]]


@pytest.mark.parametrize("budget", [160, 1000, 8192])
def test_every_row_in_one_batch_within_the_budget(budget):
    lengths = klue_like_lengths(1000)
    batches = token_batches(lengths, budget)
    assert sorted(np.concatenate(batches).tolist()) == list(range(1000))
    for batch in batches:
        assert len(batch) * padded_length(max(lengths[i] for i in batch)) <= budget
