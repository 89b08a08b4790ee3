"""Dropout: the share that is dropped, the scale of what is kept, draws that a seed fixes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kore.network.dropout import Dropout, dropout, replace_dropouts


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.9, 0.99999])
def test_share_and_scale(dtype, probability):
    torch.manual_seed(0)
    ones = torch.ones(400, 1000, dtype=dtype)
    dropped = dropout(ones, probability)
    kept = dropped[dropped != 0]
    # 400,000 draws: five standard deviations of the share are below 0.004.
    assert len(kept) / ones.numel() == pytest.approx(1 - probability, abs=0.004)
    expected = torch.tensor(1 / (1 - probability), dtype=dtype)
    assert torch.equal(kept, expected.expand(len(kept)))
    assert dropped.dtype == dtype
    assert dropped.shape == ones.shape


def test_zero_keeps_everything():
    values = torch.randn(7, 3)
    assert torch.equal(dropout(values, 0.0), values)


def test_neighbours_are_dropped_independently():
    """Four elements share a random number: each of the 16 patterns must come as often as drawn."""
    torch.manual_seed(1)
    kept = (dropout(torch.ones(100_000, 4), 0.5) != 0).int()
    patterns = torch.bincount(kept @ torch.tensor([1, 2, 4, 8], dtype=torch.int32), minlength=16)
    # 6,250 of each are expected, with a standard deviation of 77.
    assert patterns.min() > 5_850
    assert patterns.max() < 6_650


def test_the_seed_fixes_the_draw():
    values = torch.ones(50, 7)  # 350 is no multiple of four
    draws = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        draws.append(dropout(values, 0.3))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_the_gradient_passes_where_values_did():
    torch.manual_seed(0)
    values = torch.randn(20, 30, requires_grad=True)
    dropped = dropout(values, 0.25)
    dropped.sum().backward()
    assert values.grad is not None
    assert torch.allclose(values.grad, (dropped != 0) / 0.75)


def test_only_in_training():
    module = Dropout(0.5)
    values = torch.ones(100)
    assert (module(values) == 0).any()
    assert torch.equal(module.eval()(values), values)


def test_every_dropout_is_replaced():
    inner = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3))
    outer = nn.Sequential(inner, nn.Dropout(0.1))
    replace_dropouts(outer)
    assert [type(module) for module in (inner[1], outer[1])] == [Dropout, Dropout]
    assert (inner[1].p, outer[1].p) == (0.3, 0.1)
