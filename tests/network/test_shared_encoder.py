"""One encoder for entities and relations: a text that the tagger has read is not read again."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.builders import EXAMPLES, make_trained
from tests.network.test_levitated import KNOWN, PAIRS, make_levitated
from torch import Tensor

from kore.data.dataset import Batch
from kore.data.levitated import texts_with_pairs
from kore.data.tagging import TextEncoder
from kore.extraction.pipeline import Extractor
from kore.network.shared_encoder import TextMemory, can_share, sharing
from kore.network.tagger import Tagger, tags_for
from kore.network.tagger_file import TrainedTagger
from kore.network.trained import TrainedModel
from kore.prediction.predictor import ComputeOn

CPU = ComputeOn(torch.device("cpu"))
TEXTS = list(dict.fromkeys(pair.sentence for pair in PAIRS))


def tagger_over(relations: TrainedModel, max_length: int = 64) -> TrainedTagger:
    """A random tagger over the encoder of `relations`, which finds many entities."""
    tags = tags_for(("PER", "ORG"))
    torch.manual_seed(5)
    tagger = Tagger(relations.classifier.encoder, len(tags), 0.0).eval()
    encoder = TextEncoder(relations.input_encoder.tokenizer, max_length)
    return TrainedTagger(tagger, encoder, tags, {}, {})


def tag(tagger: TrainedTagger, texts: list[str]) -> Tensor:
    windows = [window for row in tagger.encoder.encode(texts) for window in row]
    with torch.inference_mode():
        return tagger.model.eval()(*tagger.encoder.collate(windows).inputs)


def ask(relations: TrainedModel) -> Tensor:
    """The logits of PAIRS, the missing pairs of the text that has fewer among them."""
    texts = list(texts_with_pairs(relations.input_encoder.encode(PAIRS)))
    batch = Batch.of_texts(texts, relations.input_encoder.pad_id)
    with torch.inference_mode():
        return relations.model.eval()(*batch.inputs)


def count_tokens(encoder: Any) -> list[int]:
    """A list that grows by the tokens of every pass."""
    counted: list[int] = []
    encoder.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: counted.append(inputs[0].numel())
    )
    return counted


@pytest.mark.parametrize("kind", KNOWN)
def test_both_say_what_they_say_apart(kind: str) -> None:
    relations = make_levitated(kind)
    tagger = tagger_over(relations)
    tags, expected = tag(tagger, TEXTS), ask(relations)
    memory = TextMemory()
    reading, asked = sharing(tagger, relations, memory)
    with memory.kept():
        torch.testing.assert_close(tag(reading, TEXTS), tags, atol=2e-5, rtol=1e-4)
        tokens = count_tokens(relations.classifier.encoder)
        torch.testing.assert_close(ask(asked), expected, atol=2e-5, rtol=1e-4)
    markers = 2 * 4 * 3  # of three pairs, one of the texts has just one
    assert tokens == [markers]


def test_a_text_that_is_not_in_the_memory_is_read() -> None:
    relations = make_levitated("modernbert")
    tagger, memory = tagger_over(relations), TextMemory()
    expected = ask(relations)
    reading, asked = sharing(tagger, relations, memory)
    with memory.kept():
        tag(reading, TEXTS[:1])
        torch.testing.assert_close(ask(asked), expected)
        tag(reading, TEXTS[1:])
        tokens = count_tokens(relations.classifier.encoder)
        ask(asked)
        assert len(tokens) == 1
    tag(reading, TEXTS)  # outside nothing is remembered
    del tokens[:]
    torch.testing.assert_close(ask(asked), expected)
    assert sum(tokens) > 2 * 4 * 3


def test_threads_do_not_share_what_they_remember() -> None:
    relations = make_levitated("modernbert")
    memory = TextMemory()
    reading, asked = sharing(tagger_over(relations), relations, memory)
    tokens = count_tokens(relations.classifier.encoder)
    other = []

    def elsewhere() -> None:
        del tokens[:]
        ask(asked)
        other.append(list(tokens))

    with memory.kept():
        tag(reading, TEXTS)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        del tokens[:]
        ask(asked)
    assert tokens == [2 * 4 * 3]
    assert sum(other[0]) > sum(tokens)


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_extraction_reads_once_and_finds_the_same(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    relations = make_levitated("modernbert")
    none = relations.labels.names.index(relations.labels.no_relation)
    relations.classifier.log_odds[none] = -10  # so that there are triples
    long = "박하늘과 별빛. " * 12  # more than a window of the tagger holds
    texts = [*(row.sentence for row in EXAMPLES), long, "", TEXTS[0]]
    compute = ComputeOn(torch.device("cpu"), precision)
    shared = Extractor(tagger_over(relations, 48), relations, compute)
    assert shared.shares_encoder
    tokens = count_tokens(relations.classifier.encoder)
    found = shared(texts)
    once = sum(tokens)
    monkeypatch.setattr("kore.extraction.pipeline.can_share", lambda *models: False)
    apart = Extractor(tagger_over(relations, 48), relations, compute)
    assert not apart.shares_encoder
    assert sum(len(one.triples) for one in found) > 5
    del tokens[:]
    twice = apart(texts)
    assert once < sum(tokens)  # the markers are many
    for own, expected in zip(found, twice, strict=True):
        assert [hit.entity for hit in own.entities] == [hit.entity for hit in expected.entities]
        for one, other in zip(own.triples, expected.triples, strict=True):
            assert one[:3] == other[:3]
            assert one.probability == pytest.approx(other.probability, abs=1e-5)


def test_only_equal_encoders_and_markers_behind_the_text_share() -> None:
    relations = make_levitated("modernbert")
    assert can_share(tagger_over(relations), relations)
    assert not can_share(tagger_over(make_levitated("bert")), relations)
    in_text = make_trained("modernbert")
    assert not can_share(tagger_over(in_text), in_text)
    other = make_levitated("modernbert")
    words: Any = other.classifier.encoder.get_input_embeddings()
    with torch.no_grad():
        words.weight[7, 0] += 1e-3
    assert not can_share(tagger_over(other), relations)
    joined = make_levitated("modernbert")
    joined.classifier.design = replace(joined.classifier.design, last_layers=2)
    assert not can_share(tagger_over(joined), joined)
    unknown = make_levitated("modernbert")
    unknown.model = torch.nn.Identity()  # as an ONNX file, which has no weights in reach
    assert not can_share(tagger_over(relations), unknown)
