"""Pretraining on texts: optimizer steps, validation loss, the encoder's folder every epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kore.common.errors import UserError
from kore.common.files import atomic_folder
from kore.common.manifest import Manifest
from kore.network.hf_folder import name_known_class
from kore.pretraining.masked_lm import MaskedLanguageModel, attends_to_texts
from kore.pretraining.masking import MaskedRows, TokenRow, TokenTexts, mask, pack, tokenize
from kore.pretraining.options import PretrainOptions
from kore.pretraining.passages import Passage
from kore.training.loop import EpochLoop
from kore.training.optimizer import decay_steps, make_optimizer
from kore.training.run_files import write_log

_LOGGER = logging.getLogger(__name__)

STATE_KIND = "kore-pretraining-state"
_LOGITS_MULTIPLE = 64  # of masked tokens that are computed: see batching.padded_length
_IGNORED = -100  # what cross_entropy leaves out

Draw = Callable[[Sequence[dict[str, Any]]], None]  # draws the log so far, a row an epoch


@dataclass
class PretrainingFiles:
    """Where a run writes."""

    encoder: Path

    @property
    def run_name(self) -> str:
        return self.encoder.name

    @property
    def folder(self) -> Path:
        return self.encoder.with_name(f"{self.encoder.name}.run")

    @property
    def last(self) -> Path:
        return self.folder / "last.pth"


class Pretrainer(EpochLoop[PretrainOptions, PretrainingFiles]):
    """One run: model, texts and files; the encoder's folder is written after every epoch.

    Args:
        whole: an encoder with its language-modelling head.
        passages: the texts; those held out are never learned from.
        manifest: what the run is begun with; kept in the state.
        draw: makes the picture of an epoch.

    Raises:
        UserError: there are too few texts, or fewer packed rows than micro-batches in an optimizer
            step.
    """

    state_kind = STATE_KIND

    def __init__(
        self,
        options: PretrainOptions,
        accelerator: Accelerator,
        whole: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        passages: list[Passage],
        files: PretrainingFiles,
        manifest: Manifest,
        draw: Draw = lambda history: None,
    ) -> None:
        self.whole = whole
        self.tokenizer = tokenizer
        self.draw = draw
        texts = tokenize(passages, tokenizer, bool(options.mask_whole_words))
        self.train_texts, self.valid_texts = split(texts, options.valid_ratio, options.seed)
        self.separate = attends_to_texts(whole)
        model = MaskedLanguageModel(whole, tokenizer.cls_token_id if self.separate else None)
        model.run_encoder(checkpointing=options.gradient_checkpointing, compiled=options.compile)
        optimizer = make_optimizer(model, options)
        self.options = options  # which the batches are made by
        self.steps_per_pass = len(self._pass(0))
        self.steps_per_epoch = options.epoch_steps or self.steps_per_pass
        super().__init__(
            options, accelerator, model, optimizer, self.steps_per_epoch, files, manifest
        )
        self._announce(len(passages))

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from what `last` held.

        Raises:
            UserError: `num_epochs` is another, and the learning rate has begun to fall for one.
        """
        self._check_num_epochs(state["num_epochs"], state["position"])
        super().restore(state)
        self.model.load_state_dict(state["weights"])

    def _own_state(self) -> dict[str, Any]:
        return {"weights": self.model.state_dict(), "num_epochs": self.options.num_epochs}

    def _check_num_epochs(self, before: int, position: dict[str, Any]) -> None:
        """With the schedule "wsd" a run is the same for any `num_epochs` up to the decay."""
        chosen = self.options.num_epochs
        done = position["epoch"] * self.steps_per_epoch + position["step"]
        total = min(before, chosen) * self.steps_per_epoch
        if chosen != before and done > total - decay_steps(total):
            raise UserError(
                f"`num_epochs` was {before}, is {chosen}, but after {done} optimizer steps the "
                "learning rate falls for the smaller one already, or has fallen; it can be "
                f"changed only up to {total - decay_steps(total)} steps"
            )

    def _batches(self, epoch: int) -> list[TokenRow]:
        steps = np.arange(self.steps_per_epoch) + epoch * self.steps_per_epoch
        numbers, places = np.divmod(steps, self.steps_per_pass)
        passes = {number: self._pass(number) for number in np.unique(numbers)}
        return [passes[number][place] for number, place in zip(numbers, places, strict=True)]

    def _pass(self, number: int) -> list[TokenRow]:
        """All texts once, in an order of its own, as the batches of the optimizer steps."""
        generator = np.random.default_rng([self.options.seed, number])
        length = self.options.max_length
        packed = pack(self.train_texts, length, self.tokenizer, generator, self.separate)
        return in_batches(packed, self.options)

    def _optimizer_step(self, batch: TokenRow, number: int) -> tuple[Tensor, int]:
        """One optimizer step over packed rows (B, T); the losses are those of the masked tokens."""
        options = self.options
        generator = np.random.default_rng([options.seed, number, 1])
        masked = mask(batch, options.mask_ratio, self.tokenizer, generator)
        total = int(masked.is_masked.sum())
        loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        shares = np.array_split(np.arange(len(batch.ids)), options.gradient_accumulation_steps)
        for micro_batch, share in enumerate(shares, start=number * len(shares)):
            self._seed_dropout(micro_batch)
            logits, wanted = self._logits(batch.ids, masked, share)
            loss = functional.cross_entropy(logits, wanted, reduction="sum")
            self.accelerator.backward(loss / total)
            loss_sum += loss.detach()
        self._apply_gradients()
        return loss_sum, total

    def _logits(
        self, ids: np.ndarray, masked: MaskedRows, rows: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """(M, V) for the masked tokens of some rows, in float32, and the tokens (M,) they were.

        M is a multiple of 64; what is beyond the masked tokens is wanted to be _IGNORED.

        Args:
            ids: (B, T), before masking.
            rows: numbers of the rows to compute.
        """
        places = torch.from_numpy(masked.is_masked[rows])
        tokens = torch.from_numpy(ids[rows].astype(np.int64))[places]
        beyond = -len(tokens) % _LOGITS_MULTIPLE
        wanted = functional.pad(tokens, (0, beyond), value=_IGNORED).to(self._device)
        input_ids = torch.from_numpy(masked.input_ids[rows]).to(self._device)
        logits = self.model(input_ids, places.to(self._device), len(wanted))
        return logits.float(), wanted

    def _finish_epoch(self) -> None:
        position = self.position
        row = {
            "epoch": position.epoch + 1,
            "train_loss": position.loss_sum / position.count,
            **self._validate(),
            "seconds": round(position.seconds, 1),
        }
        position.start_next_epoch(row)
        self._save_encoder()
        write_log(self.files.folder, position.history)
        self.draw(position.history)
        _LOGGER.info(
            f"epoch {row['epoch']}: train loss {row['train_loss']:.4f}, valid loss "
            f"{row['valid_loss']:.4f}, masked tokens found {row['accuracy']:.2f} %"
        )

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Loss and accuracy at the same masked tokens of the held-out texts every time."""
        options = self.options
        generator = np.random.default_rng(options.seed)
        rows = pack(self.valid_texts, options.max_length, self.tokenizer, generator, self.separate)
        masked = mask(rows, options.mask_ratio, self.tokenizer, generator)
        self.model.eval()
        loss, found, total = 0.0, 0, 0
        for start in range(0, len(rows.ids), options.batch_size):
            chosen = np.arange(start, min(start + options.batch_size, len(rows.ids)))
            logits, wanted = self._logits(rows.ids, masked, chosen)
            loss += float(functional.cross_entropy(logits, wanted, reduction="sum"))
            found += int((logits.argmax(dim=1) == wanted).sum())
            total += int((wanted != _IGNORED).sum())
        return {"valid_loss": loss / total, "accuracy": 100 * found / total}

    def _save_encoder(self) -> None:
        with atomic_folder(self.files.encoder) as folder:
            try:
                self.whole.save_pretrained(folder, max_shard_size="1TB")
            except SafetensorError as error:  # what a full disk becomes
                raise OSError(str(error)) from error
            self.tokenizer.save_pretrained(folder)
            name_known_class(folder / "tokenizer_config.json")

    def _announce(self, passages: int) -> None:
        tokens = self.train_texts.num_tokens
        weights = sum(weight.numel() for weight in self.whole.parameters())
        _LOGGER.info(
            f"{self.options.run_name}: {self.options.model_name_or_path}, {weights / 1e6:.1f} M "
            f"weights, on {self.accelerator.device}, precision {self.accelerator.mixed_precision}; "
            f"{passages} different texts, {tokens / 1e6:.2f} M tokens a pass, "
            f"{len(self.valid_texts)} texts held out"
        )


def split(texts: TokenTexts, valid_ratio: float, seed: int) -> tuple[TokenTexts, TokenTexts]:
    """The texts that are learned from, each as often as wanted, and those held out.

    Raises:
        UserError: there are too few.
    """
    order = np.random.default_rng(seed).permutation(len(texts))
    held_out = max(1, round(len(texts) * valid_ratio))
    if held_out >= len(texts):
        raise UserError(
            f"the files hold {len(texts)} different texts with a token, too few to learn from "
            "and to measure on; bring more"
        )
    return texts.select(order[held_out:]).repeated(), texts.select(order[:held_out])


def in_batches(packed: TokenRow, options: PretrainOptions) -> list[TokenRow]:
    """The packed rows (B, T) of each optimizer step of an epoch.

    Raises:
        UserError: an optimizer step has fewer rows than micro-batches.
    """
    rows_per_step = options.batch_size * options.gradient_accumulation_steps
    count = -(-len(packed.ids) // rows_per_step)
    smallest = len(packed.ids) // count
    if smallest < options.gradient_accumulation_steps:
        raise UserError(
            f"the texts make optimizer steps of {smallest} packed rows, too few for "
            f"{options.gradient_accumulation_steps} micro-batches; lower "
            "`gradient_accumulation_steps`"
        )
    ids = np.array_split(packed.ids, count)
    units = [None] * count if packed.units is None else np.array_split(packed.units, count)
    return [TokenRow(*batch) for batch in zip(ids, units, strict=True)]
