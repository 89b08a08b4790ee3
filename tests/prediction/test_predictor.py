"""Probabilities in the order of the rows, whatever they were computed together with."""

from __future__ import annotations

import ctypes
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from tests.builders import EXAMPLES, logits_of, make_trained
from tests.data.test_batching import klue_like_lengths
from torch import Tensor, nn

from kore.common.arrays import Floats
from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import BATCH_TOKENS, DeviceOptions
from kore.data.batching import padded_length, token_batches
from kore.data.dataset import Batch, EncodedExample, InputEncoder
from kore.data.schema import Span
from kore.network.trained import TrainedModel
from kore.prediction import predictor as prediction
from kore.prediction.predictor import (
    CHUNK_ROWS,
    ComputeOn,
    Predictor,
    in_order,
    predict_examples,
    predict_probs,
    prepared,
)


def make_encoder(max_length: int = 160) -> InputEncoder:
    """Of made-up rows."""

    def collate(rows: list[EncodedExample], length: int) -> Batch:
        return Batch.collate(rows, 0, length=length)

    return cast(InputEncoder, SimpleNamespace(max_length=max_length, collate=collate))


ENCODER = make_encoder()


@pytest.fixture(scope="module")
def accelerator() -> Accelerator:
    return make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))


class ReadsFirstToken(nn.Module):
    """Logits 0 and ln(first token), so that P(class 1) = token / (1 + token)."""

    def forward(self, input_ids: Tensor, *others: Tensor) -> Tensor:
        assert not self.training
        tokens = input_ids[:, 0].float()
        return torch.stack([torch.zeros_like(tokens), tokens.log()], dim=1)


def make_row(first: int, length: int) -> EncodedExample:
    return EncodedExample([first] + [5] * (length - 1), Span(0, 1), Span(0, 1), False)


def probs_of(
    model: nn.Module, rows: list[EncodedExample], accelerator, tokens: int = 100
) -> Floats:
    model.eval()
    return Predictor(model, ENCODER, accelerator, tokens).probs(rows)


@pytest.mark.parametrize("batch_tokens", [1, 9, 20, 1000])
@pytest.mark.parametrize("chunk_rows", [1, 2, 1000])
def test_order_is_restored(accelerator, batch_tokens, chunk_rows, monkeypatch):
    monkeypatch.setattr(prediction, "CHUNK_ROWS", chunk_rows)
    rows = [make_row(1, 4), make_row(3, 9), make_row(4, 2), make_row(9, 7), make_row(1, 7)]
    probs = probs_of(ReadsFirstToken(), rows, accelerator, batch_tokens)
    assert probs[:, 1] == pytest.approx([0.5, 0.75, 0.8, 0.9, 0.5])
    assert probs.dtype == np.float64


def test_training_mode_is_restored(accelerator):
    model = ReadsFirstToken()
    for mode in (True, False):
        model.train(mode)
        predict_probs(model, [make_row(1, 4)], ENCODER, accelerator)
        assert model.training is mode


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_batches_and_padding_do_not_change_probabilities(accelerator, kind):
    trained = make_trained(kind)
    rows = trained.input_encoder.encode(EXAMPLES)
    assert len({len(row.input_ids) for row in rows}) > 2  # so that some are padded
    alone, pairs, together = (
        probs_of(trained.model, rows, accelerator, tokens) for tokens in (1, 64, 1000)
    )
    assert np.abs(alone - together).max() < 1e-5
    assert np.abs(pairs - together).max() < 1e-5
    assert np.abs(together.sum(axis=1) - 1).max() < 1e-12
    expected = logits_of(trained).double().softmax(dim=-1).numpy()
    assert np.abs(together - expected).max() < 1e-5


