"""Averages of a model's weights over its updates, which often score better than the last ones.

`ema`: older weights fade (Polyak and Juditsky 1992, in the form of an exponential moving average);
`swa`: the mean of the last quarter of the updates (Izmailov et al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

EMA, SWA = "ema", "swa"
SWA_START = 0.75  # of all updates


class WeightAverage:
    """The averaged weights of one model.

    Args:
        kind: "ema" or "swa".
        decay: of `ema`; at the beginning less, so that the first weights do not weigh for long.
        total_updates: of the whole run.
    """

    def __init__(self, model: nn.Module, kind: str, decay: float, total_updates: int) -> None:
        self._weights: list[Tensor] = [w for w in model.parameters() if w.requires_grad]
        self._averages = [weight.detach().clone() for weight in self._weights]
        self._kind = kind
        self._decay = decay
        self._first = int(SWA_START * total_updates) if kind == SWA else 0
        self._averaged = 0

    @torch.no_grad()
    def update(self, updates_done: int) -> None:
        """Takes in the weights after an update; before `swa` begins, they stand for the average."""
        if updates_done <= self._first:
            share = 1.0
        else:
            self._averaged += 1
            share = 1 / self._averaged
            if self._kind == EMA:  # 0.9, 0.82, 0.75 … down to 1 - decay
                share = 1 - min(self._decay, self._averaged / (self._averaged + 9))
        torch._foreach_lerp_(self._averages, self._weights, share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the model has the averaged weights; afterwards its own again."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for weight, average in zip(self._weights, self._averages, strict=True):
            kept = weight.clone()
            weight.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        return {"averages": self._averages, "averaged": self._averaged}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for average, saved in zip(self._averages, state["averages"], strict=True):
                average.copy_(saved)
        self._averaged = state["averaged"]
