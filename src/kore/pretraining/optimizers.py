"""Optimizers of pretraining: AdamW, or Muon for the layers' matrices and AdamW for the rest."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from kore.pretraining.options import PretrainOptions
from kore.training.optimizer import make_optimizer

_IN_LAYER = re.compile(r"\.layers?\.\d+\.")
_BETAS = (0.9, 0.98)  # of AdamW beside Muon


def make_pretraining_optimizer(model: nn.Module, options: PretrainOptions) -> Optimizer:
    """The optimizer that `options` names, over all weights that are trained."""
    if options.optimizer == "adamw":
        return make_optimizer(model, options)
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            is_matrix = weight.ndim == 2 and _IN_LAYER.search(name) is not None
            (matrices if is_matrix else others).append(weight)
    decay, rate = options.weight_decay, options.learning_rate
    return MuonWithAdamW(
        {"params": matrices, "lr": options.muon_learning_rate, "weight_decay": decay},
        [
            {"params": [w for w in others if w.ndim > 1], "lr": rate, "weight_decay": decay},
            {"params": [w for w in others if w.ndim <= 1], "lr": rate, "weight_decay": 0.0},
        ],
    )


class MuonWithAdamW(Optimizer):
    """Muon (Jordan et al. 2024) for matrices, AdamW for all else, as one optimizer.

    Muon moves a matrix along its momentum made orthogonal, so that no direction of it is favoured.
    Embeddings, norms, biases and the head learn by AdamW, as Jordan et al. advise.

    Args:
        matrices: a parameter group of 2-dimensional weights.
        others: parameter groups for AdamW.
    """

    def __init__(self, matrices: dict[str, Any], others: list[dict[str, Any]]) -> None:
        self._parts: dict[str, Optimizer] = {}
        super().__init__([dict(matrices), *(dict(group) for group in others)], {})
        self._parts = {
            "muon": torch.optim.Muon([matrices]),
            "adamw": torch.optim.AdamW(others, betas=_BETAS, fused=True),
        }
        self._share_groups()

    def _share_groups(self) -> None:
        """A schedule sets the rates here, and the parts read them."""
        self.param_groups = [group for part in self._parts.values() for group in part.param_groups]

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One optimizer step of both."""
        for part in self._parts.values():
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The states of both, by name."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes what `state_dict` gave."""
        for name, part in self._parts.items():
            part.load_state_dict(state_dict[name])
        self._share_groups()
