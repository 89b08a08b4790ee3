"""The logits of masked tokens equal those of the whole model, for every kind of encoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.builders import ENCODERS
from transformers import AutoModelForMaskedLM, DistilBertConfig

from kore.pretraining.masked_lm import MaskedLanguageModel

KINDS = ["bert", "roberta", "electra", "deberta", "old_deberta", "distilbert", "modernbert"]


def make_whole(kind: str) -> Any:
    if kind == "distilbert":  # whose head is not one that is known
        small = DistilBertConfig(vocab_size=200, dim=16, n_layers=2, n_heads=2, hidden_dim=32)
        return AutoModelForMaskedLM.from_config(small)
    config = ENCODERS[kind.removeprefix("old_")](200).config
    if "deberta" in kind:
        config.legacy = kind.startswith("old")
    torch.manual_seed(0)
    return AutoModelForMaskedLM.from_config(config)


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
