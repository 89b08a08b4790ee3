"""A checkpoint carries the whole model, and anything else ends in one sentence."""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.builders import EXAMPLES, logits_of, make_trained, save_encoder

from kore.common.errors import UserError
from kore.network.checkpoint import (
    MODEL_KIND,
    STATE_KIND,
    encoder_of,
    load_model,
    load_payload,
    model_payload,
    save_model,
    save_payload,
)
from kore.network.hf_folder import save_folder
from kore.network.locate import newest_model
from kore.network.pretrained import load_pretrained

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("kind", "style", "pooling"),
    [
        ("bert", "punct", "attention"),
        ("roberta", "special", "start"),
        ("electra", "special", "mean"),
        ("deberta", "punct", "max"),
        ("mini", "special", "attention"),
        ("mini", "punct", "cls"),
    ],
)
def test_a_loaded_model_gives_the_same_logits_to_the_bit(kind, style, pooling, tmp_path):
    trained = make_trained(kind, style, pooling)
    path = tmp_path / "run.pth"
    save_model(path, trained)
    torch.manual_seed(99)  # weights that were drawn anew would differ
    loaded = load_model(path)
    assert loaded.input_encoder.encode(EXAMPLES) == trained.input_encoder.encode(EXAMPLES)
    assert torch.equal(logits_of(loaded), logits_of(trained))


def test_everything_that_is_not_a_weight_travels(tmp_path):
    trained = make_trained("bert", "special", "mean", max_length=48)
    trained.type_pairs = (("ORG", "DAT"), ("PER", "ORG"))
    save_model(tmp_path / "run.pth", trained)
    loaded = load_model(tmp_path / "run.pth")
    assert loaded.type_pairs == (("ORG", "DAT"), ("PER", "ORG"))
    assert loaded.labels.names == ("no_relation", "per:employee_of", "org:founded")
    assert loaded.labels.no_relation == "no_relation"
    assert loaded.input_encoder.scheme == trained.input_encoder.scheme
    assert loaded.input_encoder.scheme.types == ("DAT", "ORG", "PER")
    assert loaded.input_encoder.max_length == 48
    assert loaded.model.pooling_name == "mean"
    assert loaded.options == {"dropout": 0.2, "seed": 42}
    assert loaded.scores == {"epoch": 2, "micro_f1": 51.25}


def test_added_and_special_tokens_travel(tmp_path):
    save_model(tmp_path / "run.pth", make_trained("bert", "special"))
    tokenizer = load_model(tmp_path / "run.pth").input_encoder.tokenizer
    assert tokenizer.tokenize("[E1-PER]김도율[/E1-PER]")[0] == "[E1-PER]"
    assert tokenizer.convert_tokens_to_ids("[/E2]") != tokenizer.unk_token_id
    assert tokenizer.special_tokens_map == {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }


def test_dropout_of_a_loaded_model_is_that_of_the_training(tmp_path):
    save_model(tmp_path / "run.pth", make_trained("bert"))
    model = load_model(tmp_path / "run.pth").model
    rates = {part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)}
    assert rates == {0.2}


def test_a_schema_without_no_relation_travels(tmp_path):
    trained = make_trained("bert")
    payload = {**model_payload(trained), "no_relation": None}
    save_payload(tmp_path / "run.pth", MODEL_KIND, payload)
    assert load_model(tmp_path / "run.pth").labels.positive == [0, 1, 2]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "run.pth"
    save_model(path, make_trained("bert"))
    return path


def sentence_on_loading(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_the_file_is_read_by_torch_weights_only(saved):
    payload = torch.load(saved, weights_only=True)
    assert payload["kind"] == "kore-model"
    assert payload["format_version"] == 6


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.3, 0.9, 0.999])
def test_a_truncated_file(saved, tmp_path, share):
    path = tmp_path / "cut.pth"
    content = saved.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "not a whole KoRE checkpoint" in sentence_on_loading(path)


@pytest.mark.parametrize(
    "content",
    [
        "한국어로 쓴 글.\n".encode(),
        b"id,pred_label,probs\n0,no_relation,[1.0]\n",
        b"PK\x03\x04 a broken archive",
        b"\x80\x02J\x01",  # a pickle that ends inside a number
        pickle.dumps({"no_relation": 0}),
    ],
)
def test_a_foreign_file(tmp_path, content, recwarn):
    path = tmp_path / "foreign.pth"
    path.write_bytes(content)
    message = sentence_on_loading(path)
    assert "not a whole KoRE checkpoint" in message or "not a kore-model file" in message
    assert not recwarn.list  # the sentence stands alone


