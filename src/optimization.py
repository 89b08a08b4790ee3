"""Optimizer and learning-rate schedule."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from config import OptimizationOptions


def make_optimizer(model: nn.Module, options: OptimizationOptions) -> Optimizer:
    """AdamW (Loshchilov and Hutter 2019); biases and layer norms are not decayed."""
    parameters = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in parameters if w.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [w for w in parameters if w.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate or 0.0, fused=True)


def make_schedule(
    optimizer: Optimizer, options: OptimizationOptions, updates_per_epoch: int
) -> LRScheduler:
    """Linear warm-up, then a linear or cosine fall to 0; stepped once an update."""
    total = updates_per_epoch * options.num_epochs
    make = {
        "linear": get_linear_schedule_with_warmup,
        "cosine": get_cosine_schedule_with_warmup,
    }[options.scheduler]
    schedule: LRScheduler = make(  # type: ignore[operator]
        optimizer, round(total * options.warmup_ratio), total
    )
    return schedule
