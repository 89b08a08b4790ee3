"""Dropout that costs little on a CPU."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_VALUES = 2**16  # of an int16
_ONE_IN_BFLOAT16 = 0x3F80  # the bits of 1.0


class Dropout(nn.Dropout):
    """`nn.Dropout` that makes four elements of its mask from one random number on a CPU.

    There torch draws every element by itself, on one core, which took a tenth of an optimizer step
    of a base encoder and more of a small one. The probability is rounded to a multiple of 2^-16.
    """

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p) if self.training else input


def dropout(values: Tensor, probability: float) -> Tensor:
    """`values` with that share of its elements set to 0 and the others scaled to make up for it.

    Drawn from torch's global generator (Srivastava et al. 2014).
    """
    if probability == 0:
        return values
    if values.device.type != "cpu" or torch.compiler.is_compiling():  # drawn where it is used
        return functional.dropout(values, probability)
    return values * _kept(values.shape, probability).to(values.dtype) * (1 / (1 - probability))


def replace_dropouts(module: nn.Module) -> None:
    """Puts `Dropout` in the place of every `nn.Dropout` inside `module`."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, Dropout(child.p))


def _kept(shape: torch.Size, probability: float) -> Tensor:
    """1.0 with 1 - `probability`, else 0.0, in bfloat16, whose bits integer arithmetic makes."""
    elements = math.prod(shape)
    drawn = torch.empty(-(-elements // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = drawn.view(torch.int16)[:elements].view(shape)
    # Of all 2^16 values, the lowest `probability` are dropped.
    first_kept = round(probability * _VALUES) - _VALUES // 2
    if first_kept > _VALUES // 2 - 1:  # all but none are dropped
        first_kept = _VALUES // 2 - 1
    kept = bits.clamp_(first_kept - 1, first_kept).sub_(first_kept - 1)
    return kept.mul_(_ONE_IN_BFLOAT16).view(torch.bfloat16)