class FullMemory(ReadsFirstToken):
    """Takes so many tokens and no more."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        self.most = most
        self.error = error
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, input_ids: Tensor, *others: Tensor) -> Tensor:
        self.shapes.append(tuple(input_ids.shape))
        if input_ids.numel() > self.most:
            raise self.error
        return super().forward(input_ids)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_the_budget_is_halved_once(accelerator, error, caplog):
    caplog.set_level(logging.INFO, logger="kore")
    model = FullMemory(16, error)
    rows = [make_row(first, 8) for first in (1, 3, 4, 9)]
    probs = probs_of(model, rows, accelerator, tokens=32)
    assert model.shapes == [(4, 8), (2, 8), (2, 8)]  # no row twice, none left out
    assert probs[:, 1] == pytest.approx([0.5, 0.75, 0.8, 0.9])
    assert caplog.messages == ["memory is full: continuing with `batch_tokens` 16"]


def test_memory_full_once_more(accelerator):
    with pytest.raises(UserError, match=r"memory is full even with 16 tokens .* `batch_tokens`"):
        probs_of(FullMemory(9, OUT_OF_MEMORY[0]), [make_row(1, 8)] * 4, accelerator, tokens=32)


def test_threads_that_fill_the_memory_together_halve_the_budget_once(accelerator):
    """All eight fail at once with the whole budget: it is halved for all, and nobody gives up."""
    start = threading.Barrier(8)

    class FullForAll(FullMemory):
        def forward(self, input_ids: Tensor, *others: Tensor) -> Tensor:
            if input_ids.numel() > self.most:
                start.wait(timeout=60)
            return super().forward(input_ids, *others)

    predictor = Predictor(FullForAll(16, OUT_OF_MEMORY[1]).eval(), ENCODER, accelerator, 32)
    rows = [make_row(first, 8) for first in (1, 3, 4, 9)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: predictor.probs(rows), range(8)))
    for probs in found:
        assert probs[:, 1] == pytest.approx([0.5, 0.75, 0.8, 0.9])
    assert predictor.batch_tokens == 16


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_preparing_a_model_again_changes_nothing(precision):
    """accelerate wrapped its forward pass anew each time, until a recursion was too deep."""
    compute = make_accelerator(DeviceOptions(use_cuda="False", precision=precision))
    trained = make_trained()
    before = predict_examples(trained, EXAMPLES, compute)
    for _ in range(3):
        assert prepared(trained, compute) is trained.model
    assert "forward" not in vars(trained.model)
    assert predict_examples(trained, EXAMPLES, compute).tolist() == before.tolist()


def test_preparing_a_large_model_leaves_the_allocator_alone(accelerator, monkeypatch):
    """Memory that glibc keeps is kept from a host program for good: that is for commands."""
    monkeypatch.setattr(ctypes, "CDLL", lambda *_: pytest.fail("mallopt is looked for"))
    large = nn.Module()
    large.weight = nn.Parameter(torch.empty(21_000_000))
    assert prepared(cast(TrainedModel, SimpleNamespace(model=large)), accelerator) is large


def test_bf16_computes_in_bf16():
    seen = []

    class NotesPrecision(ReadsFirstToken):
        def forward(self, input_ids: Tensor, *others: Tensor) -> Tensor:
            tokens = input_ids[:, :1].float()
            seen.append((tokens @ tokens.T).dtype)
            return super().forward(input_ids)

    for precision in ("no", "bf16"):
        compute = ComputeOn(torch.device("cpu"), precision)
        Predictor(NotesPrecision().eval(), ENCODER, compute).probs([make_row(3, 8)])
    assert seen == [torch.float32, torch.bfloat16]


def test_other_errors_are_not_swallowed(accelerator):
    model = FullMemory(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        probs_of(model, [make_row(1, 5)], accelerator)


def test_shares_of_several_processes_make_up_the_whole(accelerator):
    rows = [make_row(1 + number % 9, 2 + number % 5) for number in range(23)]
    model = ReadsFirstToken().eval()
    whole = probs_of(model, rows, accelerator, tokens=12)
    reported: list[int] = []
    parts = [
        Predictor(model, ENCODER, accelerator, 12).computed(
            rows, slice(rank, None, 3), reported.append
        )
        for rank in range(3)
    ]
    assert all(parts)
    assert np.array_equal(in_order([batch for part in parts for batch in part]), whole)
    assert sum(reported) == 3 * len(rows)


def test_padding_on_real_lengths():
    """Less than 5 % of what is computed is padding, chunk by chunk, at the default budget."""
    lengths = np.array(klue_like_lengths(8 * CHUNK_ROWS))
    padded = tokens = 0
    for chunk in np.split(lengths, 8):
        for numbers in token_batches(chunk, BATCH_TOKENS):
            padded += len(numbers) * padded_length(chunk[numbers].max())
            tokens += chunk[numbers].sum()
    assert padded >= tokens
    assert 1 - tokens / padded < 0.05


class NotesShapes(ReadsFirstToken):
    def __init__(self) -> None:
        super().__init__()
        self.shapes: set[tuple[int, ...]] = set()

    def forward(self, input_ids: Tensor, *others: Tensor) -> Tensor:
        self.shapes.add(tuple(input_ids.shape))
        return super().forward(input_ids)


def test_few_shapes_however_many_rows(accelerator):
    """Each costs memory for good; with every length padded for itself there were 200 and more."""
    model = NotesShapes().eval()
    predictor = Predictor(model, ENCODER, accelerator)
    rows = [make_row(1, length) for length in klue_like_lengths(10 * CHUNK_ROWS)]
    predictor.probs(rows)
    assert len(model.shapes) < 60
    assert {length % 4 for _, length in model.shapes} == {0}


def test_rows_are_not_padded_beyond_what_the_encoder_has_positions_for(accelerator):
    model = NotesShapes().eval()
    encoder = make_encoder(98)
    Predictor(model, encoder, accelerator).probs([make_row(1, 97), make_row(1, 98)])
    assert model.shapes == {(2, 98)}
