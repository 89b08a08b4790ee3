"""Training on labelled rows: an update, scores after each epoch, the best checkpoint kept."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from kore.common.errors import UnfitError
from kore.data.batching import epoch_updates
from kore.data.dataset import Batch, EncodedExample
from kore.evaluation import figures
from kore.network.checkpoint import STATE_KIND, TrainedModel, model_payload, save_model
from kore.prediction.predictor import predict_probs
from kore.training.loop import EpochLoop, EpochReport
from kore.training.loss import Loss, make_loss
from kore.training.optimizer import make_optimizer
from kore.training.options import TrainOptions
from kore.training.regularization import adversarial, masked, row_losses
from kore.training.run_files import RunFiles, write_log
from kore.training.validation import Validation, validate

_LOGGER = logging.getLogger(__name__)


@dataclass
class EncodedData:
    """Rows ready for the model, and their relation numbers."""

    rows: list[EncodedExample]
    labels: list[int]

    @property
    def lengths(self) -> list[int]:
        return [len(row.input_ids) for row in self.rows]


class Trainer(EpochLoop[TrainOptions, RunFiles]):
    """One run: model, data and files.

    Args:
        trained: the model to train, with its encoding path and labels.
        data_checksums: names and SHA-256 of the data files, kept in the state.
        report: is given every epoch's row of the log; what it raises ends the run.

    Raises:
        UnfitError: there are fewer rows than steps in an update.
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
        data_checksums: dict[str, str],
        report: EpochReport = lambda row: None,
    ) -> None:
        self.trained = trained
        self.train_data = train_data
        self.valid_data = valid_data
        self.parts = accelerator.num_processes * options.gradient_accumulation_steps
        self.rows_per_update = options.batch_size * self.parts
        self._check_rows()
        self.loss: Loss = make_loss(options)
        optimizer = make_optimizer(trained.model, options, options.layer_lr_decay)
        updates = len(epoch_updates(train_data.lengths, self.rows_per_update, options.seed, 0))
        super().__init__(
            options,
            accelerator,
            trained.model,
            optimizer,
            updates,
            files,
            data_checksums,
            report,
        )

    def best_epoch(self) -> dict[str, Any]:
        """The first epoch with the highest selection metric: its row of the log."""
        return max(self.position.history, key=lambda row: row[self.options.selection_metric])

    def _update(self, rows: np.ndarray, step: int) -> tuple[Tensor, int]:
        """One optimizer step over `rows`; the losses' sum is that of all processes."""
        accelerator = self.accelerator
        shares = np.array_split(rows, self.parts)
        first = accelerator.process_index * self.options.gradient_accumulation_steps
        own = shares[first : first + self.options.gradient_accumulation_steps]
        loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        for number, share in enumerate(own):
            part = step * self.parts + first + number
            torch.manual_seed(self.options.seed * 1_000_003 + part)  # dropout, wherever we resume
            is_last = number == len(own) - 1
            with nullcontext() if is_last else accelerator.no_sync(self.model):
                batch = self._batch(share)
                losses = self._losses(batch)
                # Processes average their gradients; the mean over the update's rows is wanted.
                scale = accelerator.num_processes / len(rows)
                accelerator.backward(losses.sum() * scale)
                if self.options.fgm:
                    with adversarial(self._word_embeddings, self.options.fgm):
                        accelerator.backward(self._losses(batch).sum() * scale)
            loss_sum += losses.detach().sum()
        self._step()
        if accelerator.num_processes > 1:
            loss_sum = accelerator.reduce(loss_sum)
        return loss_sum, len(rows)

    def _losses(self, batch: Batch) -> Tensor:
        return row_losses(self.model, batch, self.loss, self.options.r_drop)

    @property
    def _word_embeddings(self) -> nn.Parameter:
        words: Any = self.trained.classifier.encoder.get_input_embeddings()
        return words.weight

    def _batch(self, numbers: np.ndarray) -> Batch:
        rows = [self.train_data.rows[i] for i in numbers]
        labels = [self.train_data.labels[i] for i in numbers]
        encoder = self.trained.input_encoder
        batch = Batch.collate(rows, encoder.pad_id, labels).to(self._device)
        if not self.options.mask_tokens:
            return batch
        return masked(batch, self.options.mask_tokens, encoder.tokenizer)

    def _finish_epoch(self) -> None:
        """Scores the validation rows, keeps the best checkpoint and logs."""
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
        is_best = self.best_epoch() is row
        if self.accelerator.is_main_process:
            if is_best:
                self.trained.scores = {**row, **scores.as_dict()}
                save_model(self.files.best, self.trained)
                figures.reliability(result.curves, self.files.folder / "reliability.png")
            write_log(self.files.folder, position.history)
            figures.learning_curve(position.history, self.files.folder / "learning_curve.png")
            _LOGGER.info(
                f"epoch {row['epoch']}: train loss {row['train_loss']:.4f}, "
                f"valid loss {result.loss:.4f}, micro-F1 {scores.micro_f1:.2f}, "
                f"AUPRC {scores.auprc:.2f}, accuracy {scores.accuracy:.2f}, "
                f"calibration error {scores.ece:.2f} ({result.ece_uncalibrated:.2f} before)"
                f"{'  (best)' if is_best else ''}"
            )

    def _validate(self) -> Validation:
        """Scores the validation rows, and sets the model's temperature by them."""
        temperature = self.trained.classifier.temperature.fill_(1.0)
        probs = predict_probs(
            self.model,
            self.valid_data.rows,
            self.trained.input_encoder,
            self.accelerator,
        )
        self._require_finite(float(probs.sum()))
        gold = np.asarray(self.valid_data.labels)
        result = validate(gold, probs, self.trained.labels, self.loss, self._gold_is_allowed(gold))
        temperature.fill_(result.temperature)
        return result

    def _gold_is_allowed(self, gold: np.ndarray) -> np.ndarray | None:
        """(N,) whether the entities' types allow each gold relation; None = all are allowed."""
        allowed = self.trained.classifier.allowed
        if allowed is None:
            return None
        types = np.asarray([row.entity_types for row in self.valid_data.rows])
        return allowed.cpu().numpy()[types[:, 0], types[:, 1], gold]

    def _check_rows(self) -> None:
        """Refuses updates that leave a process or an accumulated step without a row."""
        rows = len(self.train_data.rows)
        smallest = rows // -(-rows // self.rows_per_update)
        if smallest < self.parts:
            raise UnfitError(
                f"{rows} training rows make updates of {smallest} rows, too few for {self.parts} "
                "steps an update; lower `gradient_accumulation_steps` or the number of processes"
            )

    def _updates(self, epoch: int) -> list[np.ndarray]:
        lengths = self.train_data.lengths
        return epoch_updates(lengths, self.rows_per_update, self.options.seed, epoch)

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
