"""Cross-entropy, label smoothing and focal loss as one formula.

    alpha * (1 - p_t)**gamma * CE_smoothed

To add a loss, write a function of (logits, labels) here and choose it in `make_loss`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from config import TrainOptions

Loss = Callable[[Tensor, Tensor], Tensor]


def focal_loss(
    logits: Tensor, labels: Tensor, *, alpha: float, gamma: float, label_smoothing: float
) -> Tensor:
    """Focal loss (Lin et al. 2017) over label-smoothed cross-entropy (Szegedy et al. 2016).

    p_t is the probability of the true class. `gamma=0, alpha=1` is smoothed cross-entropy.
    Computed in float32 whatever the precision of the logits.

    Args:
        logits: (B, C).
        labels: (B,), int64.

    Returns:
        (B,), float32: one loss a row, so that the caller can weigh rows of several steps evenly.
    """
    logits = logits.float()
    smoothed = functional.cross_entropy(
        logits, labels, reduction="none", label_smoothing=label_smoothing
    )
    true_prob = logits.softmax(dim=-1).gather(1, labels[:, None]).squeeze(1)
    # Not 0 where p_t rounds to 1: with gamma below 1 the gradient there would be 0 * inf.
    error = (1 - true_prob).clamp(min=torch.finfo(torch.float32).eps)
    return alpha * error.pow(gamma) * smoothed


def make_loss(options: TrainOptions) -> Loss:
    """The loss that the flags ask for; without `--focal_loss`, alpha and gamma do not count."""
    alpha, gamma = (options.alpha, options.gamma) if options.focal_loss else (1.0, 0.0)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return focal_loss(
            logits, labels, alpha=alpha, gamma=gamma, label_smoothing=options.label_smoothing
        )

    return loss
