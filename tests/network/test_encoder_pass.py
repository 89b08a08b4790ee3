"""The own pass through BERT-like encoders equals theirs, in states and in gradients."""

from __future__ import annotations

import functools

import pytest
import torch
from tests.builders import ENCODERS, EXAMPLES, make_trained
from torch import Tensor
from torch._dynamo.testing import CompileCounter
from transformers import PreTrainedModel

from kore.data.dataset import Batch
from kore.network import encoder_pass
from kore.network.encoder_pass import EncoderPass
from kore.network.positions import at_positions, query_positions
from kore.network.pretrained import set_dropout

BERT_LIKE = ["bert", "roberta", "electra", "mini"]
KNOWN = [*BERT_LIKE, "modernbert"]


def make_batch(kind: str) -> tuple[PreTrainedModel, Batch]:
    trained = make_trained(kind)
    rows = trained.input_encoder.encode(EXAMPLES)
    assert len({len(row.input_ids) for row in rows}) > 2  # so that some are padded
    encoder = trained.classifier.encoder
    set_dropout(encoder, 0.0)
    return encoder, Batch.collate(rows, trained.input_encoder.pad_id)


def plain_states(encoder: PreTrainedModel, batch: Batch) -> Tensor:
    return encoder(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask.long()
    ).last_hidden_state


def gradients_of(encoder: PreTrainedModel, first_states: Tensor) -> list[Tensor]:
    """Of a weighted sum; the plain sum of a layer norm's output depends on nothing."""
    encoder.zero_grad()
    weights = torch.linspace(-1, 2, first_states.numel()).view(first_states.shape)
    (first_states * weights).sum().backward()
    return [w.grad.clone() for w in encoder.parameters() if w.grad is not None]


def assert_same_gradients(one: list[Tensor], other: list[Tensor]) -> None:
    assert len(one) == len(other) > 10
    largest = max(float(gradient.abs().max()) for gradient in one)
    assert largest > 0.1
    for first, second in zip(one, other, strict=True):
        assert (first - second).abs().max() < 1e-4 * largest


def some_queries(batch: Batch) -> Tensor:
    """The first token of every row, and a third and fourth of some."""
    queries = torch.zeros_like(batch.attention_mask)
    queries[:, 0] = True
    queries[0, 2:4] = True
    queries[2, 3] = True
    return queries


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("training", [False, True])
def test_states_where_they_are_read(kind, training):
    encoder, batch = make_batch(kind)
    encoder.train(training)
    expected = plain_states(encoder, batch)
    with torch.set_grad_enabled(training):
        states, positions = EncoderPass(encoder)(
            batch.input_ids, batch.attention_mask, some_queries(batch), batch.num_tokens
        )
    assert batch.input_ids.shape[1] > 8
    assert states.shape[:2] == (4, 8)  # the most that a row reads, 3, rounded up
    assert positions is not None
    assert positions[0].tolist()[:3] == [0, 2, 3]
    assert positions[2].tolist()[:2] == [0, 3]
    is_token = batch.attention_mask.gather(1, positions)
    difference = (states - at_positions(expected, positions)).abs()
    assert difference[is_token].max() < 1e-5
    assert expected.abs().max() > 0.1


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients(kind, checkpointing):
    encoder, batch = make_batch(kind)
    encoder.train()
    expected = gradients_of(encoder, plain_states(encoder, batch)[:, 0])
    own = EncoderPass(encoder, checkpointing=checkpointing)
    read = torch.zeros_like(batch.attention_mask)
    read[:, 0] = True
    states, _ = own(batch.input_ids, batch.attention_mask, read, None)
    assert_same_gradients(expected, gradients_of(encoder, states[:, 0]))


def test_checkpointing_keeps_less_and_draws_the_same_dropout():
    encoder, batch = make_batch("bert")
    set_dropout(encoder, 0.3)
    encoder.train()
    results = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        encoder.zero_grad()
        kept: list[int] = []

        def note(tensor: Tensor, kept: list[int] = kept) -> Tensor:
            kept.append(tensor.numel())
            return tensor

        own = EncoderPass(encoder, checkpointing=checkpointing)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            states, _ = own(batch.input_ids, batch.attention_mask, some_queries(batch), None)
        results.append((states, gradients_of(encoder, states[:, 0]), sum(kept)))
    (states, gradients, kept_all), (other_states, other_gradients, kept_few) = results
    assert torch.equal(states, other_states)
    assert_same_gradients(gradients, other_gradients)
    assert kept_few < kept_all / 2


