"""Encoded examples -> probabilities: what validation, inference and the Python interface share."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from accelerate.utils.memory import should_reduce_batch_size
from numpy.typing import NDArray
from torch import nn

from kore.common.arrays import Floats
from kore.common.errors import UserError
from kore.common.flags import BATCH_TOKENS
from kore.common.progress import progress_bar
from kore.data.batching import padded_length, token_batches
from kore.data.dataset import EncodedExample
from kore.data.levitated import texts_with_pairs
from kore.data.schema import Example
from kore.network.onnx_file import OnnxClassifier
from kore.network.trained import TrainedModel

_LOGGER = logging.getLogger(__name__)

# Row numbers (B,) and their probabilities: (B, C), or of a tagger (B, S, K).
Computed = tuple[NDArray[np.int64], Floats]

CHUNK_ROWS = 2048  # rows that are sorted by length together: little padding, little to lose
_AUTOCAST = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Encoder(Protocol):
    """The encoding path that a model's rows come from: `InputEncoder`, `TextEncoder`."""

    max_length: int

    def collate(self, rows: Any, length: int | None = None) -> Any:
        """Rows padded to `length` tokens, as a batch whose `inputs` the model takes."""


class Row(Protocol):
    """What is computed: its tokens, whatever else it has."""

    @property
    def input_ids(self) -> list[int]: ...

    @property
    def length(self) -> int:
        """What it takes in a batch, in tokens."""


class Compute(Protocol):
    """Where a model computes and in which precision: an `Accelerator`, or a `ComputeOn`."""

    @property
    def device(self) -> torch.device: ...

    @property
    def mixed_precision(self) -> str:
        """The precision of autocast: "no" (float32), "bf16" or "fp16"."""


@dataclass(frozen=True)
class ComputeOn:
    """A device and a precision, without accelerate's state that belongs to the process."""

    device: torch.device
    mixed_precision: str = "no"


def predict_examples(
    trained: TrainedModel,
    examples: Sequence[Example],
    compute: Compute,
    batch_tokens: int = BATCH_TOKENS,
) -> Floats:
    """Probabilities (N, C) of examples in their order, in the label order of `trained`."""
    rows = trained.input_encoder.encode(examples)
    model = prepared(trained, compute)
    return Predictor(model, trained.input_encoder, compute, batch_tokens).probs(rows)


def prepared(trained: TrainedModel, compute: Compute) -> nn.Module:
    """The model of `trained` on its device, in evaluation mode, for a `Predictor`."""
    return trained.model.to(compute.device).eval()


def predict_probs(
    model: nn.Module,
    rows: Sequence[Row],
    encoder: Encoder,
    accelerator: Accelerator,
) -> Floats:
    """Softmax probabilities (N, C) in the order of `rows`; see `compute_shared`."""
    return in_order(compute_shared(model, rows, encoder, accelerator))


def compute_shared(
    model: nn.Module,
    rows: Sequence[Row],
    encoder: Encoder,
    accelerator: Accelerator,
) -> list[Computed]:
    """Row numbers and probabilities, batch by batch, the work shared among the processes.

    `model` has been through `accelerator.prepare`; its training mode is restored afterwards.
    """
    # The wrapper of several processes waits for the others at every call; their shares differ.
    model = accelerator.unwrap_model(model)
    was_training = model.training
    model.eval()
    share = slice(accelerator.process_index, None, accelerator.num_processes)
    with progress_bar(
        total=len(rows),
        desc="predicting",
        unit=" rows",
        quiet=not accelerator.is_main_process,
    ) as progress:
        computed = Predictor(model, encoder, accelerator).computed(rows, share, progress.update)
    model.train(was_training)
    return gather_object(computed) if accelerator.num_processes > 1 else computed


