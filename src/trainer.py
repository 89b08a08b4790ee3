"""The training loop: epochs of updates, scores after each, a state to go on from at any time.

Every draw (order of rows, dropout) is a function of the seed and the position in the run. A run
that was killed therefore goes on from its last saved state and ends with the same weights, to
the bit on a processor, as one that was never killed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm import tqdm

import figures
from batching import epoch_updates
from checkpoint import STATE_KIND, TrainedModel, model_payload, save_model, save_payload
from config import TrainOptions
from dataset import Batch, EncodedRow
from devices import hardware
from errors import UserError
from interrupts import deferred_interrupt
from loss import Loss, make_loss
from optimization import make_optimizer, make_schedule
from prediction import predict_probs
from regularization import adversarial, masked, row_losses
from run_files import RunFiles, write_log
from validation import Validation, validate
from weight_average import WeightAverage

EpochReport = Callable[[dict[str, Any]], None]

CHECK_UPDATES = 50  # updates between two looks at the loss, each of which waits for a GPU


@dataclass
class EncodedData:
    """Rows ready for the model, and their relation numbers."""

    rows: list[EncodedRow]
    labels: list[int]

    @property
    def lengths(self) -> list[int]:
        return [len(row.input_ids) for row in self.rows]


@dataclass
class Position:
    """How far a run has come. `update` counts inside the epoch, `history` has a row an epoch."""

    epoch: int = 0
    update: int = 0
    loss_sum: float = 0.0  # over the rows of this epoch so far
    history: list[dict[str, Any]] = field(default_factory=list)


class DivergedError(UserError):
    """The loss is no longer finite."""


class Trainer:
    """One run: model, optimizer, schedule, data and files.

    Args:
        trained: the model to train, with its encoding path and labels.
        resume_state: what `last.pth` held, or None for a new run.
        data_checksums: names and SHA-256 of the data files, kept in the state.
        report: is given every epoch's row of the log; what it raises ends the run.

    Raises:
        UserError: there are fewer rows than steps in an update.
    """

    def __init__(
        self,
        options: TrainOptions,
        accelerator: Accelerator,
        trained: TrainedModel,
        train_data: EncodedData,
        valid_data: EncodedData,
        files: RunFiles,
        data_checksums: dict[str, str],
        resume_state: dict[str, Any] | None = None,
        report: EpochReport = lambda row: None,
    ) -> None:
        self.options = options
        self.accelerator = accelerator
        self.trained = trained
        self.train_data = train_data
        self.valid_data = valid_data
        self.files = files
        self.data_checksums = data_checksums
        self.report = report
        self.parts = accelerator.num_processes * options.gradient_accumulation_steps
        self.rows_per_update = options.batch_size * self.parts
        self._check_rows()
        counts = np.bincount(train_data.labels, minlength=len(trained.labels))
        self.loss: Loss = make_loss(options, counts.tolist())
        optimizer = make_optimizer(trained.model, options, options.layer_lr_decay)
        # Bound to the bare optimizer: accelerate's schedule would be stepped once a process.
        updates = len(self._updates(epoch=0))
        self.schedule = make_schedule(optimizer, options, updates)
        self.model, self.optimizer = accelerator.prepare(trained.model, optimizer)
        self.average = None
        if options.weight_average != "none":  # of the weights where `prepare` has put them
            total = updates * options.num_epochs
            self.average = WeightAverage(
                trained.model, options.weight_average, options.ema_decay, total
            )
        self.position = Position()
        if resume_state is not None:
            self._restore(resume_state)

    def run(self) -> dict[str, Any]:
        """Trains to the end and returns the best epoch's row of the log.

        Raises:
            UserError: the loss is no longer finite; the best checkpoint so far is kept.
            KeyboardInterrupt: after the state was saved, with a message that says how to go on.
        """
        with deferred_interrupt() as is_interrupted:
            if not self.position.history and not self.position.update:
                self._save_state()  # from here on there is something to resume
            while self.position.epoch < self.options.num_epochs and not self._is_out_of_patience():
                started = time.monotonic()
                self._train_epoch(is_interrupted)
                self._finish_epoch(time.monotonic() - started)
                self._stop_if(self._is_stopping(is_interrupted, is_check=True))
        return self.best_epoch()

    def best_epoch(self) -> dict[str, Any]:
        """The first epoch with the highest selection metric."""
        return max(self.position.history, key=lambda row: row[self.options.selection_metric])

    def _train_epoch(self, is_interrupted: Callable[[], bool]) -> None:
        position = self.position
        updates = self._updates(position.epoch)
        loss_sum = torch.tensor(position.loss_sum, dtype=torch.float64, device=self._device)
        rows_done = sum(len(update) for update in updates[: position.update])
        self.model.train()
        progress = tqdm(
            total=len(updates),
            initial=position.update,
            desc=f"epoch {position.epoch + 1}/{self.options.num_epochs}",
            unit=" updates",
            disable=None if self.accelerator.is_main_process else True,
        )
        with progress:
            for number in range(position.update, len(updates)):
                loss_sum += self._update(updates[number], position.epoch * len(updates) + number)
                rows_done += len(updates[number])
                position.update = number + 1
                progress.update()
                is_last = position.update == len(updates)
                is_check = number % CHECK_UPDATES == 0
                is_stopping = self._is_stopping(is_interrupted, is_check)
                is_saving = is_stopping or position.update % self.options.save_steps == 0
                if is_last or is_saving or is_check:
                    position.loss_sum = self._finite(loss_sum)
                    progress.set_postfix(loss=f"{position.loss_sum / rows_done:.4f}")
                if is_saving and not is_last:  # after the last, _finish_epoch saves
                    self._save_state()
                    self._stop_if(is_stopping)

    def _update(self, rows: np.ndarray, step: int) -> Tensor:
        """One optimizer step over `rows`; returns the sum of their losses, over all processes."""
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
        accelerator.clip_grad_norm_(self.model.parameters(), self.options.max_grad_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update(step + 1)
        return accelerator.reduce(loss_sum) if accelerator.num_processes > 1 else loss_sum

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

    def _finish_epoch(self, seconds: float) -> None:
        """Scores the validation rows, keeps the best checkpoint, logs, and saves the state."""
        with nullcontext() if self.average is None else self.average.applied():
            self._score_epoch(seconds)
        self._save_state()
        self.report(self.position.history[-1])

    def _score_epoch(self, seconds: float) -> None:
        position = self.position
        result = self._validate()
        scores = result.scores
        row = {
            "epoch": position.epoch + 1,
            "train_loss": position.loss_sum / len(self.train_data.rows),
            "valid_loss": result.loss,
            "micro_f1": scores.micro_f1,
            "auprc": scores.auprc,
            "accuracy": scores.accuracy,
            "ece": scores.ece,
            "ece_uncalibrated": result.ece_uncalibrated,
            "temperature": result.temperature,
            "seconds": round(seconds, 1),
        }
        position.history.append(row)
        is_best = self.best_epoch() is row
        position.epoch, position.update, position.loss_sum = position.epoch + 1, 0, 0.0
        if self.accelerator.is_main_process:
            if is_best:
                self.trained.scores = {**row, **scores.as_dict()}
                save_model(self.files.best, self.trained)
                figures.reliability(result.curves, self.files.folder / "reliability.png")
            write_log(self.files.folder, position.history)
            print(
                f"epoch {row['epoch']}: train loss {row['train_loss']:.4f}, "
                f"valid loss {result.loss:.4f}, micro-F1 {scores.micro_f1:.2f}, "
                f"AUPRC {scores.auprc:.2f}, accuracy {scores.accuracy:.2f}, "
                f"calibration error {scores.ece:.2f} ({result.ece_uncalibrated:.2f} before)"
                f"{'  (best)' if is_best else ''}",
                file=sys.stderr,
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
        result = validate(gold, probs, self.trained.labels, self.loss, self._can_be_right(gold))
        temperature.fill_(result.temperature)
        return result

    def _can_be_right(self, gold: np.ndarray) -> np.ndarray | None:
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
            raise UserError(
                f"{rows} training rows make updates of {smallest} rows, too few for {self.parts} "
                "steps an update; lower --gradient_accumulation_steps or the number of processes"
            )

    def _updates(self, epoch: int) -> list[np.ndarray]:
        lengths = self.train_data.lengths
        return epoch_updates(lengths, self.rows_per_update, self.options.seed, epoch)

    def _is_out_of_patience(self) -> bool:
        history = self.position.history
        if not self.options.patience or not history:
            return False
        return len(history) - self.best_epoch()["epoch"] >= self.options.patience

    def _finite(self, loss_sum: Tensor) -> float:
        value = float(loss_sum)
        self._require_finite(value)
        return value

    def _require_finite(self, value: float) -> None:
        if not np.isfinite(value):
            kept = self.files.best
            raise DivergedError(
                f"the loss is {value} in epoch {self.position.epoch + 1}; "
                + (f"{kept} keeps the best epoch so far. " if kept.exists() else "")
                + "Lower --learning_rate, or pass --precision fp32"
            )

    def _is_stopping(self, is_interrupted: Callable[[], bool], is_check: bool) -> bool:
        """Whether to stop here: several processes agree on it, so that none waits for another."""
        if self.accelerator.num_processes == 1:
            return is_interrupted()
        if not is_check:  # agreeing takes time
            return False
        votes = torch.tensor(float(is_interrupted()), device=self._device)
        return bool(self.accelerator.reduce(votes) > 0)

    def _stop_if(self, is_interrupted: bool) -> None:
        if is_interrupted:
            raise KeyboardInterrupt(
                f"Stopped; the state is saved in {self.files.last}. To go on, give the same "
                f"command with --model_name_or_path {self.options.model_name_or_path} "
                f"--run_name {self.files.run_name} --resume"
            )

    def _save_state(self) -> None:
        if not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        state = {
            "model": model_payload(self.trained),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "position": dict(vars(self.position)),
            "hardware": hardware(self.accelerator),
            "data_checksums": self.data_checksums,
        }
        save_payload(self.files.last, STATE_KIND, state)

    def _restore(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.position = Position(**state["position"])

    @property
    def _device(self) -> torch.device:
        return self.accelerator.device
