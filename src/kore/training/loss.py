"""Losses of one example each, so that the caller can average over several micro-batches.

    focal         alpha * (1 - p_t)**gamma * CE_smoothed
    asymmetric    - sum over c of  y_c (1 - p_c)**gamma_positive log p_c
                                   + (1 - y_c) p_c**gamma_negative log(1 - p_c)

Cross-entropy is the first with gamma = 0. To add a loss, write a function of (logits, labels) here
and choose it in `make_loss`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from kore.training.options import TrainOptions

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
        (B,), float32.
    """
    logits = logits.float()
    smoothed = functional.cross_entropy(
        logits, labels, reduction="none", label_smoothing=label_smoothing
    )
    true_prob = logits.softmax(dim=-1).gather(1, labels[:, None]).squeeze(1)
    return alpha * _error(true_prob).pow(gamma) * smoothed


def asymmetric_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma_positive: float,
    gamma_negative: float,
    label_smoothing: float,
) -> Tensor:
    """Asymmetric loss (Ridnik et al. 2021), on softmax probabilities p as an example has one
    relation.

    y is 1 for the true class and 0 elsewhere, smoothed: `label_smoothing` of it is spread evenly.
    Arguments and result as for `focal_loss`.
    """
    log_probs = logits.float().log_softmax(dim=-1)
    probs = log_probs.exp()
    classes = logits.shape[-1]
    targets = torch.full_like(probs, label_smoothing / classes)
    targets.scatter_(1, labels[:, None], 1 - label_smoothing + label_smoothing / classes)
    errors = _error(probs)
    # A probability of 0 has no slope under a power below 1.
    improbable = probs.clamp(min=torch.finfo(torch.float32).tiny)
    positive = targets * errors.pow(gamma_positive) * log_probs
    negative = (1 - targets) * improbable.pow(gamma_negative) * errors.log()
    return -(positive + negative).sum(dim=-1)


def _error(probs: Tensor) -> Tensor:
    """1 - p, not 0 where p rounds to 1: under a power below 1 the gradient would be 0 * inf."""
    return (1 - probs).clamp(min=torch.finfo(torch.float32).eps)


def make_loss(options: TrainOptions) -> Loss:
    """The loss that the options ask for; without `focal_loss`, alpha and gamma do not count."""
    smoothing = options.label_smoothing
    if options.asymmetric_loss:
        return functools.partial(
            asymmetric_loss,
            gamma_positive=options.gamma_positive,
            gamma_negative=options.gamma_negative,
            label_smoothing=smoothing,
        )
    alpha, gamma = (options.alpha, options.gamma) if options.focal_loss else (1.0, 0.0)
    return functools.partial(focal_loss, alpha=alpha, gamma=gamma, label_smoothing=smoothing)
