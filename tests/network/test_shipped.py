"""Models that ship: found by name, checked, and never in the place of a user's own."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.builders import logits_of, make_trained
from transformers import AutoModelForMaskedLM

import kore
from kore.common.errors import UserError
from kore.network import shipped
from kore.network.checkpoint import load_model, model_from_payload, model_payload, save_model
from kore.network.hf_folder import save_folder
from kore.network.locate import find_model
from kore.network.pretrained import load_pretrained

MIB = 2**20
CLOZES = [  # a text, and the token that fits
    ("대한민국의 수도는 [MASK]이다.", "서울"),
    ("그는 서울대학교를 [MASK]하였다.", "졸업"),
    ("그는 1950년에 서울에서 [MASK].", "태어났다"),
    ("삼성전자는 대한민국의 [MASK]이다.", "기업"),
    ("그는 미국의 영화 [MASK]이다.", "감독"),
]
READ = [  # a sentence, its subject, its object, and what the shipped model says
    (
        "삼성전자는 경기도 수원시에 본사가 있다.",
        ("삼성전자", "ORG"),
        ("경기도 수원시", "LOC"),
        "org:place_of_headquarters",
    ),
    (
        "김도율(1970년 3월 2일 ~ )은 대한민국의 영화 감독이다.",
        ("김도율", "PER"),
        ("1970년 3월 2일", "DAT"),
        "per:date_of_birth",
    ),
    (
        "해담전자의 대표이사 최하람은 새 공장을 짓겠다고 밝혔다.",
        ("해담전자", "ORG"),
        ("최하람", "PER"),
        "org:top_members/employees",
    ),
]


@pytest.fixture
def models(monkeypatch, tmp_path) -> Path:
    """A package with small models of its own, and a working folder that is empty."""
    folder = tmp_path / "package" / "models"
    for name in shipped.NAMES:
        save_folder(folder / name, make_trained("modernbert", "punct", "mean"))
        shipped.write_checksums(folder / name)
    monkeypatch.setattr(shipped, "MODELS", folder)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


def test_the_encoder_is_loaded_by_its_name(models):
    encoder, tokenizer = load_pretrained("kore-mini", dropout=0.0)
    trained = load_model(models / "kore-mini")
    expected = trained.classifier.encoder.state_dict()
    assert expected.keys() == encoder.state_dict().keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in encoder.state_dict().items())
    assert tokenizer.get_vocab() == trained.input_encoder.tokenizer.get_vocab()


def test_a_folder_of_the_user_by_that_name_goes_first(models):
    Path("kore-mini").mkdir()
    assert shipped.resolve("kore-mini") == "kore-mini"
    assert shipped.resolve("kore-mini-re") == str(models / "kore-mini-re")


@pytest.mark.parametrize("name", ["klue/roberta-large", "kore-mini-2", "models/kore-mini", "mini"])
def test_any_other_name_stays_as_it_is(models, name):
    assert shipped.resolve(name) == name


def test_the_card_may_be_edited(models):
    (models / "kore-mini" / "README.md").write_text("another", encoding="utf-8")
    assert shipped.resolve("kore-mini") == str(models / "kore-mini")


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_file_is_named(models, name):
    damage(models / "kore-mini" / name)
    with pytest.raises(UserError, match=rf"kore-mini: {name} of the model .* is missing"):
        load_pretrained("kore-mini", dropout=0.0)


def test_missing_files_are_named(models):
    for name in ("head.safetensors", "kore.json"):
        (models / "kore-mini-re" / name).unlink()
    with pytest.raises(UserError, match=r"head\.safetensors, kore\.json of .* are missing"):
        kore.load()


@pytest.mark.parametrize("content", [None, "", "nothing that sha256sum writes\n"])
def test_checksums_that_are_lost_are_a_damage(models, content):
    sums = models / "kore-mini" / shipped.CHECKSUMS
    sums.unlink()
    if content is not None:
        sums.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"SHA256SUMS of the model .* is missing or damaged"):
        shipped.resolve("kore-mini")


def test_the_relation_model_is_taken_where_nothing_was_trained(models, caplog):
    caplog.set_level(logging.INFO, "kore")
    assert find_model("", "models") == models / "kore-mini-re"
    assert "no checkpoint (*.pth) in models" in caplog.text
    assert find_model("kore-mini-re", "models") == models / "kore-mini-re"


def test_a_cluster_takes_a_folder_as_well(models):
    """Workers get a model's content, whatever file it came from."""
    trained = load_model(find_model("", "models"))
    path = models / "kore-mini-re"
    assert torch.equal(logits_of(model_from_payload(path, model_payload(trained))),
                       logits_of(trained))  # fmt: skip


