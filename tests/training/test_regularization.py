"""R-Drop, adversarial steps and masked words, each against what its definition says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.builders import EXAMPLES, make_scheme, make_trained
from torch import Tensor, nn

from kore.data.dataset import Batch, InputEncoder
from kore.data.markers import MarkerScheme
from kore.training.loss import make_loss
from kore.training.options import TrainOptions
from kore.training.regularization import adversarial, example_losses, masked

CROSS_ENTROPY = make_loss(TrainOptions())


class Returns(nn.Module):
    """Logits that were given to it, whatever it is asked."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits
        self.asked: list[Tensor] = []

    def forward(self, input_ids: Tensor, *others: Any) -> Tensor:
        self.asked.append(input_ids)
        return self.logits


def make_batch(labels: list[int] | None = None) -> Batch:
    encoder = make_trained().input_encoder
    rows = encoder.encode(EXAMPLES[:2])
    return Batch.collate(rows, encoder.pad_id, labels or [0, 1])


def test_r_drop_by_hand():
    first = torch.tensor([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25]])
    second = torch.tensor([[0.5, 0.3, 0.2], [0.25, 0.5, 0.25]])
    model = Returns(torch.cat([first, second]).log())
    batch = make_batch()
    losses = example_losses(model, batch, CROSS_ENTROPY, 4.0)
    ids = model.asked[0]
    assert torch.equal(ids, torch.cat([batch.input_ids, batch.input_ids]))
    mean = -(first[:, [0, 1]].diagonal().log() + second[:, [0, 1]].diagonal().log()) / 2
    divergence = ((first - second) * (first.log() - second.log())).sum(dim=1)
    assert divergence[0] > 0.05
    torch.testing.assert_close(losses, mean + 4.0 * divergence / 2)
    torch.testing.assert_close(losses[1].item(), -torch.tensor(0.5).log().item())  # no divergence


def test_without_r_drop_examples_pass_once():
    model = Returns(torch.zeros(2, 3))
    losses = example_losses(model, make_batch(), CROSS_ENTROPY, 0.0)
    assert len(model.asked[0]) == 2
    assert losses.tolist() == pytest.approx([1.0986123, 1.0986123])


def test_a_batch_taken_twice_is_whole():
    both = make_batch().twice()
    assert both.num_tokens == int(both.attention_mask.sum())
    assert both.labels is not None
    assert both.labels.tolist() == [0, 1, 0, 1]
    assert both.entity_types is not None
    assert len(both.entity_types) == len(both.subject_span) == 4


def test_an_adversarial_step_raises_the_loss_and_leaves_no_trace():
    weight = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    before = weight.detach().clone()
    (weight[0] ** 2).sum().backward()  # gradient 2, 4
    with adversarial(weight, 0.5):
        step = weight.detach() - before
        assert step.norm().item() == pytest.approx(0.5)
        assert step[0, 1].item() == pytest.approx(2 * step[0, 0].item())
        assert (step[1] == 0).all()
    assert torch.equal(weight.detach(), before)


def test_the_weight_comes_back_after_an_error():
    weight = nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.ones(2, 2)
    with pytest.raises(RuntimeError), adversarial(weight, 1.0):
        raise RuntimeError
    assert torch.equal(weight.detach(), torch.ones(2, 2))


SCHEMES = {
    "markers": make_scheme(),
    "cue": replace(make_scheme(), cue=True),
    "no markers": MarkerScheme(False, False, "punct", ()),
}


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_only_the_text_outside_the_entities_is_masked(scheme):
    tokenizer = make_trained().input_encoder.tokenizer
    encoder = InputEncoder(tokenizer, scheme, 64)
    rows = encoder.encode(EXAMPLES)
    batch = Batch.collate(rows, encoder.pad_id)
    result = masked(batch, 0.999, tokenizer)
    leads = [row.input_ids[:-1] for row in rows]
    ends = [len(ids) - ids[::-1].index(tokenizer.sep_token_id) if tokenizer.sep_token_id in ids
            else 0 for ids in leads]  # fmt: skip
    assert (max(ends) > 0) == (scheme is not SCHEMES["markers"])
    for number, row in enumerate(rows):
        for position in range(batch.input_ids.shape[1]):
            before, after = batch.input_ids[number, position], result.input_ids[number, position]
            inside = any(
                start <= position < end for start, end in (row.subject_span, row.object_span)
            )
            if inside or position < ends[number] or int(before) in tokenizer.all_special_ids:
                assert before == after
            else:
                assert int(after) == tokenizer.mask_token_id
    assert (result.input_ids == tokenizer.mask_token_id).sum() > 10
    untouched = masked(batch, 0.0, tokenizer)
    assert torch.equal(untouched.input_ids, batch.input_ids)
