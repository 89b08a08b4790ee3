"""The head over characters, its loss, and tags that always make entities."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.builders import ENCODERS, EXAMPLES, make_trained
from tests.runs import read_json
from torch import nn
from torch.nn import functional

from kore.common.errors import UserError
from kore.data.ner import spans_of
from kore.data.ngrams import ngrams_around, surroundings
from kore.data.tagging import TextBatch, TextEncoder
from kore.network import mini
from kore.network.checkpoint import MODEL_KIND, load_model, save_payload
from kore.network.hf_folder import save_folder
from kore.network.tagger import Tagger, TagSets, best_tags, tags_for, transitions
from kore.network.tagger_file import (
    TAGGER_KIND,
    TrainedTagger,
    load_tagger,
    save_tagger_folder,
    tagger_payload,
)

TAGS = tags_for(["PS", "LC"])


def make_tagger(kind: str = "bert", max_length: int = 64, buckets: int = 0) -> TrainedTagger:
    """A tagger with weights drawn at random, also those of its n-grams where it has some."""
    torch.manual_seed(3)
    tokenizer = mini.learn_tokenizer([row.sentence for row in EXAMPLES] * 2, 200)
    encoder = ENCODERS[kind](len(tokenizer))
    model = Tagger(encoder, len(TAGS), 0.1, buckets).eval()
    if model.ngrams is not None:
        nn.init.normal_(model.ngrams.table)
        nn.init.normal_(model.ngrams.bias)
    text_encoder = TextEncoder(tokenizer, max_length, buckets)
    return TrainedTagger(model, text_encoder, TAGS, {"dropout": 0.1}, {})


def logits_of(trained: TrainedTagger, texts: list[str]) -> torch.Tensor:
    windows = [row[0] for row in trained.encoder.encode(texts)]
    with torch.no_grad():
        return trained.model(*trained.encoder.collate(windows).inputs)


@pytest.mark.parametrize("kind", ["bert", "roberta", "modernbert", "deberta"])
def test_characters_read_the_state_of_their_token(kind: str) -> None:
    """Against the encoder's own forward pass, place by place."""
    trained = make_tagger(kind)
    texts = [row.sentence for row in EXAMPLES[:2]]
    windows = [row[0] for row in trained.encoder.encode(texts)]
    batch = trained.encoder.collate(windows)
    logits = logits_of(trained, texts)
    with torch.no_grad():
        states = trained.tagger.encoder(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask.long()
        ).last_hidden_state
        for row, window in enumerate(windows):
            for place, (token, inside) in enumerate(zip(window.tokens, window.places, strict=True)):
                state = states[row, token] + trained.tagger.places.weight[inside]
                torch.testing.assert_close(
                    logits[row, place], trained.tagger.head(state), rtol=1e-4, atol=1e-4
                )


def test_the_bias_of_outside_counts_in_evaluation_alone() -> None:
    trained = make_tagger()
    texts = [EXAMPLES[0].sentence]
    before = logits_of(trained, texts)
    trained.tagger.outside_bias.fill_(2.0)
    change = logits_of(trained, texts) - before
    torch.testing.assert_close(change[..., 0], torch.full_like(change[..., 0], 2.0))
    assert float(change[..., 1:].abs().max()) < 1e-6
    trained.tagger.train()
    torch.manual_seed(0)
    with_bias = logits_of(trained, texts)
    trained.tagger.outside_bias.zero_()
    torch.manual_seed(0)
    assert torch.equal(logits_of(trained, texts), with_bias)


def test_ngrams_are_added_in_evaluation_alone() -> None:
    trained = make_tagger(buckets=40)
    head = trained.tagger.ngrams
    assert head is not None
    text = EXAMPLES[0].sentence
    with_them = logits_of(trained, [text])
    numbers = ngrams_around(surroundings(text, 0, len(text)), 40)
    expected = [sum(head.table[n] for n in row) + head.bias for row in numbers.tolist()]
    head.table.zero_()
    head.bias.zero_()
    added = with_them - logits_of(trained, [text])
    torch.testing.assert_close(added[0, : len(text)], torch.stack(expected), rtol=1e-4, atol=1e-4)
    trained.tagger.train()
    torch.manual_seed(0)
    plain = logits_of(trained, [text])
    head.table.fill_(7.0)
    torch.manual_seed(0)
    assert torch.equal(logits_of(trained, [text]), plain)
    assert not any("ngrams" in name for name, _ in trained.tagger.named_parameters())


def test_windows_of_a_text_have_the_ngrams_of_the_whole() -> None:
    trained = make_tagger(max_length=10, buckets=1_000)
    text = EXAMPLES[2].sentence * 3
    windows = trained.encoder.encode([text])[0]
    assert len(windows) > 3
    batch = trained.encoder.collate(windows)
    assert batch.ngrams is not None
    read = torch.cat([row[: len(w.tokens)] for row, w in zip(batch.ngrams, windows, strict=True)])
    assert read.tolist() == ngrams_around(surroundings(text, 0, len(text)), 1_000).tolist()


