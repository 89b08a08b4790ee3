"""Muon for the layers' matrices, AdamW for the rest, and the schedule both follow."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.builders import make_trained

from kore.network import mini
from kore.pretraining.masked_lm import MaskedLanguageModel
from kore.pretraining.options import PretrainOptions
from kore.training.muon import MuonWithAdamW
from kore.training.optimizer import make_optimizer, make_schedule
from kore.training.options import TrainOptions


def make_model() -> MaskedLanguageModel:
    torch.manual_seed(0)
    return MaskedLanguageModel(mini.make_masked_lm(50, mini.MiniSize(2, 64, 1)))


def options_of(**chosen: Any) -> PretrainOptions:
    return PretrainOptions(files=("a.txt",), **chosen)


def two_weights() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(2, 2, requires_grad=True), torch.zeros(3, requires_grad=True)


def make_small(matrix: torch.Tensor, vector: torch.Tensor) -> MuonWithAdamW:
    return MuonWithAdamW([{"params": [matrix], "lr": 0.5}], [{"params": [vector], "lr": 0.1}])


def test_each_weight_has_one_optimizer():
    model = make_model()
    optimizer = make_optimizer(model, options_of())
    names = {weight: name for name, weight in model.named_parameters()}
    groups = [[names[weight] for weight in group["params"]] for group in optimizer.param_groups]
    assert sum(len(group) for group in groups) == len(names)
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 2e-3, 2e-3]
    assert sorted(name.split(".", 3)[3] for name in groups[0]) == sorted(
        f"{number}.{name}.weight"
        for number in (0, 1)
        for name in ("attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo")
    )
    matrices = ["whole.model.embeddings.tok_embeddings.weight", "whole.head.dense.weight"]
    assert groups[1] == matrices
    assert optimizer.param_groups[2]["weight_decay"] == 0


def test_a_first_step_by_hand():
    """Muon's step has singular values near 1 for every direction; AdamW's is the rate itself."""
    matrix, vector = two_weights()
    optimizer = make_small(matrix, vector)
    matrix.grad = torch.diag(torch.tensor([30.0, 3.0]))
    vector.grad = torch.tensor([5.0, -0.2, 0.0])
    optimizer.step()
    moved = -matrix.detach() / 0.5
    assert moved.diagonal().tolist() == pytest.approx([1, 1], abs=0.35)
    assert moved[0, 1] == moved[1, 0] == 0
    assert vector.tolist() == pytest.approx([-0.1, 0.1, 0], abs=1e-4)


def test_it_continues_from_its_state():
    def steps(optimizer: MuonWithAdamW, weights: Any, numbers: range) -> None:
        for number in numbers:
            for weight in weights:
                weight.grad = torch.randn(
                    weight.shape, generator=torch.Generator().manual_seed(number)
                )
            optimizer.step()

    whole = two_weights()
    steps(make_small(*whole), whole, range(4))
    first = two_weights()
    stopped = make_small(*first)
    steps(stopped, first, range(2))
    second = tuple(weight.detach().clone().requires_grad_() for weight in first)
    resumed = make_small(*second)
    resumed.load_state_dict(stopped.state_dict())
    steps(resumed, second, range(2, 4))
    assert all(torch.equal(one, other) for one, other in zip(whole, second, strict=True))


def test_the_schedule_reaches_both_after_loading():
    matrix, vector = two_weights()
    optimizer = make_small(matrix, vector)
    schedule = make_schedule(optimizer, options_of(num_epochs=1, warmup_ratio=0.2), 10)
    optimizer.load_state_dict(optimizer.state_dict())
    rates = []
    for _ in range(11):
        rates.append([group["lr"] for group in optimizer.param_groups])
        matrix.grad, vector.grad = torch.ones(2, 2), torch.ones(3)
        before = matrix.detach().clone()
        optimizer.step()
        assert torch.equal(matrix, before) == (rates[-1][0] == 0)
        schedule.step()
    # Two steps of warm-up, six at the peak, two of decay.
    shares = [0, 0.5, 1, 1, 1, 1, 1, 1, 1, 0.5, 0]
    assert [rate[0] for rate in rates] == pytest.approx([0.5 * share for share in shares])
    assert [rate[1] for rate in rates] == pytest.approx([0.1 * share for share in shares])


def test_defaults_of_a_new_encoder_and_of_another():
    new, other = options_of(), options_of(model_name_or_path="klue/roberta-small")
    assert (new.optimizer, new.learning_rate, new.mask_whole_words) == ("muon", 2e-3, False)
    assert (other.optimizer, other.learning_rate, other.mask_whole_words) == ("adamw", 3e-5, True)
    assert options_of(optimizer="adamw").learning_rate == 1e-3
    plain = make_optimizer(make_model(), options_of(optimizer="adamw"))
    assert isinstance(plain, torch.optim.AdamW)


def test_fine_tuning_by_muon():
    """Its rates follow the layers as AdamW's do; the head is AdamW's."""
    model = make_trained("modernbert").classifier
    options = TrainOptions(optimizer="muon", learning_rate=1e-3, muon_learning_rate=0.01)
    optimizer = make_optimizer(model, options, 0.5)
    assert isinstance(optimizer, MuonWithAdamW)
    rates = {
        id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]
    }
    by_name = {name: rates[id(weight)] for name, weight in model.named_parameters()}
    assert by_name["encoder.layers.1.attn.Wo.weight"] == pytest.approx(0.005)
    assert by_name["encoder.layers.0.attn.Wo.weight"] == pytest.approx(0.0025)
    assert by_name["encoder.layers.1.mlp_norm.weight"] == pytest.approx(0.0005)
    assert by_name["encoder.embeddings.tok_embeddings.weight"] == pytest.approx(0.000125)
    assert by_name["head.1.weight"] == pytest.approx(1e-3)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer.step()
    assert all(not torch.equal(weight, before[name]) for name, weight in model.named_parameters())