def test_a_folder_of_models_that_is_missing_is_not_passed_over(models):
    with pytest.raises(UserError, match="`model_dir` mdoels: no such folder"):
        find_model("", "mdoels")


def test_a_checkpoint_of_the_user_goes_before_the_one_that_ships(models, caplog):
    caplog.set_level(logging.INFO, "kore")
    save_model(Path("models/mine.pth"), make_trained("bert"))
    assert find_model("", "models") == Path("models/mine.pth")
    assert caplog.text == ""


def test_a_model_that_is_named_and_missing_is_not_replaced(models):
    assert find_model("first.pth", "models") == Path("first.pth")
    with pytest.raises(UserError, match=r"first\.pth: no such checkpoint"):
        kore.load("first.pth")


def test_half_precision_halves_the_files_and_changes_little(tmp_path):
    trained = make_trained("modernbert", "punct", "attention")
    save_folder(tmp_path / "whole", trained)
    save_folder(tmp_path / "half", trained, half=True)
    sizes = {
        kind: sum((tmp_path / kind / name).stat().st_size for name in
                  ("model.safetensors", "head.safetensors"))
        for kind in ("whole", "half")
    }  # fmt: skip
    assert 0.45 < sizes["half"] / sizes["whole"] < 0.6
    loaded = load_model(tmp_path / "half")
    assert {weight.dtype for weight in loaded.classifier.parameters()} == {torch.float32}
    difference = (logits_of(loaded) - logits_of(trained)).abs().max()
    assert 0 < difference < 0.02


@pytest.mark.parametrize("name", shipped.NAMES)
def test_what_ships_is_whole_small_and_says_what_it_is(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path(shipped.resolve(name))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 20 * MIB
    weights = load_file(folder / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float16}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["dtype"] == "float32"  # what transformers computes in, unless told otherwise
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-sa-4.0" in card
    assert not re.search(r"\{[A-Z_]+\}", card)  # nothing is left to fill in


def test_the_encoder_that_ships_knows_korean(tmp_path, monkeypatch):
    """The word that fits is far more probable than by chance, which is 1 in 12,000."""
    monkeypatch.chdir(tmp_path)
    whole, tokenizer = load_pretrained("kore-mini", 0.0, AutoModelForMaskedLM)
    ranks = []
    for text, word in CLOZES:
        inputs = tokenizer(text, return_tensors="pt")
        place = (inputs["input_ids"] == tokenizer.mask_token_id).nonzero()[0]
        with torch.inference_mode():
            logits = whole.eval()(**inputs).logits[tuple(place)]
        (token,) = tokenizer(word, add_special_tokens=False)["input_ids"]
        ranks.append(int((logits > logits[token]).sum()))
    assert sorted(ranks)[len(ranks) // 2] < 50, ranks


def test_the_model_that_ships_reads_relations(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = kore.load()
    assert len(model.labels) == 30
    for sentence, subject, object_, relation in READ:
        first, second = (
            (sentence.index(word), sentence.index(word) + len(word), kind)
            for word, kind in (subject, object_)
        )
        assert model.predict(sentence, subject=first, object=second).relation == relation
