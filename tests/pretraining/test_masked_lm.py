"""The logits of masked tokens equal those of the whole model, for every kind of encoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.builders import ENCODERS
from transformers import AutoModelForMaskedLM, DistilBertConfig

from kore.pretraining.masked_lm import MaskedLanguageModel, attends_to_texts

KINDS = ["bert", "roberta", "electra", "deberta", "old_deberta", "distilbert", "modernbert"]


def make_whole(kind: str) -> Any:
    if kind == "distilbert":  # whose head is not one that is known
        small = DistilBertConfig(vocab_size=200, dim=16, n_layers=2, n_heads=2, hidden_dim=32)
        return AutoModelForMaskedLM.from_config(small)
    config = ENCODERS[kind.removeprefix("old_")](200).config
    if "deberta" in kind:
        config.legacy = kind.startswith("old")
    torch.manual_seed(0)
    whole = AutoModelForMaskedLM.from_config(config)
    if kind == "modernbert":
        with torch.no_grad():
            for weight in whole.base_model.layers.parameters():
                weight.mul_(20 if weight.ndim == 2 else 1)  # so that a difference shows
    return whole


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_the_whole_model(kind):
    whole = make_whole(kind).eval()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 200, (3, 24), generator=generator)
    is_masked = torch.rand(3, 24, generator=generator) < 0.3
    assert is_masked.sum(dim=1).unique().numel() > 1  # rows with different numbers
    with torch.no_grad():
        expected = whole(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[is_masked]
        logits = MaskedLanguageModel(whole).eval()(ids, is_masked, int(is_masked.sum()))
        more = MaskedLanguageModel(whole).eval()(ids, is_masked, int(is_masked.sum()) + 5)
    assert logits.shape == (int(is_masked.sum()), 200)
    assert more.shape == (int(is_masked.sum()) + 5, 200)
    torch.testing.assert_close(more[:-5], logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_separate_texts_of_a_row_see_nothing_of_each_other():
    """Rows of two texts, [CLS] 5 6 7 [SEP] and [CLS] 8 9 [SEP], as if each stood alone."""
    whole = make_whole("modernbert").eval()
    first, second = torch.tensor([[2, 5, 6, 7, 3]]), torch.tensor([[2, 8, 9, 3]])
    row = torch.cat([first, second], dim=1)
    is_masked = torch.tensor([[0, 1, 0, 0, 0, 0, 0, 1, 0]]).bool()
    with torch.no_grad():
        expected = [whole(input_ids=first).logits[0, 1], whole(input_ids=second).logits[0, 2]]
        logits = MaskedLanguageModel(whole, cls_id=2).eval()(row, is_masked, 2)
        joined = MaskedLanguageModel(whole).eval()(row, is_masked, 2)
    torch.testing.assert_close(logits, torch.stack(expected), rtol=1e-4, atol=1e-4)
    assert (joined - logits).abs().max() > 1e-3


def test_which_encoders_take_separate_texts():
    assert attends_to_texts(make_whole("modernbert"))
    assert not attends_to_texts(make_whole("bert"))