def test_random_bytes_never_end_in_anything_but_the_sentence(saved, tmp_path):
    """Also bytes that a pickle machine takes for instructions, at any place."""
    generator = random.Random(0)
    path = tmp_path / "noise.pth"
    for _ in range(300):
        path.write_bytes(generator.randbytes(generator.randrange(1, 40)))
        sentence_on_loading(path)


@pytest.mark.parametrize("content", [torch.zeros(3), {"weights": {}}, {"kind": "other"}, [1, 2]])
def test_a_torch_file_of_something_else(tmp_path, content):
    path = tmp_path / "other.pth"
    torch.save(content, path)
    assert "not a kore-model file" in sentence_on_loading(path)


def test_a_training_state_is_no_model(tmp_path):
    path = tmp_path / "last.pth"
    save_payload(path, STATE_KIND, {"position": {}})
    assert "not a kore-model file" in sentence_on_loading(path)


class RunsOnLoading:
    """Pickled, it makes a folder when it is read by a reader that runs what it reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_file_that_tries_to_run_code_does_not(tmp_path):
    folder = tmp_path / "it-ran"
    hostile = {"kind": MODEL_KIND, "format_version": 1, "weights": RunsOnLoading(folder)}
    torch.save(hostile, tmp_path / "archive.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(hostile))
    for name in ("archive.pth", "plain.pth"):
        assert "not a whole KoRE checkpoint" in sentence_on_loading(tmp_path / name)
        assert not folder.exists()
    pickle.loads((tmp_path / "plain.pth").read_bytes())
    assert folder.exists()  # the trap itself works


def test_a_newer_format(tmp_path):
    path = tmp_path / "new.pth"
    save_payload(path, MODEL_KIND, {"format_version": 7})
    assert "format 7" in sentence_on_loading(path)
    assert "update KoRE" in sentence_on_loading(path)


def test_a_missing_file(tmp_path):
    assert "no such checkpoint" in sentence_on_loading(tmp_path / "none.pth")


def altered(saved: Path, folder: Path, **changes: Any) -> Path:
    """The checkpoint with other values; None leaves a key out."""
    payload = {**load_payload(saved, MODEL_KIND), **changes}
    path = folder / "altered.pth"
    save_payload(
        path, MODEL_KIND, {key: value for key, value in payload.items() if value is not None}
    )
    return path


def test_all_missing_keys_are_listed(saved, tmp_path):
    path = altered(saved, tmp_path, tokenizer=None, max_length=None, scores=None)
    assert "lacks tokenizer, max_length, scores;" in sentence_on_loading(path)


def test_weights_that_do_not_fit(saved, tmp_path):
    path = altered(saved, tmp_path, labels=["no_relation", "per:employee_of"])  # there were 3
    message = sentence_on_loading(path)
    assert "do not fit" in message
    assert "size mismatch for log_odds" in message


def test_a_missing_weight(saved, tmp_path):
    weights = dict(load_payload(saved, MODEL_KIND)["weights"])
    del weights["head.1.bias"]
    assert "head.1.bias" in sentence_on_loading(altered(saved, tmp_path, weights=weights))


# Runs in a process of its own, as the limit cannot be lifted again.
SAVE_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from kore.network.checkpoint import save_payload
from kore.common.errors import UserError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the refusal of a full disk, an OSError
path = Path(sys.argv[1])
for limit in (100, 4_000, 400_000):  # at the head, among the tensors, at the very end
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        save_payload(path, "kore-model", {"weights": torch.zeros(100_000)})
    except UserError as error:
        print(error)
"""