class Predictor:
    """A model in evaluation mode that computes examples in batches of similar length.

    When memory runs out, the token budget is halved, once, and prediction continues. Threads may
    share a predictor.

    Args:
        model: on its device and in evaluation mode, see `prepared`.
        encoder: that the rows come from; they are padded to no more than its max_length.
        batch_tokens: most tokens of a batch, padding included.
    """

    def __init__(
        self,
        model: nn.Module,
        encoder: Encoder,
        compute: Compute,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        self.model = model
        self.encoder = encoder
        self.device = compute.device
        self.batch_tokens = batch_tokens
        self._dtype = _AUTOCAST[compute.mixed_precision]
        self._is_halved = False
        self._halving = threading.Lock()

    def probs(self, rows: Sequence[Row]) -> Floats:
        """Softmax probabilities (N, C) in the order of `rows`, computed in float64.

        Neighbouring rows of one text with levitated markers are computed as one: the text is read
        once for all of them. An ONNX file takes one pair a text.

        Raises:
            UserError: memory runs out with half the token budget as well.
        """
        is_levitated = isinstance(rows[0], EncodedExample) and bool(rows[0].borders)
        if is_levitated and not isinstance(self.model, OnnxClassifier):
            return self._probs_by_text(cast(Sequence[EncodedExample], rows))
        return in_order(self.computed(rows))

    def _probs_by_text(self, rows: Sequence[EncodedExample]) -> Floats:
        texts = list(texts_with_pairs(rows))
        by_number: dict[int, Floats] = {}
        for numbers, probs in self.computed(texts):
            of_texts = probs.reshape(len(numbers), -1, probs.shape[-1])
            by_number.update(zip(numbers.tolist(), of_texts, strict=True))
        return np.concatenate(
            [by_number[number][: len(text.examples)] for number, text in enumerate(texts)]
        )

    def computed(
        self,
        rows: Sequence[Row],
        share: slice = slice(None),
        report: Callable[[int], object] = lambda done: None,
    ) -> list[Computed]:
        """The same as row numbers and probabilities, batch by batch.

        Args:
            share: which batches of every 2048 rows to compute.
            report: is given the number of rows of each batch, in all processes together.
        """
        batches: list[tuple[NDArray[np.int64], torch.Tensor]] = []
        for start in range(0, len(rows), CHUNK_ROWS):
            for numbers, logits in self._logits(rows[start : start + CHUNK_ROWS], share):
                batches.append((numbers + start, logits))
                report(len(numbers) * (share.step or 1))
        # Only now is a GPU waited for.
        return [(numbers, logits.double().softmax(-1).cpu().numpy()) for numbers, logits in batches]

    def _logits(
        self, rows: Sequence[Row], share: slice
    ) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
        """Row numbers of a batch and its logits (B, C), batch by batch."""
        lengths = np.asarray([row.length for row in rows])
        budget = self.batch_tokens
        waiting = deque(token_batches(lengths, budget)[share])
        while waiting:
            numbers = waiting.popleft()
            try:
                yield numbers, self._forward([rows[i] for i in numbers])
            except (RuntimeError, MemoryError) as error:
                budget = self._halved(budget, error)
                left = np.concatenate([numbers, *waiting])
                waiting = deque(left[batch] for batch in token_batches(lengths[left], budget))

    @torch.inference_mode()
    def _forward(self, rows: Sequence[Row]) -> torch.Tensor:
        longest = max(len(row.input_ids) for row in rows)
        length = max(longest, min(padded_length(longest), self.encoder.max_length))
        batch = self.encoder.collate(rows, length)
        with self._precision():
            return self.model(*batch.to(self.device).inputs).float()

    def _precision(self) -> AbstractContextManager[object]:
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self._dtype)

    def _halved(self, failed: int, error: Exception) -> int:
        """The budget after one of `failed` tokens was too large for the memory.

        Raises:
            UserError: it was halved before.
        """
        if not isinstance(error, MemoryError) and not should_reduce_batch_size(error):
            raise error
        with self._halving:
            if self.batch_tokens == failed:  # otherwise another thread has halved it meanwhile
                if self._is_halved:
                    raise UserError(
                        f"memory is full even with {failed} tokens at once; pass a smaller "
                        "`batch_tokens`"
                    ) from error
                self._is_halved = True
                self.batch_tokens = max(1, failed // 2)
                _LOGGER.info(f"memory is full: continuing with `batch_tokens` {self.batch_tokens}")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return self.batch_tokens


def in_order(computed: Sequence[Computed]) -> Floats:
    """Probabilities (N, C) by row number."""
    probs = np.concatenate([part for _, part in computed])
    restored = np.empty_like(probs)
    restored[np.concatenate([numbers for numbers, _ in computed])] = probs
    return restored


def warn_of_unseen_types(trained: TrainedModel, types: Iterable[str]) -> None:
    """Logs which entity types the markers of the model leave out."""
    scheme = trained.input_encoder.scheme
    unseen = sorted(set(types) - set(scheme.types))
    if scheme.use_markers and scheme.use_types and unseen:
        _LOGGER.info(
            f"Entity types never seen in training, marked without a type: {', '.join(unseen)}"
        )
