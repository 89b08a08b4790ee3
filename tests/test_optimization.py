"""Groups of the optimizer and values of the schedules, counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from config import TrainOptions
from optimization import make_optimizer, make_schedule


def test_biases_and_norms_are_not_decayed() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    optimizer = make_optimizer(model, TrainOptions(weight_decay=0.1, learning_rate=1e-3))
    shapes = {
        group["weight_decay"]: [tuple(weight.shape) for weight in group["params"]]
        for group in optimizer.param_groups
    }
    assert shapes == {0.1: [(2, 3)], 0.0: [(2,), (2,), (2,)]}


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        # Of the peak, before each of 8 updates: 2 of warm-up, then 6 that fall to 0.
        ("linear", [0, 1 / 2, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]),
        # (1 + cos(pi * k / 6)) / 2 for k = 0 to 5 after the warm-up
        ("cosine", [0, 1 / 2, 1, 0.933013, 0.75, 0.5, 0.25, 0.066987]),
    ],
)
def test_schedules(scheduler: str, expected: list[float]) -> None:
    options = TrainOptions(scheduler=scheduler, warmup_ratio=0.25, num_epochs=2)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = make_schedule(optimizer, options, updates_per_epoch=4)
    rates = []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]["lr"] / 2.0)
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(expected, abs=1e-6)
