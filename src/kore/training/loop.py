"""Resumable training loop, shared by fine-tuning and pretraining.

Every draw (order of examples, dropout, masks) is a function of the seed and the position in the
run. A run that was killed therefore continues from its last saved state and ends with the same
weights, to the bit on a CPU, as one that was never killed.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from kore.common.errors import UnfitError, UserError
from kore.common.interrupts import deferred_interrupt
from kore.common.manifest import Manifest
from kore.common.progress import progress_bar
from kore.training.optimizer import make_schedule
from kore.training.options import OptimizationOptions
from kore.training.state import save_state

EpochReport = Callable[[dict[str, Any]], None]

CHECK_STEPS = 50  # optimizer steps between two looks at the loss, each of which waits for a GPU


class DivergedError(UserError):
    """The loss is no longer finite."""


class LoopFiles(Protocol):
    """Where the loop saves its state."""

    @property
    def last(self) -> Path: ...


@dataclass
class Position:
    """How far a run has come.

    step: optimizer steps done in this epoch. loss_sum, count, seconds: of this epoch so far; count
    is of what the losses belong to, examples or tokens. history: the rows of the log.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    count: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def start_next_epoch(self, row: dict[str, Any]) -> None:
        """Closes an epoch with its row of the log."""
        self.history.append(row)
        self.epoch += 1
        self.step, self.loss_sum, self.count, self.seconds = 0, 0.0, 0, 0.0


OptionsT = TypeVar("OptionsT", bound=OptimizationOptions)
FilesT = TypeVar("FilesT", bound=LoopFiles)


class EpochLoop(ABC, Generic[OptionsT, FilesT]):
    """Makes optimizer steps, saves the state, stops when asked to.

    Args:
        model: what is trained.
        optimizer: over its parameters.
        steps_per_epoch: optimizer steps, which the schedule counts.
        manifest: what the run is begun with; kept in the state.
        report: is given every epoch's row of the log; what it raises ends the run.
    """

    state_kind: str  # what `load_state` knows the state by

    def __init__(
        self,
        options: OptionsT,
        accelerator: Accelerator,
        model: nn.Module,
        optimizer: Optimizer,
        steps_per_epoch: int,
        files: FilesT,
        manifest: Manifest,
        report: EpochReport = lambda row: None,
    ) -> None:
        self.options = options
        self.accelerator = accelerator
        self.files = files
        self.manifest = manifest
        self.report = report
        # Bound to the bare optimizer: accelerate's schedule would be stepped once a process.
        self.schedule = make_schedule(optimizer, options, steps_per_epoch)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.position = Position()

    @abstractmethod
    def _batches(self, epoch: int) -> Sequence[Any]:
        """What each optimizer step of an epoch learns from, in order."""

    @abstractmethod
    def _optimizer_step(self, batch: Any, number: int) -> tuple[Tensor, int]:
        """The run's optimizer step of that number; the sum of its losses, and of how many."""

    @abstractmethod
    def _finish_epoch(self) -> None:
        """Scores, saves what the run is for, and closes the epoch in `position`."""

    @abstractmethod
    def _own_state(self) -> dict[str, Any]:
        """What the state holds beside what every loop has."""

    def _is_done_early(self) -> bool:
        return False

    def _what_is_kept(self) -> str:
        """A sentence on what a diverged run leaves, or nothing."""
        return ""

    @property
    def is_finished(self) -> bool:
        """Whether no epoch is left."""
        return self.position.epoch >= self.options.num_epochs or self._is_done_early()

    def run(self) -> None:
        """Trains to the end.

        Raises:
            DivergedError: the loss is no longer finite; what was saved so far is kept.
            UnfitError: the GPU's memory is full.
            KeyboardInterrupt: asked to stop; the message names the saved state.
        """
        position, options = self.position, self.options
        with deferred_interrupt() as is_interrupted:
            if not position.history and not position.step:
                self._save_state()  # from here on there is something to resume
            try:
                while not self.is_finished:
                    self._train_epoch(is_interrupted)
                    self._finish_epoch()
                    self._save_state()
                    self.report(position.history[-1])
                    self._stop_if(self._is_stopping(is_interrupted, is_check=True))
            except torch.OutOfMemoryError as error:
                raise UnfitError(
                    f"the GPU's memory is full at `batch_size` {options.batch_size}; halve it and "
                    "double `gradient_accumulation_steps`, which gives the same optimizer steps"
                ) from error

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from what `last` held."""
        self.position = Position(**state["position"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _train_epoch(self, is_interrupted: Callable[[], bool]) -> None:
        position = self.position
        batches = self._batches(position.epoch)
        loss_sum = torch.tensor(position.loss_sum, dtype=torch.float64, device=self._device)
        started = time.monotonic() - position.seconds
        self.model.train()
        progress = progress_bar(
            total=len(batches),
            initial=position.step,
            desc=f"epoch {position.epoch + 1}/{self.options.num_epochs}",
            unit=" steps",
            quiet=not self.accelerator.is_main_process,
        )
        with progress:
            for number in range(position.step, len(batches)):
                step = position.epoch * len(batches) + number
                loss, count = self._optimizer_step(batches[number], step)
                loss_sum += loss
                position.count += count
                position.step = number + 1
                progress.update()
                is_last = position.step == len(batches)
                is_check = number % CHECK_STEPS == 0
                is_stopping = self._is_stopping(is_interrupted, is_check)
                is_saving = is_stopping or position.step % self.options.save_steps == 0
                if is_last or is_saving or is_check:
                    position.loss_sum = float(loss_sum)
                    self._require_finite(position.loss_sum)
                    position.seconds = time.monotonic() - started
                    mean = position.loss_sum / position.count
                    progress.set_postfix(loss=f"{mean:.4f}", refresh=False)
                if is_saving and not is_last:  # after the last, the epoch is finished first
                    self._save_state()
                    self._stop_if(is_stopping)

    def _seed_dropout(self, micro_batch: int) -> None:
        """Makes dropout a function of the micro-batch's number in the run, wherever it resumes."""
        torch.manual_seed(self.options.seed * 1_000_003 + micro_batch)

    def _apply_gradients(self) -> None:
        """Clips the accumulated gradients and applies them."""
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.options.max_grad_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()

    def _require_finite(self, value: float) -> None:
        if not np.isfinite(value):
            raise DivergedError(
                f"the loss is {value} in epoch {self.position.epoch + 1}; {self._what_is_kept()}"
                "Lower `learning_rate`, or pass `precision` fp32"
            )

    def _is_stopping(self, is_interrupted: Callable[[], bool], is_check: bool) -> bool:
        """Whether to stop here: several processes agree on it, so that none waits for another."""
        if self.accelerator.num_processes == 1:
            return is_interrupted()
        if not is_check:  # agreeing takes time
            return False
        votes = torch.tensor(float(is_interrupted()), device=self._device)
        return bool(self.accelerator.reduce(votes) > 0)

    def _stop_if(self, is_stopping: bool) -> None:
        if is_stopping:
            raise KeyboardInterrupt(f"Stopped; the state is saved in {self.files.last}")

    def _save_state(self) -> None:
        if not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        content = {
            **self._own_state(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "position": dict(vars(self.position)),
        }
        save_state(self.files.last, self.state_kind, self.manifest, content)

    @property
    def _device(self) -> torch.device:
        return self.accelerator.device
