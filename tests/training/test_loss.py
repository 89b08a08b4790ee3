"""The loss against values worked out by hand, of the probabilities 0.7, 0.2 and 0.1."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kore.training.loss import asymmetric_loss, focal_loss, make_loss
from kore.training.options import TrainOptions

LOGITS = torch.tensor([[0.7, 0.2, 0.1]]).log()  # their softmax is the probabilities themselves


def loss_of(label: int, alpha: float = 1.0, gamma: float = 0.0, smoothing: float = 0.0) -> float:
    losses = focal_loss(
        LOGITS, torch.tensor([label]), alpha=alpha, gamma=gamma, label_smoothing=smoothing
    )
    return losses.item()


@pytest.mark.parametrize(
    ("label", "alpha", "gamma", "smoothing", "expected"),
    [
        (0, 1.0, 0.0, 0.0, 0.3566749),  # -ln 0.7
        (0, 1.0, 2.0, 0.0, 0.0321007),  # 0.3^2 * 0.3566749
        (2, 1.0, 2.0, 0.0, 1.8650940),  # 0.9^2 * -ln 0.1 = 0.81 * 2.3025851
        (0, 0.25, 2.0, 0.0, 0.0080252),  # a quarter of the second
        (0, 1.0, 0.5, 0.0, 0.1953589),  # 0.5477226 * 0.3566749
        # targets 0.8, 0.1, 0.1: 0.8 * 0.3566749 + 0.1 * 1.6094379 + 0.1 * 2.3025851
        (0, 1.0, 0.0, 0.3, 0.6765422),
        # p_t stays the true class's probability, unsmoothed: 0.3^2 * 0.6765422
        (0, 1.0, 2.0, 0.3, 0.0608888),
    ],
)
def test_by_hand(label, alpha, gamma, smoothing, expected):
    assert loss_of(label, alpha, gamma, smoothing) == pytest.approx(expected, abs=1e-6)


def test_one_loss_a_row():
    losses = focal_loss(
        LOGITS.repeat(2, 1), torch.tensor([0, 2]), alpha=1.0, gamma=2.0, label_smoothing=0.0
    )
    assert losses.shape == (2,)
    assert losses.tolist() == pytest.approx([0.0321007, 1.8650940], abs=1e-6)


def random_rows() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(8, 30, generator=generator) * 3,
        torch.randint(30, (8,), generator=generator),
    )


def test_gamma_0_and_alpha_1_are_smoothed_cross_entropy_to_the_bit():
    logits, labels = random_rows()
    ours = focal_loss(logits, labels, alpha=1.0, gamma=0.0, label_smoothing=0.09)
    torchs = nn.CrossEntropyLoss(reduction="none", label_smoothing=0.09)(logits, labels)
    assert torch.equal(ours, torchs)


def test_float32_whatever_the_precision_of_the_logits():
    logits = torch.tensor([[2.0, 0.0, -1.0]], dtype=torch.bfloat16)  # exact in bfloat16
    label = torch.tensor([0])
    loss = focal_loss(logits, label, alpha=1.0, gamma=0.0, label_smoothing=0.0)
    assert loss.dtype == torch.float32
    # ln(1 + e^-2 + e^-3) = ln 1.1851224; bfloat16 would be off by 1e-3
    assert loss.item() == pytest.approx(0.1698460, abs=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.09])
def test_gradients_are_finite_where_the_model_is_certain(gamma, smoothing):
    """In float32 p_t is 1 from a margin of 17 on, where (1 - p_t)**0.5 has no slope."""
    logits = torch.tensor([[200.0, -200.0, -200.0], [20.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 0])
    assert torch.equal(logits.softmax(dim=-1)[:, 0], torch.ones(2))
    loss = focal_loss(logits, labels, alpha=1.0, gamma=gamma, label_smoothing=smoothing)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_gradient_by_hand():
    """d/dx_t of -(1 - p)^2 ln p is (1 - p)^2 (2 p ln p - (1 - p)), here at p = 0.7."""
    logits = LOGITS.clone().requires_grad_()
    focal_loss(
        logits, torch.tensor([0]), alpha=1.0, gamma=2.0, label_smoothing=0.0
    ).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].item() == pytest.approx(0.09 * (-0.4993449 - 0.3), abs=1e-6)


def loss_under(**flags: object) -> float:
    options = TrainOptions(alpha=0.25, gamma=2.0, **flags)  # type: ignore[arg-type]
    return make_loss(options)(LOGITS, torch.tensor([0])).item()


def test_flags():
    assert loss_under() == pytest.approx(0.3566749, abs=1e-6)  # alpha and gamma do not count
    assert loss_under(label_smoothing=0.3) == pytest.approx(0.6765422, abs=1e-6)
    assert loss_under(focal_loss=True) == pytest.approx(0.0080252, abs=1e-6)
    both = loss_under(focal_loss=True, label_smoothing=0.3)
    assert both == pytest.approx(0.25 * 0.0608888, abs=1e-6)


@pytest.mark.parametrize(
    ("label", "positive", "negative", "smoothing", "expected"),
    [
        # -ln 0.7 - ln 0.8 - ln 0.9: each relation as a question of its own
        (0, 0.0, 0.0, 0.0, 0.3566749 + 0.2231436 + 0.1053605),
        # others weighed by their probability, 0.2 and 0.1
        (0, 0.0, 1.0, 0.0, 0.3566749 + 0.2 * 0.2231436 + 0.1 * 0.1053605),
        # and the own one by 1 - 0.7
        (0, 1.0, 1.0, 0.0, 0.3 * 0.3566749 + 0.2 * 0.2231436 + 0.1 * 0.1053605),
        (2, 0.0, 2.0, 0.0, 2.3025851 + 0.49 * 1.2039728 + 0.04 * 0.2231436),
        # targets 0.8, 0.1, 0.1
        (
            0,
            0.0,
            0.0,
            0.3,
            0.8 * 0.3566749 + 0.1 * 1.6094379 + 0.1 * 2.3025851
            + 0.2 * 1.2039728 + 0.9 * 0.2231436 + 0.9 * 0.1053605,
        ),
    ],
)  # fmt: skip
def test_asymmetric_loss_by_hand(label, positive, negative, smoothing, expected):
    losses = asymmetric_loss(
        LOGITS.double(),
        torch.tensor([label]),
        gamma_positive=positive,
        gamma_negative=negative,
        label_smoothing=smoothing,
    )
    assert losses.dtype == torch.float32
    assert losses.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 4.0])
def test_asymmetric_gradients_are_finite_where_the_model_is_certain(gamma):
    logits = torch.tensor([[200.0, -200.0, -200.0], [20.0, 0.0, 0.0]], requires_grad=True)
    for label in (0, 1):
        loss = asymmetric_loss(
            logits,
            torch.tensor([label, label]),
            gamma_positive=gamma,
            gamma_negative=gamma,
            label_smoothing=0.1,
        )
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        assert loss.isfinite().all()
        assert gradient.isfinite().all()


def test_more_flags():
    asymmetric = loss_under(asymmetric_loss=True, gamma_negative=1.0)
    assert asymmetric == pytest.approx(0.3566749 + 0.2 * 0.2231436 + 0.1 * 0.1053605, abs=1e-6)
