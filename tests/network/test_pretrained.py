"""What is refused where an encoder's folder lacks something, and what a checkpoint gives."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.builders import (
    EXAMPLES,
    make_bert_tokenizer,
    make_scheme,
    make_trained,
    save_encoder,
)
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    BertConfig,
    BertModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as hf_logging

from kore.common.errors import EncoderUnavailableError, UserError
from kore.data.dataset import EncodedExample, InputEncoder
from kore.data.schema import Span
from kore.network.checkpoint import save_model
from kore.network.pretrained import load_pretrained, load_tokenizer, unknown_share

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")
LAYER = "encoder.layer.0.output.dense.weight"


def refusal(name: Path | str, kind: type = AutoModel) -> str:
    """The sentence that loading ends in: the user's mistake, and no reason to fall back on mini."""
    with pytest.raises(UserError) as caught:
        load_pretrained(str(name), 0.1, kind)
    assert not isinstance(caught.value, EncoderUnavailableError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    """Replaces weights, or leaves out those that are None; names have "." as "__"."""
    weights = load_file(folder / "model.safetensors")
    for name, weight in changes.items():
        weights.pop(name.replace("__", "."), None)
        if weight is not None:
            weights[name.replace("__", ".")] = weight
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "deberta"])
def test_a_folder_without_a_tokenizer(kind, tmp_path):
    """As model.save_pretrained() leaves it: transformers makes up one of a few special tokens."""
    save_encoder(tmp_path, kind)
    for name in TOKENIZER_FILES:
        (tmp_path / name).unlink(missing_ok=True)
    assert not list(tmp_path.glob("*token*"))
    assert refusal(tmp_path).startswith(f"no tokenizer in {tmp_path}")
    with pytest.raises(UserError, match=r"^no tokenizer in "):
        load_tokenizer(str(tmp_path))


def test_a_folder_that_holds_the_settings_of_a_tokenizer_alone(tmp_path):
    save_encoder(tmp_path, "bert")
    for name in ("tokenizer.json", "vocab.txt"):
        (tmp_path / name).unlink(missing_ok=True)
    assert (tmp_path / "tokenizer_config.json").is_file()
    assert refusal(tmp_path).startswith(f"no tokenizer in {tmp_path}")


def test_weights_under_the_names_of_a_wrapper(tmp_path):
    save_encoder(tmp_path, "bert")
    weights = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save({f"plm.{name}": w for name, w in weights.items()}, tmp_path / "pytorch_model.bin")
    total = sum(not name.startswith("pooler.") for name in weights)
    message = refusal(tmp_path)
    assert f"{tmp_path}: its files lack {total} of the encoder's" in message
    assert "embeddings.LayerNorm.bias" in message
    assert "but others (plm.embeddings." in message


def test_one_missing_weight_is_named(tmp_path):
    save_encoder(tmp_path, "bert")
    edit_weights(tmp_path, **{LAYER.replace(".", "__"): None})
    message = refusal(tmp_path)
    assert f"its files lack 1 of the encoder's 39 weights ({LAYER});" in message


def test_layers_that_the_files_do_not_hold(tmp_path):
    """A config of more layers than there are weights for: half of the encoder would be random."""
    save_encoder(tmp_path, "bert")
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    message = refusal(tmp_path)
    assert "its files lack 16 of the encoder's 55 weights" in message  # 16 a layer
    assert "encoder.layer.2.attention" in message


def test_a_weight_of_another_size(tmp_path):
    save_encoder(tmp_path, "bert")
    edit_weights(tmp_path, **{LAYER.replace(".", "__"): torch.zeros(2, 2)})
    message = refusal(tmp_path)
    assert f"1 weights have other sizes than its config.json describes ({LAYER})" in message


def test_a_tokenizer_with_more_tokens_than_there_are_embeddings(tmp_path):
    tokenizer = make_bert_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer) - 1,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    BertModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    highest = len(tokenizer) - 1
    assert refusal(tmp_path) == (
        f"{tmp_path}: the tokenizer numbers its tokens up to {highest}, but the encoder has "
        f"{highest} embeddings; they belong to different encoders"
    )


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_truncated_weights(share, tmp_path):
    save_encoder(tmp_path, "bert")
    content = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[: int(share * len(content))])
    with pytest.raises(EncoderUnavailableError, match="no encoder can be loaded from a folder"):
        load_pretrained(str(tmp_path), 0.1)


def test_a_missing_pooler_is_no_fault(tmp_path, caplog):
    caplog.set_level(logging.INFO, "kore")
    save_encoder(tmp_path, "bert")
    edit_weights(tmp_path, pooler__dense__weight=None, pooler__dense__bias=None)
    load_pretrained(str(tmp_path), 0.1)
    assert caplog.text == ""


def test_a_head_that_is_not_there_starts_at_random_and_is_named(tmp_path, caplog):
    """An encoder alone can be pretrained further; a missing weight of the encoder is refused."""
    caplog.set_level(logging.INFO, "kore")
    save_encoder(tmp_path, "bert")
    load_pretrained(str(tmp_path), 0.1, AutoModelForMaskedLM)
    assert f"{tmp_path}: its files hold the encoder alone" in caplog.text
    edit_weights(tmp_path, **{LAYER.replace(".", "__"): None})
    assert f"bert.{LAYER}" in refusal(tmp_path, AutoModelForMaskedLM)


def test_the_encoder_of_a_checkpoint(tmp_path):
    trained = make_trained("bert", "special")
    save_model(tmp_path / "run.pth", trained)
    torch.manual_seed(9)
    encoder, tokenizer = load_pretrained(str(tmp_path / "run.pth"), 0.3)
    expected = trained.classifier.encoder.state_dict()
    assert encoder.state_dict().keys() == expected.keys()
    for name, weight in encoder.state_dict().items():
        assert torch.equal(weight, expected[name]), name
    assert encoder.config.hidden_dropout_prob == 0.3
    rows = InputEncoder(tokenizer, make_scheme("special"), 64).encode(EXAMPLES)
    assert rows == trained.input_encoder.encode(EXAMPLES)
    assert "no head that names masked tokens" in refusal(tmp_path / "run.pth", AutoModelForMaskedLM)
    assert refusal(tmp_path / "gone.pth").endswith("gone.pth: no such checkpoint")


def rows_of(tokenizer: PreTrainedTokenizerBase, *ids: list[int]) -> list[EncodedExample]:
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    return [EncodedExample([cls, *row, sep], Span(1, 2), Span(2, 3), False) for row in ids]


def test_unknown_tokens_by_hand():
    """[CLS] and [SEP] do not count: 1 of 2 and 1 of 3 are 2 of 5."""
    tokenizer = make_bert_tokenizer()
    unknown = tokenizer.unk_token_id
    rows = rows_of(tokenizer, [unknown, 7], [8, unknown, 9])
    assert unknown_share(rows, tokenizer, "x") == pytest.approx(0.4)
    assert unknown_share(rows_of(tokenizer, [7], []), tokenizer, "x") == 0
    with pytest.raises(UserError) as caught:
        unknown_share(rows_of(tokenizer, [unknown, unknown, 7]), tokenizer, "english-bert")
    assert str(caught.value).startswith(
        "67% of the tokens of the training examples are unknown to the tokenizer of english-bert"
    )


def test_loading_leaves_the_logging_of_transformers_as_it_was(tmp_path):
    before = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_info()
    hf_logging.enable_progress_bar()
    load_pretrained(save_encoder(tmp_path, "bert"), 0.1)
    found = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity(before[0])
    if not before[1]:
        hf_logging.disable_progress_bar()
    assert found == (logging.INFO, True)
