"""Levitated markers: what attends to what, and one reading of a text for all its pairs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.builders import LABELS, logits_of, make_example, make_trained
from torch import Tensor

from kore.common.devices import make_accelerator
from kore.common.flags import DeviceOptions
from kore.data.dataset import Batch
from kore.data.levitated import PAIR_MARKERS, TextWithPairs, texts_with_pairs
from kore.data.schema import Example
from kore.network.checkpoint import (
    MODEL_KIND,
    load_model,
    model_payload,
    save_model,
    save_payload,
)
from kore.network.encoder_pass import ALL_LAYERS
from kore.network.model import means_between
from kore.network.onnx_export import onnx_bytes
from kore.network.positions import distinct_entities
from kore.network.trained import TrainedModel
from kore.prediction.predictor import predict_examples

KNOWN = ["bert", "roberta", "electra", "mini", "modernbert"]
LONG = "이서준은 부산에서 해담전자를 보았다."  # the vocabulary knows its letters
PAIRS = [
    make_example("1", LONG, "이서준", "해담전자"),
    make_example("2", LONG, "해담전자", "이서준", types=("ORG", "PER")),
    make_example("3", LONG, "부산", "이서준", types=("LOC", "PER")),  # LOC is not known
    make_example("4", "박하늘과 별빛.", "박하늘", "별빛"),
]


def make_levitated(
    kind: str, pooling: str = "mean", max_length: int = 64, pair_layers: int = ALL_LAYERS
) -> TrainedModel:
    """Whose marker tokens have embeddings as far from 0 as those of its words."""
    trained = make_trained(kind, "levitated", pooling, max_length, pair_layers)
    words: Any = trained.classifier.encoder.get_input_embeddings()
    with torch.no_grad():
        for number in trained.input_encoder.tokenizer.get_added_vocab().values():
            words.weight[number].normal_(std=0.5)
    return trained


def together(trained: TrainedModel, examples: list[Example]) -> Tensor:
    """The logits (B, C) of examples whose texts are read once each."""
    texts = list(texts_with_pairs(trained.input_encoder.encode(examples)))
    most = max(len(text.examples) for text in texts)
    batch = Batch.of_texts(texts, trained.input_encoder.pad_id)
    trained.model.eval()
    with torch.inference_mode():
        logits = trained.model(*batch.inputs).view(len(texts), most, -1)
    return torch.cat([row[: len(text.examples)] for row, text in zip(logits, texts, strict=True)])


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("pair_layers", [0, 1, ALL_LAYERS])
def test_a_text_is_read_once_for_all_pairs(kind, pair_layers):
    trained = make_levitated(kind, pair_layers=pair_layers)
    one_by_one = torch.cat([logits_of(trained, [example]) for example in PAIRS])
    assert one_by_one.std(dim=0).max() > 0.05  # the pairs differ
    torch.testing.assert_close(together(trained, PAIRS), one_by_one, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(logits_of(trained, PAIRS), one_by_one, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KNOWN)
def test_states_are_those_of_the_encoders_own_pass(kind):
    """Given the same mask and positions, transformers' own modules compute the same states."""
    trained = make_levitated(kind)
    encoder = trained.classifier.encoder.eval()
    rows = trained.input_encoder.encode(PAIRS)
    (text,) = texts_with_pairs(rows[:3])
    batch = Batch.of_texts([text], 0)
    length = len(text.text_ids)
    pair_of = torch.cat([torch.full((length,), -1), torch.arange(3).repeat_interleave(4)])
    allowed = (pair_of == -1) | (pair_of[:, None] == pair_of)
    assert batch.borders is not None
    positions = torch.cat([torch.arange(length)[None], batch.borders], dim=1)
    first = 1 if kind == "roberta" else 0  # its positions are counted from its padding on
    with torch.inference_mode():
        expected = encoder(
            input_ids=batch.input_ids,
            attention_mask=allowed[None, None],
            position_ids=positions + first,
        ).last_hidden_state
        states = trained.classifier._encoder_pass.with_markers(
            batch.input_ids, batch.attention_mask, batch.borders
        )
    torch.testing.assert_close(torch.cat(states, dim=1), expected, atol=2e-5, rtol=1e-4)


