"""A folder in the layout of Hugging Face carries the whole model, and runs nothing when read."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.builders import EXAMPLES, LABELS, logits_of, make_trained
from transformers import AutoModel, AutoTokenizer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kore.common.errors import UserError
from kore.data.dataset import Batch
from kore.network.checkpoint import load_model
from kore.network.hf_folder import save_folder
from kore.network.model_card import base_model

KINDS = [
    ("bert", "punct", "attention"),
    ("roberta", "special", "start"),
    ("electra", "special", "mean"),
    ("deberta", "punct", "max"),
    ("mini", "special", "cls"),
    ("modernbert", "punct", "mean"),
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "run_hf"
    save_folder(path, make_trained("bert"))
    return path


@pytest.fixture
def copied(saved, tmp_path) -> Path:
    """A folder of its own, for a test that damages it."""
    return Path(shutil.copytree(saved, tmp_path / "run_hf"))


@pytest.mark.parametrize(("kind", "style", "pooling"), KINDS)
def test_a_loaded_folder_gives_the_same_logits_to_the_bit(kind, style, pooling, tmp_path):
    trained = make_trained(kind, style, pooling)
    save_folder(tmp_path / "run_hf", trained)
    torch.manual_seed(99)  # weights that were drawn anew would differ
    loaded = load_model(tmp_path / "run_hf")
    assert loaded.input_encoder.encode(EXAMPLES) == trained.input_encoder.encode(EXAMPLES)
    assert torch.equal(logits_of(loaded), logits_of(trained))


@pytest.mark.parametrize(("kind", "style", "pooling"), KINDS)
def test_transformers_loads_encoder_and_tokenizer(kind, style, pooling, tmp_path):
    trained = make_trained(kind, style, pooling)
    save_folder(tmp_path / "run_hf", trained)
    encoder, found = AutoModel.from_pretrained(tmp_path / "run_hf", output_loading_info=True)
    assert not any(found.values()), found  # none missing and drawn anew, none unused
    batch = Batch.collate(trained.input_encoder.encode(EXAMPLES), trained.input_encoder.pad_id)
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask.long()}
    with torch.inference_mode():
        ours = trained.classifier.encoder.eval()(**inputs).last_hidden_state
        theirs = encoder.eval()(**inputs).last_hidden_state
    assert torch.equal(ours, theirs)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run_hf")
    text = "[E1-PER]김도율[/E1-PER]은 @ * 단체 * 해담전자 @의 사원 [MASK]."
    assert tokenizer(text)["input_ids"] == trained.input_encoder.tokenizer(text)["input_ids"]
    assert tokenizer.pad_token_id == trained.input_encoder.pad_id
    assert dict(encoder.config.id2label) == dict(enumerate(LABELS.names))
    assert encoder.config.label2id["org:founded"] == 2


def test_everything_that_is_not_a_weight_travels(tmp_path):
    trained = make_trained("bert", "special", "mean", max_length=48)
    save_folder(tmp_path / "run_hf", trained)
    loaded = load_model(tmp_path / "run_hf")
    assert loaded.labels == trained.labels
    assert loaded.input_encoder.scheme == trained.input_encoder.scheme
    assert loaded.input_encoder.max_length == 48
    assert loaded.model.pooling_name == "mean"
    assert loaded.options == {"dropout": 0.2, "seed": 42}
    assert loaded.scores == {"epoch": 2, "micro_f1": 51.25}
    rates = {part.p for part in loaded.model.modules() if isinstance(part, torch.nn.Dropout)}
    assert rates == {0.2}


PRIVATE = {
    "train_file": "/mnt/kim/secret/train.csv",
    "valid_file": "data/valid.csv",
    "model_dir": "/mnt/kim/models",
    "output_dir": "outputs",
    "label2id_path": "/mnt/kim/labels.pkl",
    "id2label_path": "/mnt/kim/ids.pkl",
    "swap_entities": "/mnt/kim/inverses.json",
    "recipe": "/mnt/kim/mine.json",
}


def test_no_path_of_the_machine_that_trained_is_published(tmp_path):
    trained = make_trained()
    trained.options |= {**PRIVATE, "model_name_or_path": str(tmp_path), "seed": 7}
    save_folder(tmp_path / "run_hf", trained)
    text = (tmp_path / "run_hf" / "kore.json").read_text(encoding="utf-8")
    assert "kim" not in text
    assert str(tmp_path) not in text
    assert load_model(tmp_path / "run_hf").options == {"dropout": 0.2, "seed": 7}
    trained.options["model_name_or_path"] = "klue/roberta-large"
    save_folder(tmp_path / "run_hf", trained)
    found = load_model(tmp_path / "run_hf").options["model_name_or_path"]
    assert found == "klue/roberta-large"
    assert trained.options["train_file"] == PRIVATE["train_file"]  # a checkpoint keeps it


def test_a_private_attention_is_not_written(tmp_path):
    """Its name means nothing to another program, which would refuse the folder."""
    ALL_ATTENTION_FUNCTIONS.register("private_attention", sdpa_attention_forward)
    ALL_MASK_ATTENTION_FUNCTIONS.register("private_attention", sdpa_mask)
    trained = make_trained("bert")
    trained.classifier.encoder.set_attn_implementation("private_attention")
    save_folder(tmp_path / "run_hf", trained)
    for file in ("config.json", "kore.json", "README.md", "tokenizer_config.json"):
        assert "private_attention" not in (tmp_path / "run_hf" / file).read_text(encoding="utf-8")
    assert trained.classifier.encoder.config._attn_implementation == "private_attention"


def test_the_model_card(saved):
    text = (saved / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlanguage: ko\nlibrary_name: transformers\npipeline_tag: ")
    assert "| micro-F1 | 51.25 |" in text
    assert "base_model" not in text  # the options do not name one
    assert "`per:employee_of`" in text
    assert "--model_file run_hf" in text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("klue/roberta-large", "klue/roberta-large"),
        ("bert-base-multilingual-cased", "bert-base-multilingual-cased"),
        ("mini", None),
        ("/encoders/mine", None),
        ("models/run.pth", None),
        ("src", None),  # a folder from where the tests run
        ("", None),
    ],
)
def test_only_a_hub_name_is_a_base_model(given, expected):
    assert base_model({"model_name_or_path": given}) == expected


def sentence_on_loading(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_a_foreign_folder(tmp_path):
    (tmp_path / "log.csv").write_text("epoch\n")
    assert "without kore.json" in sentence_on_loading(tmp_path)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "head.safetensors", "tokenizer.json"]
)
def test_missing_and_truncated_files(copied, name):
    content = (copied / name).read_bytes()
    for share in (0.0, 0.3, 0.99):
        (copied / name).write_bytes(content[: int(share * len(content))])
        message = sentence_on_loading(copied)
        assert "damaged or do not fit" in message
        assert "export it again" in message
    (copied / name).unlink()
    assert f"lacks {name};" in sentence_on_loading(copied)


def edit(path: Path, **changes: Any) -> None:
    """Changes values of a JSON file; None leaves a key out."""
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    kept = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"kind": "other"}, "not written by KoRE"),
        ({"format_version": 6}, "format 6, but this version of KoRE reads 5; update KoRE"),
        ({"markers": None, "labels": None}, "lacks labels, markers;"),
        ({"labels": ["no_relation", "org:founded"]}, "do not fit"),  # there were 3
        ({"labels": ["a", "a", "a"], "no_relation": "a"}, "not unique"),
        ({"pooling": "wild"}, "wild"),
        ({"markers": {"style": 1}}, "damaged"),
        ({"options": []}, "damaged"),
    ],
)
def test_another_or_edited_description(copied, changes, part):
    edit(copied / "kore.json", **changes)
    assert part in sentence_on_loading(copied)


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000])
def test_a_description_that_is_none(copied, text):
    (copied / "kore.json").write_text(text)
    assert "kore.json: not" in sentence_on_loading(copied)


def test_a_weight_that_is_missing_or_does_not_fit(copied):
    weights = load_file(copied / "model.safetensors")
    name = "encoder.layer.0.output.dense.weight"
    for changed in ({}, {name: torch.zeros(2, 2)}):
        rest = {key: value for key, value in weights.items() if key != name}
        save_file({**rest, **changed}, copied / "model.safetensors", metadata={"format": "pt"})
        assert name in sentence_on_loading(copied)


class RunsOnLoading:
    """Pickled, it makes a folder when it is read by a reader that runs what it reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.mkdir, (self.folder,)


