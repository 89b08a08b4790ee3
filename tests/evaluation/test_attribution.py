"""Integrated gradients of functions integrated by hand, and of every kind of encoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.builders import ENCODERS, EXAMPLES, logits_of, make_trained
from torch import Tensor

from kore.common.errors import UserError
from kore.data.dataset import Batch
from kore.data.schema import Span
from kore.evaluation import attribution
from kore.evaluation.attribution import (
    attention_weights,
    baseline_embeddings,
    integrated_gradients,
    log_probs_at,
    word_embeddings,
    words_of,
)
from kore.network.checkpoint import TrainedModel
from kore.network.encoder_pass import EncoderPass


def one_row(trained: TrainedModel, number: int = 2) -> Batch:
    rows = trained.input_encoder.encode([EXAMPLES[number]])
    trained.model.eval()
    return Batch.collate(rows, trained.input_encoder.pad_id)


def hooks_of(trained: TrainedModel) -> int:
    return len(trained.classifier.encoder.get_input_embeddings()._forward_hooks)


@pytest.mark.parametrize(("steps", "points_at_once"), [(1, 1), (5, 2), (64, 64)])
def test_of_a_linear_function(steps, points_at_once):
    """Each number adds its weight times its way from the baseline, whatever the steps."""
    weights = torch.tensor([[2.0, -1.0], [0.5, 0.0]])
    inputs, baseline = torch.tensor([[1.0, 3.0], [4.0, 9.0]]), torch.tensor([[0.0, 1.0]] * 2)

    def function(points: Tensor) -> Tensor:
        return (points * weights).sum(dim=(1, 2)) + 7

    found = integrated_gradients(function, inputs, baseline, steps, points_at_once)
    torch.testing.assert_close(found, torch.tensor([[2.0, -2.0], [2.0, 0.0]]))


def test_of_a_product_and_a_cube():
    """x * y from (0, 0) gives half of it to each; z^3 from 1 gives z^3 - 1."""

    def function(points: Tensor) -> Tensor:
        return points[:, 0] * points[:, 1] + points[:, 2] ** 3

    inputs, baseline = torch.tensor([3.0, 4.0, 2.0]), torch.tensor([0.0, 0.0, 1.0])
    found = integrated_gradients(function, inputs, baseline, steps=2, points_at_once=2)
    torch.testing.assert_close(found, torch.tensor([6.0, 6.0, 7.0]))


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("style", ["punct", "special"])
def test_attributions_sum_to_what_the_words_change(kind, style):
    trained = make_trained(kind, style)
    row = one_row(trained)
    encoder = trained.classifier.encoder
    ids = row.input_ids[0]
    is_special = torch.zeros(len(ids), dtype=torch.bool)
    is_special[[0, -1]] = True
    inputs = word_embeddings(encoder, ids)
    baseline = baseline_embeddings(encoder, inputs, is_special)
    assert torch.equal(inputs[is_special], baseline[is_special])

    def function(points: Tensor) -> Tensor:
        return log_probs_at(trained.classifier, row, 1, points)

    found = integrated_gradients(function, inputs, baseline, steps=256, points_at_once=64)
    with torch.no_grad():
        first, last = function(torch.stack([baseline, inputs]))
    assert abs(last - first) > 1e-3
    assert found.sum().item() == pytest.approx((last - first).item(), abs=1e-3)
    assert hooks_of(trained) == 0


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_row_s_own_embeddings_give_its_own_answer(kind):
    trained = make_trained(kind)
    row = one_row(trained)
    embeddings = word_embeddings(trained.classifier.encoder, row.input_ids[0])
    expected = logits_of(trained, EXAMPLES[2:3]).log_softmax(dim=-1)[:, 2]
    with torch.no_grad():
        found = log_probs_at(trained.classifier, row, 2, torch.stack([embeddings] * 3))
    torch.testing.assert_close(found, expected.expand(3))


def test_embeddings_of_another_shape_are_refused_and_no_hook_stays():
    trained = make_trained()
    with pytest.raises(UserError, match="BertModel does not read its input token by token"):
        log_probs_at(trained.classifier, one_row(trained), 0, torch.zeros(1, 3, 16))
    assert hooks_of(trained) == 0


@pytest.mark.parametrize("kind", ENCODERS)
def test_attention_is_that_of_the_pass_that_predicts(kind):
    """The states beside it are those the head reads; of every query it sums to 1."""
    trained = make_trained(kind)
    row = one_row(trained)
    encoder = trained.classifier.encoder
    implementation = encoder.config._attn_implementation
    outputs = []
    hook = encoder.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    layers = attention_weights(encoder, row)
    hook.remove()
    everywhere = torch.ones_like(row.attention_mask)
    with torch.no_grad():
        states, _ = EncoderPass(encoder)(row.input_ids, row.attention_mask, everywhere, None)
    torch.testing.assert_close(outputs[0].last_hidden_state, states, atol=1e-5, rtol=1e-4)
    length = row.input_ids.shape[1]
    assert layers is not None
    assert layers.shape == (2, length, length)
    torch.testing.assert_close(layers.sum(dim=-1), torch.ones(2, length))
    assert encoder.config._attn_implementation == implementation


def test_attention_of_the_first_layer_from_its_weights():
    trained = make_trained("bert")
    row = one_row(trained, number=3)
    encoder: Any = trained.classifier.encoder
    layers = attention_weights(encoder, row)
    assert layers is not None
    with torch.no_grad():
        states = encoder.embeddings(input_ids=row.input_ids)[0]
        attention = encoder.encoder.layer[0].attention.self
        query, key = attention.query(states), attention.key(states)
        heads = [slice(0, 8), slice(8, 16)]
        weights = [(query[:, h] @ key[:, h].T / 8**0.5).softmax(dim=-1) for h in heads]
    torch.testing.assert_close(layers[0], (weights[0] + weights[1]) / 2)


@pytest.mark.parametrize("given", [None, (), (None, None), (torch.ones(1, 2, 24, 9),)])
def test_no_attention_where_the_encoder_gives_none(monkeypatch, given):
    trained = make_trained()
    row = one_row(trained)
    assert row.input_ids.shape[1] == 24
    encoder = trained.classifier.encoder
    monkeypatch.setattr(encoder, "forward", lambda **inputs: {"attentions": given})
    assert attribution.attention_weights(encoder, row) is None


def test_pieces_belong_to_the_word_that_ends_after_their_start():
    text = " 김도율은  해담 전자."
    spans = [
        *(Span(0, 0), Span(1, 3), Span(3, 5)),  # [CLS] 김도 ##율은
        *(Span(5, 8), Span(8, 10)),  # "▁해" with the space before it, "담 " with the one after it
        *(Span(9, 10), Span(13, 13)),  # "▁" alone, before a word that was cut but for it; [SEP]
    ]
    words = words_of(text, spans)
    assert [word.text for word in words] == ["김도율은", "해담", "전자."]
    assert [word.tokens for word in words] == [[1, 2], [3, 4], [5]]


def test_a_word_without_tokens_was_cut():
    assert words_of("하나 둘", [Span(0, 2)])[1] == ("둘", [])