def test_a_full_disk_leaves_the_earlier_checkpoint_as_it_was(tmp_path):
    pytest.importorskip("resource")  # POSIX only
    path = tmp_path / "run.pth"
    save_payload(path, MODEL_KIND, {"scores": {"micro_f1": 1.0}})
    before = path.read_bytes()
    assert len(before) < 4_000
    done = subprocess.run(
        [sys.executable, "-c", SAVE_ON_A_FULL_DISK, str(path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    messages = done.stdout.splitlines()
    assert len(messages) == 3, done.stderr
    for message in messages:
        assert message.startswith(f"{path} cannot be written (File too large)")
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pth"]
    assert path.read_bytes() == before


def test_a_defect_of_ours_is_not_called_a_full_disk(tmp_path):
    with pytest.raises((AttributeError, pickle.PicklingError)):
        save_payload(tmp_path / "run.pth", MODEL_KIND, {"weights": lambda: None})
    assert list(tmp_path.iterdir()) == []


def test_newest_model(tmp_path):
    assert newest_model(tmp_path) is None
    for name, seconds in (("b.pth", 100), ("c.pth", 300), ("a.pth", 200), ("later.csv", 400)):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (seconds, seconds))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "last.pth").write_bytes(b"")  # a training state, newer than all
    assert newest_model(tmp_path) == tmp_path / "c.pth"


def test_newest_model_leaves_out_single_folds(tmp_path, caplog):
    """As k-fold training leaves them; a run that only has such a name is a run."""
    caplog.set_level(logging.INFO, "kore")
    names = ("run-fold1.pth", "run-fold2.pth", "my-fold1.pth")
    for seconds, name in enumerate(names, start=100):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (seconds, seconds))
    for fold in ("fold1", "fold2"):
        (tmp_path / "run" / fold).mkdir(parents=True)
    os.utime(tmp_path / "run-fold2.pth", (900, 900))
    assert newest_model(tmp_path) == tmp_path / "my-fold1.pth"
    assert caplog.text == ""
    (tmp_path / "my-fold1.pth").unlink()
    assert newest_model(tmp_path) == tmp_path / "run-fold2.pth"
    assert "run-fold2.pth is taken, the newest checkpoint of" in caplog.text


def test_temperature_travels_and_is_1_in_an_older_checkpoint(tmp_path):
    trained = make_trained()
    trained.classifier.temperature.fill_(0.5)
    save_model(tmp_path / "new.pth", trained)
    assert float(load_model(tmp_path / "new.pth").classifier.temperature) == 0.5
    payload = model_payload(trained)
    del payload["weights"]["temperature"]
    save_payload(tmp_path / "old.pth", MODEL_KIND, payload)
    assert float(load_model(tmp_path / "old.pth").classifier.temperature) == 1.0


@pytest.mark.parametrize("save", [save_model, save_folder])
def test_expected_class_shares_travel(tmp_path, save):
    trained = make_trained()
    odds = torch.linspace(-1, 1, len(trained.labels))
    trained.classifier.log_odds.copy_(odds)
    save(tmp_path / "new.pth", trained)
    assert torch.equal(load_model(tmp_path / "new.pth").classifier.log_odds, odds)


def test_an_older_checkpoint_expects_the_class_shares_of_its_training(tmp_path):
    trained = make_trained()
    trained.classifier.log_odds.fill_(1.0)
    payload = model_payload(trained)
    del payload["weights"]["log_odds"]
    save_payload(tmp_path / "old.pth", MODEL_KIND, payload)
    assert not load_model(tmp_path / "old.pth").classifier.log_odds.any()


@pytest.mark.parametrize("changed", [{"tokenizer": "{3: 4}"}, {"options": None}, {"labels": 7}])
def test_a_damaged_description_has_one_sentence(tmp_path: Path, changed: dict[str, Any]) -> None:
    path = tmp_path / "a.pth"
    save_payload(path, MODEL_KIND, {**model_payload(make_trained()), **changed})
    with pytest.raises(UserError, match=r"a\.pth: its description is damaged \(.*; train it again"):
        load_model(path)


@pytest.mark.parametrize("kind", ["bert", "roberta", "modernbert"])
def test_a_resumed_model_drops_where_the_one_that_was_saved_did(tmp_path: Path, kind: str) -> None:
    """Its random numbers would be others from the first step on."""
    encoder, _ = load_pretrained(save_encoder(tmp_path, kind), 0.1)
    again, _ = encoder_of(
        {
            "encoder_config": json.loads(encoder.config.to_json_string(use_diff=False)),
            "options": {"dropout": 0.1},
        }
    )

    def places(model: torch.nn.Module) -> list[tuple[str, float]]:
        return [(name, one.p) for name, one in model.named_modules() if hasattr(one, "p")]

    assert places(again) == places(encoder) != []
