"""What a task brings to a run: the seam between `Trainer`, which knows no task, and the tasks.

Relations, named entities and whatever else is learned from labelled examples differ in how an
example becomes a batch, what its loss is, how predictions are scored and what a checkpoint holds.
Optimizer steps, epochs, the best checkpoint, patience, the log and `--resume` do not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from kore.scoring.metrics import ReliabilityBin


class Trained(Protocol):
    """A model with its encoding path, its labels, and its validation scores."""

    model: Any
    scores: dict[str, Any]


class Validated(NamedTuple):
    """What the validation of an epoch says.

    row: columns of the log, `valid_loss` and every selection metric among them.
    summary: the same for people, as the end of a sentence.
    scores: all that a checkpoint keeps beside the row.
    curves: reliability before and after calibration; None where nothing is calibrated.
    """

    row: dict[str, Any]
    summary: str
    scores: dict[str, Any]
    curves: Mapping[str, Sequence[ReliabilityBin]] | None = None


class Objective(ABC):
    """The examples of a run, and what is learned from them.

    trained: what is trained. lengths: tokens of each training example. about: the data, in words.
    """

    model_kind: ClassVar[str]  # what a checkpoint of the task is known by,
    state_kind: ClassVar[str]  # and the state of a run
    trained: Trained
    about: str

    @property
    def model(self) -> Any:
        """What the optimizer trains: the model of `trained`, and whatever learns beside it."""
        return self.trained.model

    @property
    @abstractmethod
    def lengths(self) -> Sequence[int]: ...

    @abstractmethod
    def batch(self, numbers: NDArray[Any], device: torch.device) -> Any:
        """The training examples of these numbers."""

    @abstractmethod
    def losses(self, model: Callable[..., Any], batch: Any) -> Tensor:
        """(B,) the losses of a batch, by the objective's `model` as accelerate prepared it."""

    @abstractmethod
    def validate(
        self,
        model: nn.Module,
        accelerator: Accelerator,
        require_finite: Callable[[float], None],
    ) -> Validated:
        """Scores the validation examples, and calibrates the model where the task does so.

        Args:
            require_finite: raises where it is given anything else.
        """

    @abstractmethod
    def payload(self) -> dict[str, Any]:
        """The model as tensors, texts and numbers."""

    def beside(self) -> Mapping[str, tuple[str, dict[str, Any]]]:
        """Other models that learned with it, by their name: kind and payload of each."""
        return {}

    def state(self) -> dict[str, Any]:
        """The same and whatever learns beside it, for `--resume`."""
        return self.payload()
