"""Which weights learn at which rate."""

from __future__ import annotations

import pytest
from tests.builders import make_trained

from config import TrainOptions
from optimization import make_optimizer


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


def test_without_decay_all_learn_alike_in_two_groups():
    assert set(rates("bert", 1.0).values()) == {1e-3}
    model = make_trained().classifier
    groups = make_optimizer(model, TrainOptions(weight_decay=0.02)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.02, 0.0]
    assert {weight.ndim > 1 for weight in groups[0]["params"]} == {True}
    assert {weight.ndim > 1 for weight in groups[1]["params"]} == {False}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