@pytest.mark.parametrize("kind", BERT_LIKE)
@pytest.mark.parametrize("training", [False, True])
def test_packed_rows_equal_padded_ones(kind, training):
    """The layout a GPU takes, here with the processor's kernels."""
    encoder, batch = make_batch(kind)
    encoder.train(training)
    packed = EncoderPass(encoder)._packed(
        batch.input_ids, batch.attention_mask, batch.num_tokens, None
    )
    expected = plain_states(encoder, batch)
    difference = (packed - expected).abs()
    assert difference[batch.attention_mask].max() < 1e-5
    assert packed[~batch.attention_mask].abs().max() == 0
    if training:
        gradients = gradients_of(encoder, packed[:, 0])
        assert_same_gradients(gradients_of(encoder, expected[:, 0]), gradients)


def test_query_positions_by_hand():
    read = torch.tensor([[1, 0, 1, 1], [1, 0, 0, 0], [1, 0, 0, 1]]).bool()
    assert query_positions(read).tolist() == [[0, 2, 3, 1], [0, 1, 2, 3], [0, 3, 1, 2]]
    wide = torch.zeros(2, 20).bool()
    wide[0, 2:12:5] = True  # 2 and 7
    assert query_positions(wide).tolist() == [[2, 7, 0, 1, 3, 4, 5, 6], list(range(8))]
    wide[0, 10:] = True  # 12 of them
    assert query_positions(wide)[0].tolist() == [2, 7, *range(10, 20), 0, 1, 3, 4]


def test_another_encoder_runs_as_it_is():
    encoder, batch = make_batch("deberta")
    encoder.eval()
    states, positions = EncoderPass(encoder)(
        batch.input_ids, batch.attention_mask, some_queries(batch), None
    )
    assert positions is None
    assert torch.equal(states, plain_states(encoder, batch))


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_the_last_layers_joined(kind):
    encoder, batch = make_batch(kind)
    encoder.eval()
    own = EncoderPass(encoder, last_layers=2)
    expected = own._own_pass(batch.input_ids, batch.attention_mask, None)
    queries = some_queries(batch)
    states, positions = own(batch.input_ids, batch.attention_mask, queries, None)
    assert positions is not None
    assert states.shape == (4, 8, 32)
    is_token = batch.attention_mask.gather(1, positions)
    difference = (states - at_positions(expected, positions)).abs()
    assert difference[is_token].max() < 1e-5


def test_a_modern_bert_with_local_attention_runs_as_it_is():
    known, batch = make_batch("modernbert")
    known.config.layer_types = ["full_attention", "sliding_attention"]
    encoder = type(known)(known.config).eval()
    _, positions = EncoderPass(encoder)(
        batch.input_ids, batch.attention_mask, some_queries(batch), None
    )
    assert positions is None


def test_queries_that_attend_to_some_tokens_only():
    """A mask of a row's own (T, T): two halves that see nothing of each other."""
    encoder, batch = make_batch("modernbert")
    encoder.eval()
    ids = batch.input_ids[:, :12]
    number = torch.arange(12) >= 5
    sees = (number[:, None] == number).expand(4, 12, 12)
    read = torch.ones(4, 12).bool()
    read[:, 0] = False
    own = EncoderPass(encoder)
    states, positions = own(ids, sees, read, None)
    first, second = (encoder(input_ids=part).last_hidden_state for part in ids.split([5, 7], 1))
    assert positions is not None
    difference = states - at_positions(torch.cat([first, second], dim=1), positions)
    assert difference.abs().max() < 1e-5


def test_every_kind_is_covered():
    assert set(KNOWN) | {"deberta"} == set(ENCODERS)


def test_compiling_serves_all_lengths_at_once(monkeypatch):
    """torch.compile is traced for kinds of input (with and without padding), not for lengths."""
    counter = CompileCounter()
    compiled = functools.partial(torch.compile, backend=counter)
    monkeypatch.setattr(encoder_pass.torch, "compile", compiled)
    encoder, batch = make_batch("bert")
    encoder.eval()
    own, plain = EncoderPass(encoder, compiled=True), EncoderPass(encoder)
    for length in range(6, 20):
        mask = batch.attention_mask[:, :length].clone()
        mask[0, -1] = False
        read = some_queries(batch)[:, :length]
        with torch.inference_mode():
            states, _ = own(batch.input_ids[:, :length], mask, read, None)
            expected, _ = plain(batch.input_ids[:, :length], mask, read, None)
        assert torch.allclose(states, expected, atol=1e-5)
    assert 1 <= counter.frame_count <= 3