def test_nothing_in_the_folder_is_executed(copied, tmp_path):
    ran = tmp_path / "it-ran"
    code = f"from pathlib import Path\nPath({str(ran)!r}).mkdir()\nclass C: pass\n"
    (copied / "modeling_own.py").write_text(code)
    auto_map = {"AutoModel": "modeling_own.C", "AutoConfig": "modeling_own.C"}
    edit(copied / "config.json", auto_map=auto_map)
    load_model(copied)  # a known kind of encoder is read with transformers' own code
    edit(copied / "config.json", model_type="unheard_of")
    sentence_on_loading(copied)
    (copied / "pytorch_model.bin").write_bytes(pickle.dumps(RunsOnLoading(ran)))
    (copied / "model.safetensors").unlink()
    sentence_on_loading(copied)
    assert not ran.exists()


def test_an_export_is_replaced_and_nothing_else_is(copied, tmp_path):
    (copied / "left_over.txt").write_text("of an earlier export")
    save_folder(copied, make_trained("bert", pooling="mean"))
    assert not (copied / "left_over.txt").exists()
    assert load_model(copied).model.pooling_name == "mean"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("own", "file"):
        with pytest.raises(UserError, match="is no folder that KoRE exported"):
            save_folder(tmp_path / name, make_trained("bert"))
    assert (tmp_path / "own" / "thesis.txt").read_text() == "mine"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "own", "run_hf"]