def test_a_checkpoint_of_before_the_pair_layers_has_them_all(tmp_path):
    trained = make_levitated("modernbert")
    payload = model_payload(trained)
    del payload["design"]["pair_layers"]
    save_payload(tmp_path / "old.pth", MODEL_KIND, payload)
    torch.testing.assert_close(
        logits_of(load_model(tmp_path / "old.pth"), PAIRS), logits_of(trained, PAIRS)
    )
    payload["design"]["pair_layers"] = 0
    save_payload(tmp_path / "new.pth", MODEL_KIND, payload)
    new = logits_of(load_model(tmp_path / "new.pth"), PAIRS)
    assert (new - logits_of(trained, PAIRS)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("pair_layers", [0, 1, ALL_LAYERS])
def test_prediction_computes_the_states_of_training(kind, pair_layers):
    """Training computes text and markers together, and every pair's markers in every layer."""
    trained = make_levitated(kind, pair_layers=pair_layers)
    model = trained.classifier
    module: Any
    for module in model.modules():
        if hasattr(module, "p"):  # of dropout
            module.p = 0.0
    texts = list(texts_with_pairs(trained.input_encoder.encode(PAIRS)))
    batch = Batch.of_texts(texts, 0)
    assert batch.borders is not None
    inputs = (batch.input_ids, batch.attention_mask, batch.borders)
    with torch.inference_mode():
        learned = torch.cat(model.train()._encoder_pass.with_markers(*inputs), dim=1)
        predicted = torch.cat(model.eval()._encoder_pass.with_markers(*inputs), dim=1)
    is_read = batch.attention_mask  # the markers of missing pairs are of no use to anybody
    torch.testing.assert_close(predicted[is_read], learned[is_read], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("pair_layers", [0, 1])
def test_below_the_pair_layers_an_entity_does_not_know_what_it_is_paired_with(pair_layers):
    trained = make_levitated("modernbert", pair_layers=pair_layers)
    model = trained.classifier.eval()
    asked = [
        make_example("1", LONG, "이서준", "해담전자"),
        make_example("2", LONG, "이서준", "부산", types=("PER", "LOC")),
    ]
    (text,) = texts_with_pairs(trained.input_encoder.encode(asked))
    batch = Batch.of_texts([text], 0)
    assert batch.borders is not None
    with torch.inference_mode():
        _, states = model._encoder_pass.with_markers(
            batch.input_ids, batch.attention_mask, batch.borders
        )
    one, other = states[0, -2 * PAIR_MARKERS :].split(PAIR_MARKERS)
    subjects_are_equal = torch.allclose(one[:2], other[:2], atol=1e-6)
    assert subjects_are_equal is (pair_layers == 0)
    assert not torch.allclose(one[2:], other[2:], atol=1e-2)


def test_distinct_entities_are_counted_once():
    marker_ids = torch.tensor([[7, 8, 9, 10, 7, 8, 9, 10], [9, 10, 7, 8, 7, 8, 9, 10]])
    borders = torch.tensor([[0, 2, 4, 4, 0, 2, 4, 5], [1, 1, 1, 1, 1, 1, 1, 1]])
    first, back = distinct_entities(marker_ids, borders)
    assert first.shape == (2, 2 * 4)  # three and two, in steps of four
    for whole in (marker_ids, borders):
        assert torch.equal(whole.gather(1, first).gather(1, back), whole)
    assert back[0].tolist()[:2] == back[0].tolist()[4:6]
    assert len({tuple(pair) for pair in back[0].view(-1, 2).tolist()}) == 3
    assert len({tuple(pair) for pair in back[1].view(-1, 2).tolist()}) == 2


def test_the_tokens_of_an_entity_are_averaged_whatever_its_length():
    states = torch.randn(2, 7, 3)
    borders = torch.tensor([[[0, 0], [2, 4], [6, 6]], [[1, 6], [3, 3], [0, 5]]])
    means = means_between(states, borders)
    assert means.shape == (2, 3, 3)
    torch.testing.assert_close(means[0, 1], states[0, 2:5].mean(dim=0))
    torch.testing.assert_close(means[0, 2], states[0, 6])
    torch.testing.assert_close(means[1, 0], states[1, 1:].mean(dim=0))


def test_markers_are_joined_by_the_tokens_of_their_own_entity():
    trained = make_levitated("bert")
    model = trained.classifier
    (row,) = trained.input_encoder.encode(PAIRS[1:2])
    batch = Batch.collate([row], 0)
    assert batch.borders is not None
    model.eval()
    with torch.inference_mode():
        text, markers = model._encoder_pass.with_markers(
            batch.input_ids, batch.attention_mask, batch.borders
        )
        *_, subject, object_ = model._pooled_markers(text, markers, batch.borders)
        states = model.encoder(batch.input_ids[:, :-PAIR_MARKERS]).last_hidden_state[0]
    for pooled, (start, end) in ((subject, row.borders[:2]), (object_, row.borders[2:])):
        torch.testing.assert_close(pooled[0], states[start : end + 1].mean(dim=0))


def test_the_text_does_not_know_what_is_asked():
    trained = make_levitated("bert")
    rows = trained.input_encoder.encode(PAIRS[:2])
    texts = [row.input_ids[:-PAIR_MARKERS] for row in rows]
    assert texts[0] == texts[1] == trained.input_encoder.tokenizer(LONG)["input_ids"]


def test_markers_name_role_and_type_and_stand_at_the_borders():
    trained = make_levitated("bert")
    encoder = trained.input_encoder
    (row,) = encoder.encode([PAIRS[2]])
    tokens = encoder.tokenizer.convert_ids_to_tokens(row.input_ids)
    assert tokens[-4:] == ["[E1]", "[/E1]", "[E2-PER]", "[/E2-PER]"]
    start, end, *others = row.borders
    words = "".join(token.removeprefix("##") for token in tokens[start : end + 1])
    assert words.startswith("부산")
    assert others[0] == 1
    assert row.subject_span == (len(tokens) - 4, len(tokens) - 2)
    assert row.object_span == (len(tokens) - 2, len(tokens))


def test_long_texts_keep_both_entities_and_their_markers():
    trained = make_levitated("bert", max_length=16)
    far = make_example("x", f"박하늘과 {'아주 ' * 40}해담전자의 사원", "박하늘", "해담전자")
    (row,) = trained.input_encoder.encode([far])
    assert row.was_cut
    assert len(row.input_ids) == 16
    (whole,) = make_levitated("bert", max_length=96).input_encoder.encode([far])
    assert not whole.was_cut
    assert row.input_ids[-4:] == whole.input_ids[-4:]
    kept, at_borders = ([one.input_ids[place] for place in one.borders] for one in (row, whole))
    assert kept == at_borders


def test_texts_with_many_pairs_are_read_in_parts(monkeypatch):
    monkeypatch.setattr("kore.data.levitated._MOST_PAIRS", 2)
    rows = make_levitated("bert").input_encoder.encode(PAIRS)
    parts = list(texts_with_pairs(rows))
    assert [len(part.examples) for part in parts] == [2, 1, 1]
    assert [row for part in parts for row in part.examples] == rows
    assert TextWithPairs(rows[:2]).length == len(TextWithPairs(rows[:2]).input_ids)


def test_a_checkpoint_and_an_onnx_file_carry_it(tmp_path):
    trained = make_levitated("modernbert", "attention", pair_layers=1)
    expected = logits_of(trained, PAIRS).softmax(dim=-1)
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    save_model(tmp_path / "run.pth", trained)
    (tmp_path / "run.onnx").write_bytes(onnx_bytes(trained))
    for name in ("run.pth", "run.onnx"):
        loaded = load_model(tmp_path / name)
        assert loaded.input_encoder.is_levitated
        assert loaded.labels == LABELS
        got = logits_of(loaded, PAIRS).softmax(dim=-1)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
        (alone,) = logits_of(loaded, PAIRS[3:]).softmax(dim=-1)
        torch.testing.assert_close(alone, expected[3], atol=1e-5, rtol=1e-4)
        grouped = predict_examples(loaded, PAIRS, accelerator)  # three of them have one text
        torch.testing.assert_close(
            torch.from_numpy(grouped).float(), expected, atol=1e-5, rtol=1e-4
        )
