"""Optimizer and learning-rate schedule."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import (
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
    get_wsd_schedule,
)

from kore.common.errors import UnfitError
from kore.training.muon import MuonWithAdamW
from kore.training.options import MUON, OptimizationOptions

_IN_LAYER = re.compile(r"\.layers?\.(\d+)\.")
_DECAY_SHARE = 0.2  # of all optimizer steps, in the schedule "wsd"


def make_optimizer(
    model: nn.Module, options: OptimizationOptions, layer_lr_decay: float = 1.0
) -> Optimizer:
    """AdamW (Loshchilov and Hutter 2019), or Muon for the layers' matrices and AdamW for the rest.

    Biases and layer norms are not decayed.

    Args:
        layer_lr_decay: a layer learns at its learning rate times that of the layer above; the head
            at `learning_rate` (Howard and Ruder 2018, "ULMFiT").
    """
    parameters = [(name, w) for name, w in model.named_parameters() if w.requires_grad]
    heights = {name: _height(name) for name, _ in parameters}
    top = 1 + max((height for height in heights.values() if height is not None), default=0)
    peaks = {True: options.muon_learning_rate, False: options.learning_rate or 0.0}
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}
    for is_matrix in (True, False):
        for name, weight in parameters:
            if (weight.ndim > 1) is is_matrix:
                height = heights[name]
                below = 0 if height is None or layer_lr_decay == 1 else top - height
                is_muons = options.optimizer == MUON and _is_layer_matrix(name, weight)
                rate = peaks[is_muons] * layer_lr_decay**below
                decay = options.weight_decay if is_matrix else 0.0
                groups.setdefault((is_muons, rate, decay), []).append(weight)
    muons, others = (
        [
            {"params": weights, "lr": rate, "weight_decay": decay}
            for (is_muons, rate, decay), weights in groups.items()
            if is_muons is wanted
        ]
        for wanted in (True, False)
    )
    if muons:
        return MuonWithAdamW(muons, others)
    if options.optimizer == MUON:
        raise UnfitError(
            f"`optimizer` {MUON}: {options.model_name_or_path} has no matrices in numbered layers; "
            "pass `optimizer` adamw"
        )
    return torch.optim.AdamW(others, lr=peaks[False], fused=True)


def _is_layer_matrix(name: str, weight: Tensor) -> bool:
    """What Muon is for: all but embeddings, norms, biases and the head (Jordan et al. 2024)."""
    return weight.ndim == 2 and _IN_LAYER.search(name) is not None


def _height(name: str) -> int | None:
    """0 for the embeddings, 1 for the first layer …, None for what is above the encoder."""
    if not name.startswith("encoder.") or name.startswith("encoder.final_norm."):
        return None
    layer = _IN_LAYER.search(name)
    return int(layer[1]) + 1 if layer else 0


def make_schedule(
    optimizer: Optimizer, options: OptimizationOptions, steps_per_epoch: int
) -> LRScheduler:
    """Linear warm-up, then a linear or cosine fall to 0; stepped once an optimizer step.

    The schedule "wsd" (warm-up, stable, decay: Hu et al. 2024, "MiniCPM") stays at the peak and
    falls linearly in the last fifth.
    """
    total = steps_per_epoch * options.num_epochs
    warmup = round(total * options.warmup_ratio)
    if options.scheduler == "wsd":
        return get_wsd_schedule(
            optimizer,
            warmup,
            decay_steps(total),
            num_training_steps=total,
            decay_type="linear",
        )
    make = {
        "linear": get_linear_schedule_with_warmup,
        "cosine": get_cosine_schedule_with_warmup,
    }[options.scheduler]
    schedule: LRScheduler = make(optimizer, warmup, total)  # type: ignore[operator]
    return schedule


def decay_steps(total: int) -> int:
    """Of `total` optimizer steps, those in which the schedule "wsd" falls."""
    return round(total * _DECAY_SHARE)
