"""Averages of weights against the means they are defined as."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kore.training.weight_average import EMA, SWA, WeightAverage


def averaged(kind: str, values: list[float], decay: float = 0.9, first: float = 0.0) -> float:
    """What the average is after a weight took these values."""
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(first)
    average = WeightAverage(model, kind, decay, total_updates=len(values))
    for number, value in enumerate(values, start=1):
        model.weight.data.fill_(value)
        average.update(number)
    with average.applied():
        return model.weight.item()


def test_swa_is_the_mean_of_the_last_quarter():
    assert averaged(SWA, [9, 9, 9, 9, 9, 9, 1, 4]) == pytest.approx(2.5)
    assert averaged(SWA, [1, 2, 3, 4, 5, 6, 7, 8]) == pytest.approx(7.5)


def test_ema_follows_quickly_at_first_and_by_its_decay_later():
    assert averaged(EMA, [1.0], first=5.0) == pytest.approx(0.9 * 1 + 0.1 * 5)
    two = 0.9 * 1 + 0.1 * 5
    assert averaged(EMA, [1.0, 2.0], first=5.0) == pytest.approx(two * 2 / 11 + 2 * 9 / 11)
    # A weight that jumps at the very end moves the average by 1 - decay.
    assert averaged(EMA, [1.0] * 500 + [2.0]) == pytest.approx(1.1, abs=1e-4)


def test_the_model_gets_its_own_weights_back():
    model = nn.Linear(2, 2)
    average = WeightAverage(model, EMA, 0.9, 10)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    for weight in model.parameters():
        weight.data += 1
    average.update(1)
    own = {name: weight.clone() for name, weight in model.state_dict().items()}
    with average.applied():
        inside = model.state_dict()["weight"].clone()
    torch.testing.assert_close(inside, before["weight"] + 0.9)
    assert all(torch.equal(model.state_dict()[name], own[name]) for name in own)
    with average.applied():
        assert torch.equal(model.state_dict()["weight"], inside)


def test_its_state_goes_on():
    model = nn.Linear(1, 1, bias=False)
    whole, first = (WeightAverage(model, EMA, 0.9, 10) for _ in range(2))
    for number in (1, 2, 3, 4):
        model.weight.data.fill_(float(number))
        whole.update(number)
        first.update(number)
        if number == 2:
            state = {**first.state_dict(), "averages": [w.clone() for w in first._averages]}
            first = WeightAverage(model, EMA, 0.9, 10)
            first.load_state_dict(state)
    assert torch.equal(whole._averages[0], first._averages[0])
