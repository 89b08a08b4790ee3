"""What every task has: an encoder that can be run in several ways, and two layers over it."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from kore.network.dropout import Dropout, replace_dropouts
from kore.network.encoder_pass import ALL_LAYERS, EncoderPass


class EncoderWithHead(nn.Module):
    """Base of the models of all tasks.

    Args:
        encoder: gives `last_hidden_state` (B, T, H).
        last_layers: the states of so many of its last layers are read.
        pair_layers: of levitated markers, see `EncoderPass`.
    """

    def __init__(
        self, encoder: PreTrainedModel, last_layers: int = 1, pair_layers: int = ALL_LAYERS
    ) -> None:
        super().__init__()
        self.encoder = encoder
        if getattr(encoder, "pooler", None) is not None:
            # Unused, and distributed training fails on weights without a gradient.
            encoder.register_module("pooler", None)
        replace_dropouts(encoder)
        self._last_layers = last_layers
        self._pair_layers = pair_layers
        self.run_encoder()

    def run_encoder(self, *, checkpointing: bool = False, compiled: bool = False) -> None:
        """Chooses how the encoder is run, see `EncoderPass`; the logits stay the same."""
        self._encoder_pass = EncoderPass(
            self.encoder,
            checkpointing=checkpointing,
            compiled=compiled,
            last_layers=self._last_layers,
            pair_layers=self._pair_layers,
        )


def make_head(input_size: int, hidden_size: int, outputs: int, dropout: float) -> nn.Sequential:
    """(…, input_size) -> (…, outputs)."""
    return nn.Sequential(
        Dropout(dropout),
        nn.Linear(input_size, hidden_size),
        nn.GELU(),
        Dropout(dropout),
        nn.Linear(hidden_size, outputs),
    )
