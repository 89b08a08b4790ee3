"""Replaced-token detection (Clark et al. 2020, "ELECTRA") with the texts and options of pretrain.py.

    python benchmarks/bench_electra.py klue-re-v1.1_train.json kowiki_1_best.txt.xz --num_epochs 4 --epoch_steps 300 --mask_ratio 0.25 --run_name electra

A generator, a masked language model of two layers that shares the encoder's embeddings, draws other
tokens for the masked ones; the encoder says of every token whether it was replaced. The flags are
those of `src/pretrain.py`, and so is what is written: MODEL_DIR/RUN_NAME is an encoder for
`train.py`. Losses and accuracy in its log are the generator's.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional
from transformers import ModernBertForMaskedLM

import _path  # noqa: F401
from kore.common.errors import run_command
from kore.common.flags import name_flags, parse_options
from kore.common.memory import keep_freed_memory
from kore.common.progress import log_to_stderr, show_progress
from kore.network.encoder_pass import EncoderPass
from kore.pretraining.masking import TokenRow, mask
from kore.pretraining.options import PretrainOptions
from kore.pretraining.run import pretrain
from kore.pretraining.trainer import Pretrainer

GENERATOR_LAYERS = 2
DETECTION_WEIGHT = 50.0  # of the detector's mean loss beside the generator's, as in the paper


class Detector(nn.Module):
    """The encoder that is pretrained: was a token replaced?"""

    def __init__(self, whole: ModernBertForMaskedLM, compiled: bool) -> None:
        super().__init__()
        self.whole = whole
        self.head = nn.Linear(whole.config.hidden_size, 1)
        self._encoder_pass = EncoderPass(whole.model, compiled=compiled)

    def forward(self, input_ids: Tensor, cls_id: int) -> Tensor:
        """(B, T), texts that begin with [CLS] and attend to themselves -> logits (B, T)."""
        text = (input_ids == cls_id).cumsum(dim=1)
        is_read = torch.ones_like(input_ids, dtype=torch.bool)
        attention_mask = text[:, :, None] == text[:, None, :]
        # Every token is read, so that states lie where their tokens do.
        states, _ = self._encoder_pass(input_ids, attention_mask, is_read, None)
        return self.head(states).squeeze(-1)


class ElectraPretrainer(Pretrainer):
    """A `Pretrainer` of the generator, beside which the encoder learns."""

    def __init__(
        self, options: PretrainOptions, accelerator: Accelerator, whole: Any, *rest: Any
    ) -> None:
        generator = generator_of(whole, options.compile)
        self.detector: Detector = generator.detector
        super().__init__(options, accelerator, generator, *rest)

    def _optimizer_step(self, batch: TokenRow, number: int) -> tuple[Tensor, int]:
        options = self.options
        masked = mask(
            batch,
            options.mask_ratio,
            self.tokenizer,
            np.random.default_rng([options.seed, number, 1]),
        )
        self._seed_dropout(number)  # and what is drawn below
        logits, wanted = self._logits(batch.ids, masked, np.arange(len(batch.ids)))
        loss = functional.cross_entropy(logits, wanted, reduction="sum")
        total = int(masked.is_masked.sum())
        drawn = logits[:total].detach().softmax(dim=-1).multinomial(1).squeeze(1)
        ids = torch.from_numpy(batch.ids.astype(np.int64))
        shown = ids.masked_scatter(torch.from_numpy(masked.is_masked), drawn)
        with self.accelerator.autocast():
            found = self.detector(shown, self.tokenizer.cls_token_id)
        detection = functional.binary_cross_entropy_with_logits(
            found.float(), (shown != ids).float()
        )
        self.accelerator.backward(loss / total + DETECTION_WEIGHT * detection)
        self._apply_gradients()
        return loss.detach(), total

    def _save_encoder(self) -> None:
        generator, self.whole = self.whole, self.detector.whole
        try:
            super()._save_encoder()
        finally:
            self.whole = generator


def generator_of(whole: ModernBertForMaskedLM, compiled: bool) -> Any:
    """A generator over the embeddings of `whole`, which it holds as its `detector`."""
    config = type(whole.config).from_dict(
        {
            **whole.config.to_dict(),
            "num_hidden_layers": GENERATOR_LAYERS,
            "layer_types": ["full_attention"] * GENERATOR_LAYERS,
        }
    )
    generator: Any = ModernBertForMaskedLM(config)
    generator.model.embeddings = whole.model.embeddings
    generator.decoder.weight = whole.decoder.weight
    generator.detector = Detector(whole, compiled)
    return generator


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    options = parse_options(PretrainOptions, arguments, __doc__)
    keep_freed_memory()
    show_progress()
    log_to_stderr(lambda message: name_flags(message, PretrainOptions))
    pretrain(options, ElectraPretrainer)


if __name__ == "__main__":
    run_command(main)
