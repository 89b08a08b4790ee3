"""Fine-tuning on labelled examples: optimizer steps, validation scores, the best checkpoint.

It knows no task; see objective.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from kore.common.errors import UnfitError
from kore.common.manifest import Manifest
from kore.data.batching import epoch_batches
from kore.network.checkpoint import save_payload
from kore.scoring.metrics import ReliabilityBin
from kore.training.loop import EpochLoop, EpochReport
from kore.training.objective import Objective, Validated
from kore.training.optimizer import make_optimizer
from kore.training.options import FineTuningOptions
from kore.training.regularization import adversarial
from kore.training.run_files import RunFiles, write_log

_LOGGER = logging.getLogger(__name__)

# Draws the log so far (a row an epoch) and, for the best epoch, the reliability curves.
Draw = Callable[
    [Sequence[dict[str, Any]], Mapping[str, Sequence[ReliabilityBin]] | None],
    None,
]


class Trainer(EpochLoop[FineTuningOptions, RunFiles]):
    """One run: what is learned, how, and its files.

    Args:
        objective: the model to train and its examples.
        manifest: what the run is begun with; kept in the state.
        report: is given every epoch's row of the log; what it raises ends the run.
        draw: makes the pictures of an epoch, in the main process.

    Raises:
        UnfitError: there are fewer examples than micro-batches in an optimizer step.
    """

    def __init__(
        self,
        options: FineTuningOptions,
        accelerator: Accelerator,
        objective: Objective,
        files: RunFiles,
        manifest: Manifest,
        report: EpochReport = lambda row: None,
        draw: Draw = lambda history, curves: None,
    ) -> None:
        self.objective = objective
        self.state_kind = objective.state_kind
        self.draw = draw
        self.micro_batches = accelerator.num_processes * options.gradient_accumulation_steps
        self.examples_per_step = options.batch_size * self.micro_batches
        self._check_examples()
        model = objective.model
        optimizer = make_optimizer(model, options, options.layer_lr_decay)
        lengths, seed = objective.lengths, options.seed
        steps = len(epoch_batches(lengths, self.examples_per_step, seed, 0))
        super().__init__(options, accelerator, model, optimizer, steps, files, manifest, report)

    def best_epoch(self) -> dict[str, Any]:
        """The first epoch with the highest selection metric: its row of the log."""
        return max(self.position.history, key=lambda row: row[self.options.selection_metric])

    def _optimizer_step(self, batch: np.ndarray, number: int) -> tuple[Tensor, int]:
        """One optimizer step over the examples of these numbers, shared by all processes.

        Returns:
            The sum of their losses, (), float64, over all processes; and how many they are.
        """
        accelerator = self.accelerator
        shares = np.array_split(batch, self.micro_batches)
        first = accelerator.process_index * self.options.gradient_accumulation_steps
        own = shares[first : first + self.options.gradient_accumulation_steps]
        loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        for place, share in enumerate(own):
            self._seed_dropout(number * self.micro_batches + first + place)
            is_last = place == len(own) - 1
            with nullcontext() if is_last else accelerator.no_sync(self.model):
                micro_batch = self.objective.batch(share, self._device)
                losses = self.objective.losses(self.model, micro_batch)
                # Processes average their gradients; the mean over the step's examples is wanted.
                scale = accelerator.num_processes / len(batch)
                accelerator.backward(losses.sum() * scale)
                if self.options.fgm:
                    with adversarial(self._word_embeddings, self.options.fgm):
                        losses_there = self.objective.losses(self.model, micro_batch)
                        accelerator.backward(losses_there.sum() * scale)
            loss_sum += losses.detach().sum()
        self._apply_gradients()
        if accelerator.num_processes > 1:
            loss_sum = accelerator.reduce(loss_sum)
        return loss_sum, len(batch)

    @property
    def _word_embeddings(self) -> nn.Parameter:
        words: Any = self.objective.model.encoder.get_input_embeddings()
        return words.weight

    def _finish_epoch(self) -> None:
        """Scores the validation examples, keeps the best checkpoint and logs."""
        position = self.position
        result = self.objective.validate(self.model, self.accelerator, self._require_finite)
        row = {
            "epoch": position.epoch + 1,
            "train_loss": position.loss_sum / position.count,
            **result.row,
            "seconds": round(position.seconds, 1),
        }
        position.start_next_epoch(row)
        if self.accelerator.is_main_process:
            self._keep(row, result)

    def _keep(self, row: dict[str, Any], result: Validated) -> None:
        """Writes what an epoch leaves: the checkpoint where it is the best, log and pictures."""
        is_best = self.best_epoch() is row
        if is_best:
            self.objective.trained.scores = {**row, **result.scores}
            save_payload(self.files.best, self.objective.model_kind, self.objective.payload())
            for name, (kind, payload) in self.objective.beside().items():
                save_payload(self.files.beside(name), kind, payload)
        write_log(self.files.folder, self.position.history)
        self.draw(self.position.history, result.curves if is_best else None)
        _LOGGER.info(
            f"epoch {row['epoch']}: train loss {row['train_loss']:.4f}, "
            f"valid loss {row['valid_loss']:.4f}, {result.summary}{'  (best)' if is_best else ''}"
        )

    def _check_examples(self) -> None:
        """Refuses optimizer steps that leave a micro-batch, or a process, without an example."""
        examples = len(self.objective.lengths)
        smallest = examples // -(-examples // self.examples_per_step)
        if smallest < self.micro_batches:
            raise UnfitError(
                f"{examples} training examples make optimizer steps of {smallest} examples, too "
                f"few for {self.micro_batches} micro-batches; lower "
                "`gradient_accumulation_steps` or the number of processes"
            )

    def _batches(self, epoch: int) -> list[np.ndarray]:
        lengths = self.objective.lengths
        return epoch_batches(lengths, self.examples_per_step, self.options.seed, epoch)

    def _is_done_early(self) -> bool:
        """Whether the patience is at an end."""
        history = self.position.history
        if not self.options.patience or not history:
            return False
        return len(history) - self.best_epoch()["epoch"] >= self.options.patience

    def _what_is_kept(self) -> str:
        kept = self.files.best
        return f"{kept} keeps the best epoch so far. " if kept.exists() else ""

    def _own_state(self) -> dict[str, Any]:
        return {"model": self.objective.state()}
