"""Groups of the optimizer, their rates, and values of the schedules, counted by hand."""

from __future__ import annotations

import pytest
import torch
from tests.builders import make_trained
from torch import nn

from kore.training.optimizer import make_optimizer, make_schedule
from kore.training.options import TrainOptions


def rates(kind: str, decay: float) -> dict[str, float]:
    """{name of a weight: its learning rate}."""
    model = make_trained(kind).classifier
    options = TrainOptions(learning_rate=1e-3, weight_decay=0.01)
    optimizer = make_optimizer(model, options, decay)
    rate_of = {
        id(weight): round(group["lr"], 9)
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    return {name: rate_of[id(weight)] for name, weight in model.named_parameters()}


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "deberta"])
def test_each_layer_learns_slower_than_the_one_above(kind):
    found = rates(kind, 0.5)
    by_place = {
        "head": {rate for name, rate in found.items() if not name.startswith("encoder.")},
        "second": {rate for name, rate in found.items() if ".layer.1." in name},
        "first": {rate for name, rate in found.items() if ".layer.0." in name},
        "embeddings": {rate for name, rate in found.items() if ".embeddings." in name},
    }
    assert by_place == {
        "head": {1e-3},
        "second": {5e-4},
        "first": {2.5e-4},
        "embeddings": {1.25e-4},
    }


def test_without_decay_all_learn_alike() -> None:
    assert set(rates("bert", 1.0).values()) == {1e-3}


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
    schedule = make_schedule(optimizer, options, steps_per_epoch=4)
    rates = []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]["lr"] / 2.0)
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(expected, abs=1e-6)
