"""Fine-tuning on labelled examples: optimizer steps, validation scores, the best checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from kore.common.errors import UnfitError
from kore.common.manifest import Manifest
from kore.common.resources import find_file
from kore.data.batching import epoch_updates
from kore.data.dataset import Batch, EncodedExample
from kore.network.checkpoint import STATE_KIND, TrainedModel, model_payload, save_model
from kore.prediction.predictor import predict_probs
from kore.scoring.label_shift import read_prior
from kore.scoring.metrics import ReliabilityBin
from kore.training.loop import EpochLoop, EpochReport
from kore.training.loss import Loss, make_loss
from kore.training.optimizer import make_optimizer
from kore.training.options import TrainOptions
from kore.training.regularization import adversarial, example_losses, masked
from kore.training.run_files import RunFiles, write_log
from kore.training.validation import ExpectedShares, Validation, validate

_LOGGER = logging.getLogger(__name__)

# Draws the log so far (a row an epoch) and, for the best epoch, the reliability curves.
Draw = Callable[
    [Sequence[dict[str, Any]], Mapping[str, Sequence[ReliabilityBin]] | None],
    None,
]


@dataclass
class EncodedData:
    """Examples ready for the model, and their relation numbers."""

    rows: list[EncodedExample]
    labels: list[int]

    @property
    def lengths(self) -> list[int]:
        return [len(row.input_ids) for row in self.rows]


class Trainer(EpochLoop[TrainOptions, RunFiles]):
    """One run: model, data and files.

    Args:
        trained: the model to train, with its encoding path and labels.
        manifest: what the run is begun with; kept in the state.
        report: is given every epoch's row of the log; what it raises ends the run.
        draw: makes the pictures of an epoch, in the main process.

    Raises:
        UnfitError: there are fewer examples than micro-batches in an optimizer step.
    """

    state_kind = STATE_KIND

    def __init__(
        self,
        options: TrainOptions,
        accelerator: Accelerator,
        trained: TrainedModel,
        train_data: EncodedData,
        valid_data: EncodedData,
        files: RunFiles,
        manifest: Manifest,
        report: EpochReport = lambda row: None,
        draw: Draw = lambda history, curves: None,
    ) -> None:
        self.trained = trained
        self.train_data = train_data
        self.valid_data = valid_data
        self.draw = draw
        self.micro_batches = accelerator.num_processes * options.gradient_accumulation_steps
        self.examples_per_step = options.batch_size * self.micro_batches
        self._check_examples()
        self.loss: Loss = make_loss(options)
        optimizer = make_optimizer(trained.model, options, options.layer_lr_decay)
        lengths, seed = train_data.lengths, options.seed
        steps = len(epoch_updates(lengths, self.examples_per_step, seed, 0))
        super().__init__(
            options, accelerator, trained.model, optimizer, steps, files, manifest, report
        )

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
                micro_batch = self._micro_batch(share)
                losses = self._losses(micro_batch)
                # Processes average their gradients; the mean over the step's examples is wanted.
                scale = accelerator.num_processes / len(batch)
                accelerator.backward(losses.sum() * scale)
                if self.options.fgm:
                    with adversarial(self._word_embeddings, self.options.fgm):
                        accelerator.backward(self._losses(micro_batch).sum() * scale)
            loss_sum += losses.detach().sum()
        self._apply_gradients()
        if accelerator.num_processes > 1:
            loss_sum = accelerator.reduce(loss_sum)
        return loss_sum, len(batch)

    def _losses(self, batch: Batch) -> Tensor:
        return example_losses(self.model, batch, self.loss, self.options.r_drop)

    @property
    def _word_embeddings(self) -> nn.Parameter:
        words: Any = self.trained.classifier.encoder.get_input_embeddings()
        return words.weight

    def _micro_batch(self, numbers: np.ndarray) -> Batch:
        rows = [self.train_data.rows[i] for i in numbers]
        labels = [self.train_data.labels[i] for i in numbers]
        encoder = self.trained.input_encoder
        batch = Batch.collate(rows, encoder.pad_id, labels).to(self._device)
        if not self.options.mask_tokens:
            return batch
        return masked(batch, self.options.mask_tokens, encoder.tokenizer)

    def _finish_epoch(self) -> None:
        """Scores the validation examples, keeps the best checkpoint and logs."""
        position = self.position
        result = self._validate()
        scores = result.scores
        row = {
            "epoch": position.epoch + 1,
            "train_loss": position.loss_sum / position.count,
            "valid_loss": result.loss,
            "micro_f1": scores.micro_f1,
            "auprc": scores.auprc,
            "accuracy": scores.accuracy,
            "ece": scores.ece,
            "ece_uncalibrated": result.ece_uncalibrated,
            "temperature": result.temperature,
            "seconds": round(position.seconds, 1),
        }
        position.start_next_epoch(row)
        if self.accelerator.is_main_process:
            self._keep(row, result)

    def _keep(self, row: dict[str, Any], result: Validation) -> None:
        """Writes what an epoch leaves: the checkpoint where it is the best, log and pictures."""
        is_best = self.best_epoch() is row
        if is_best:
            self.trained.scores = {**row, **result.scores.as_dict()}
            save_model(self.files.best, self.trained)
        write_log(self.files.folder, self.position.history)
        self.draw(self.position.history, result.curves if is_best else None)
        _LOGGER.info(
            f"epoch {row['epoch']}: train loss {row['train_loss']:.4f}, "
            f"valid loss {row['valid_loss']:.4f}, micro-F1 {row['micro_f1']:.2f}, "
            f"AUPRC {row['auprc']:.2f}, accuracy {row['accuracy']:.2f}, "
            f"calibration error {row['ece']:.2f} ({row['ece_uncalibrated']:.2f} before)"
            f"{'  (best)' if is_best else ''}"
        )

    def _validate(self) -> Validation:
        """Scores the validation examples, and sets what the model does to its logits by them."""
        temperature = self.trained.classifier.temperature.fill_(1.0)
        odds = self.trained.classifier.log_odds
        kept = odds.cpu().double().numpy()
        odds.zero_()  # the temperature is that of the examples as they are
        probs = predict_probs(
            self.model,
            self.valid_data.rows,
            self.trained.input_encoder,
            self.accelerator,
        )
        self._require_finite(float(probs.sum()))
        gold = np.asarray(self.valid_data.labels)
        is_allowed = self._gold_is_allowed(gold)
        expected = None
        if self.options.target_prior:
            shares = read_prior(find_file(self.options.target_prior), self.trained.labels)
            expected = ExpectedShares(shares, kept)
        result = validate(gold, probs, self.trained.labels, self.loss, is_allowed, expected)
        temperature.fill_(result.temperature)
        odds.copy_(torch.from_numpy(kept))
        return result

    def _gold_is_allowed(self, gold: np.ndarray) -> np.ndarray | None:
        """(N,) whether the entities' types allow each gold relation; None = all are allowed."""
        allowed = self.trained.classifier.allowed
        if allowed is None:
            return None
        types = np.asarray([row.entity_types for row in self.valid_data.rows])
        return allowed.cpu().numpy()[types[:, 0], types[:, 1], gold]

    def _check_examples(self) -> None:
        """Refuses optimizer steps that leave a micro-batch, or a process, without an example."""
        examples = len(self.train_data.rows)
        smallest = examples // -(-examples // self.examples_per_step)
        if smallest < self.micro_batches:
            raise UnfitError(
                f"{examples} training examples make optimizer steps of {smallest} examples, too "
                f"few for {self.micro_batches} micro-batches; lower "
                "`gradient_accumulation_steps` or the number of processes"
            )

    def _batches(self, epoch: int) -> list[np.ndarray]:
        lengths = self.train_data.lengths
        return epoch_updates(lengths, self.examples_per_step, self.options.seed, epoch)

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
        return {"model": model_payload(self.trained)}
