"""Epochs of updates that can be stopped anywhere and gone on with: for training and pretraining.

Every draw (order of rows, dropout, masks) is a function of the seed and the position in the run. A
run that was killed therefore goes on from its last saved state and ends with the same weights, to
the bit on a processor, as one that was never killed.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from kore.common.devices import hardware
from kore.common.errors import UnfitError, UserError
from kore.common.interrupts import deferred_interrupt
from kore.common.progress import progress_bar
from kore.network.checkpoint import save_payload
from kore.training.optimizer import make_schedule
from kore.training.options import OptimizationOptions

EpochReport = Callable[[dict[str, Any]], None]

CHECK_UPDATES = 50  # updates between two looks at the loss, each of which waits for a GPU


class DivergedError(UserError):
    """The loss is no longer finite."""


class LoopFiles(Protocol):
    """What a loop has to know of its files: a name for messages, and where the state goes."""

    @property
    def run_name(self) -> str: ...

    @property
    def last(self) -> Path: ...


@dataclass
class Position:
    """How far a run has come. `update` counts inside the epoch, `history` has a row an epoch."""

    epoch: int = 0
    update: int = 0
    loss_sum: float = 0.0  # of this epoch so far
    count: int = 0  # of what the losses of this epoch so far belong to
    seconds: float = 0.0  # of this epoch so far
    history: list[dict[str, Any]] = field(default_factory=list)

    def start_next_epoch(self, row: dict[str, Any]) -> None:
        """Closes an epoch with its row of the log."""
        self.history.append(row)
        self.epoch += 1
        self.update, self.loss_sum, self.count, self.seconds = 0, 0.0, 0, 0.0


OptionsT = TypeVar("OptionsT", bound=OptimizationOptions)
FilesT = TypeVar("FilesT", bound=LoopFiles)


class EpochLoop(ABC, Generic[OptionsT, FilesT]):
    """Runs updates, saves the state, stops when asked to.

    Args:
        model: what is trained.
        optimizer: over its parameters.
        updates_per_epoch: what the schedule counts on.
        data_checksums: names and SHA-256 of the data files, kept in the state.
        report: is given every epoch's row of the log; what it raises ends the run.
    """

    state_kind: ClassVar[str]  # what `load_payload` knows the state by

    def __init__(
        self,
        options: OptionsT,
        accelerator: Accelerator,
        model: nn.Module,
        optimizer: Optimizer,
        updates_per_epoch: int,
        files: FilesT,
        data_checksums: dict[str, str],
        report: EpochReport = lambda row: None,
    ) -> None:
        self.options = options
        self.accelerator = accelerator
        self.files = files
        self.data_checksums = data_checksums
        self.report = report
        # Bound to the bare optimizer: accelerate's schedule would be stepped once a process.
        self.schedule = make_schedule(optimizer, options, updates_per_epoch)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.position = Position()

    @abstractmethod
    def _updates(self, epoch: int) -> Sequence[Any]:
        """What each update of an epoch learns from, in order."""

    @abstractmethod
    def _update(self, chosen: Any, step: int) -> tuple[Tensor, int]:
        """One optimizer step; returns the sum of its losses, and of how many."""

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

    def run(self) -> None:
        """Trains to the end.

        Raises:
            DivergedError: the loss is no longer finite; what was saved so far is kept.
            UnfitError: the GPU's memory is full.
            KeyboardInterrupt: after the state was saved, with a message that says how to go on.
        """
        position, options = self.position, self.options
        with deferred_interrupt() as is_interrupted:
            if not position.history and not position.update:
                self._save_state()  # from here on there is something to resume
            try:
                while position.epoch < options.num_epochs and not self._is_done_early():
                    self._train_epoch(is_interrupted)
                    self._finish_epoch()
                    self._save_state()
                    self.report(position.history[-1])
                    self._stop_if(self._is_stopping(is_interrupted, is_check=True))
            except torch.OutOfMemoryError as error:
                raise UnfitError(
                    f"the GPU's memory is full at `batch_size` {options.batch_size}; halve it and "
                    "double `gradient_accumulation_steps`, which gives the same updates"
                ) from error

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what `last` held.

        Raises:
            UserError: another version of KoRE wrote it.
        """
        if state["position"].keys() != vars(self.position).keys():
            raise UserError(
                f"{self.files.last} was written by another version of KoRE; finish that run "
                "with that version, or start one with another `run_name`"
            )
        self.position = Position(**state["position"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _train_epoch(self, is_interrupted: Callable[[], bool]) -> None:
        position = self.position
        updates = self._updates(position.epoch)
        loss_sum = torch.tensor(position.loss_sum, dtype=torch.float64, device=self._device)
        started = time.monotonic() - position.seconds
        self.model.train()
        progress = progress_bar(
            total=len(updates),
            initial=position.update,
            desc=f"epoch {position.epoch + 1}/{self.options.num_epochs}",
            unit=" updates",
            quiet=not self.accelerator.is_main_process,
        )
        with progress:
            for number in range(position.update, len(updates)):
                loss, count = self._update(updates[number], position.epoch * len(updates) + number)
                loss_sum += loss
                position.count += count
                position.update = number + 1
                progress.update()
                is_last = position.update == len(updates)
                is_check = number % CHECK_UPDATES == 0
                is_stopping = self._is_stopping(is_interrupted, is_check)
                is_saving = is_stopping or position.update % self.options.save_steps == 0
                if is_last or is_saving or is_check:
                    position.loss_sum = float(loss_sum)
                    self._require_finite(position.loss_sum)
                    position.seconds = time.monotonic() - started
                    progress.set_postfix(loss=f"{position.loss_sum / position.count:.4f}")
                if is_saving and not is_last:  # after the last, the epoch is finished first
                    self._save_state()
                    self._stop_if(is_stopping)

    def _step(self) -> None:
        """Applies the gradients that were gathered."""
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
            **self._own_state(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "position": dict(vars(self.position)),
            "hardware": hardware(self.accelerator),
            "data_checksums": self.data_checksums,
        }
        save_payload(self.files.last, self.state_kind, state)

    @property
    def _device(self) -> torch.device:
        return self.accelerator.device
