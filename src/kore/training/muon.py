"""Muon for the matrices of an encoder's layers and AdamW for the rest, as one optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import Optimizer

_BETAS = (0.9, 0.98)  # of AdamW beside Muon


class MuonWithAdamW(Optimizer):
    """Muon (Jordan et al. 2024) for matrices, AdamW for all else, as one optimizer.

    Muon moves a matrix along its momentum made orthogonal, so that no direction of it is favoured.
    Embeddings, norms, biases and the head learn by AdamW, as Jordan et al. advise.

    Args:
        matrices: parameter groups of 2-dimensional weights.
        others: parameter groups for AdamW.
    """

    def __init__(self, matrices: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
        self._parts: dict[str, Optimizer] = {}
        super().__init__([dict(group) for group in (*matrices, *others)], {})
        self._parts = {
            "muon": torch.optim.Muon(matrices),
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
