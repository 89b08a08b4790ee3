"""Probabilities in the order of the rows, whatever they were computed together with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from tests.builders import EXAMPLES, logits_of, make_trained
from torch import Tensor, nn

from config import DeviceOptions
from dataset import EncodedRow
from devices import make_accelerator
from prediction import predict_probs
from schema import Span


@pytest.fixture(scope="module")
def accelerator() -> Accelerator:
    return make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))


class ReadsFirstToken(nn.Module):
    """Logits 0 and ln(first token), so that P(class 1) = token / (1 + token)."""

    def forward(self, input_ids: Tensor, *others: Tensor) -> Tensor:
        assert not self.training
        tokens = input_ids[:, 0].float()
        return torch.stack([torch.zeros_like(tokens), tokens.log()], dim=1)


def make_row(first: int, length: int) -> EncodedRow:
    return EncodedRow([first] + [5] * (length - 1), Span(0, 1), Span(0, 1), False)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_order_is_restored(accelerator, batch_size):
    rows = [make_row(1, 4), make_row(3, 9), make_row(4, 2), make_row(9, 7), make_row(1, 7)]
    probs = predict_probs(ReadsFirstToken(), rows, 0, batch_size, accelerator)
    assert probs[:, 1] == pytest.approx([0.5, 0.75, 0.8, 0.9, 0.5])
    assert probs.dtype == np.float64


def test_training_mode_is_restored(accelerator):
    model = ReadsFirstToken()
    for mode in (True, False):
        model.train(mode)
        predict_probs(model, [make_row(1, 4)], 0, 1, accelerator)
        assert model.training is mode


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_batch_size_and_padding_do_not_change_probabilities(accelerator, kind):
    trained = make_trained(kind)
    rows = trained.input_encoder.encode(EXAMPLES)
    assert len({len(row.input_ids) for row in rows}) > 2  # so that some are padded
    pad_id = trained.input_encoder.pad_id
    alone, pairs, together = (
        predict_probs(trained.model, rows, pad_id, size, accelerator) for size in (1, 2, 64)
    )
    assert np.abs(alone - together).max() < 1e-5
    assert np.abs(pairs - together).max() < 1e-5
    assert np.abs(together.sum(axis=1) - 1).max() < 1e-12
    expected = logits_of(trained).double().softmax(dim=-1).numpy()
    assert np.abs(together - expected).max() < 1e-5