def test_the_loss_is_the_cross_entropy_of_what_is_known() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, len(TAGS), generator=generator)
    sets = TagSets(TAGS, [("O", "B-LC")])
    targets = torch.tensor([[1, 3, 0, 0], [6, 2, 5, 0]])
    first, second = sets.losses(logits, targets).tolist()
    known = functional.cross_entropy(logits[0, :2], torch.tensor([0, 2]))
    assert first == pytest.approx(known.item(), rel=1e-5)
    probs = logits[1].softmax(dim=-1)
    expected = -(probs[0, 0] + probs[0, 3]).log() - probs[1, 1].log() - probs[2, 4].log()
    assert second == pytest.approx(expected.item() / 3, rel=1e-5)
    assert sets.losses(logits, torch.zeros(2, 4, dtype=torch.long)).tolist() == [0, 0]


def test_an_inside_tag_follows_its_own_type_alone() -> None:
    first, behind = transitions(TAGS)
    assert [tag for tag, may in zip(TAGS, first, strict=True) if may] == ["O", "B-PS", "B-LC"]
    before_inside = [TAGS[i] for i in np.flatnonzero(behind[:, TAGS.index("I-PS")])]
    assert before_inside == ["B-PS", "I-PS"]
    assert behind[:, TAGS.index("B-LC")].all()


def test_best_tags_are_the_best_of_all_that_make_entities() -> None:
    generator = np.random.default_rng(5)
    for _ in range(20):
        scores = generator.normal(size=(4, len(TAGS)))

        def makes_entities(tags: tuple[str, ...]) -> bool:
            try:
                spans_of(tags)
            except ValueError:
                return False
            return True

        ways = [
            way
            for way in itertools.product(range(len(TAGS)), repeat=4)
            if makes_entities(tuple(TAGS[i] for i in way))
        ]
        best = max(ways, key=lambda way: sum(scores[place, tag] for place, tag in enumerate(way)))
        assert best_tags(scores, TAGS) == [TAGS[i] for i in best]


@pytest.mark.parametrize("buckets", [0, 40])
def test_a_checkpoint_gives_the_same_logits(tmp_path: Path, buckets: int) -> None:
    trained = make_tagger("modernbert", buckets=buckets)
    save_payload(tmp_path / "a.pth", TAGGER_KIND, tagger_payload(trained))
    loaded = load_tagger(tmp_path / "a.pth")
    loaded.model.eval()
    texts = [row.sentence for row in EXAMPLES]
    assert torch.equal(logits_of(loaded, texts), logits_of(trained, texts))
    assert (loaded.tags, loaded.types) == (TAGS, ("PS", "LC"))


@pytest.mark.parametrize("buckets", [0, 40])
@pytest.mark.parametrize("half", [False, True])
def test_a_folder_gives_the_same_logits(tmp_path: Path, half: bool, buckets: int) -> None:
    trained = make_tagger("bert", buckets=buckets)
    trained.scores = {"micro_f1": 61.5}
    paths = {"train_file": "/home/me/a.tsv", "partial_file": "/home/me/b", "type_names": "/c.json"}
    trained.options |= paths
    save_tagger_folder(tmp_path / "mine", trained, half)
    loaded = load_tagger(tmp_path / "mine")
    loaded.model.eval()
    texts = [row.sentence for row in EXAMPLES]
    difference = (logits_of(loaded, texts) - logits_of(trained, texts)).abs().max()
    assert difference < (0.1 if half else 1e-6)
    assert bool(difference > 0) is half
    assert (loaded.tags, loaded.encoder.max_length) == (TAGS, 64)
    assert loaded.options == {"dropout": 0.1}  # no path of the machine that trained
    config = read_json(tmp_path / "mine" / "config.json")
    assert config["id2label"]["1"] == "B-PS"
    card = (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
    assert "- types: `PS`, `LC`" in card
    assert "- micro_f1: 61.50" in card
    with pytest.raises(UserError, match="not a kore-folder but a kore-tagger-folder"):
        load_model(tmp_path / "mine")
    save_folder(tmp_path / "relations", make_trained("bert"))
    with pytest.raises(UserError, match="not a kore-tagger-folder but a kore-folder"):
        load_tagger(tmp_path / "relations")


def test_a_file_of_before_the_ngrams_has_none(tmp_path: Path) -> None:
    payload = tagger_payload(make_tagger())
    del payload["ngram_buckets"]
    save_payload(tmp_path / "old.pth", TAGGER_KIND, payload)
    assert load_tagger(tmp_path / "old.pth").tagger.ngrams is None


def test_foreign_and_incomplete_files_are_refused(tmp_path: Path) -> None:
    payload = tagger_payload(make_tagger())
    save_payload(tmp_path / "relation.pth", MODEL_KIND, payload)
    with pytest.raises(UserError, match="not a kore-tagger file"):
        load_tagger(tmp_path / "relation.pth")
    save_payload(tmp_path / "a.pth", TAGGER_KIND, {k: v for k, v in payload.items() if k != "tags"})
    with pytest.raises(UserError, match="lacks tags"):
        load_tagger(tmp_path / "a.pth")
    save_payload(tmp_path / "b.pth", TAGGER_KIND, {**payload, "tags": ["O"]})
    with pytest.raises(UserError, match="weights do not fit"):
        load_tagger(tmp_path / "b.pth")


def test_padding_changes_nothing() -> None:
    trained = make_tagger("modernbert")
    texts = [row.sentence for row in EXAMPLES[:3]]
    together = logits_of(trained, texts)
    for number, text in enumerate(texts):
        alone = logits_of(trained, [text])[0]
        torch.testing.assert_close(together[number, : len(alone)], alone, rtol=1e-4, atol=1e-4)
    assert isinstance(trained.encoder.collate([trained.encoder.encode(["가"])[0][0]]), TextBatch)
