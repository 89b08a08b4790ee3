"""Pretraining on generated text: it learns, resumes to the bit, and training takes its encoder."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.runs import save_tiny_bert, train_in, write_sample
from transformers import AutoModel, AutoTokenizer

import pretrain
from kore.common.errors import UserError
from kore.data.markers import marker_text
from kore.network.checkpoint import load_payload, save_payload
from kore.pretraining import trainer as pretrainer
from kore.pretraining import vocabulary
from kore.pretraining.trainer import STATE_KIND, Pretrainer

WORDS = ["하늘", "바람", "구름", "햇살", "안개", "이슬", "서리", "눈꽃", "파도", "모래"]
TIMES = range(5, 50)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretraining")
    write_sample(folder)
    return folder


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    for name in ("train_data.csv", "valid_data.csv"):
        (tmp_path / name).symlink_to(shared / name)
    return tmp_path


def flags_in(folder: Path, texts: str = "train_data.csv", /, **flags: Any) -> list[str]:
    chosen = {
        "model_dir": folder / "models",
        "num_layers": 1,
        "hidden_size": 64,
        "vocab_size": 1_500,
        "max_length": 48,
        "batch_size": 16,
        "num_epochs": 2,
        **flags,
    }
    arguments = [text for name, value in chosen.items() for text in (f"--{name}", str(value))]
    return [str(folder / texts), *arguments]


def weights_in(folder: Path, name: str = "pretrained") -> dict[str, torch.Tensor]:
    return load_payload(folder / "models" / f"{name}.run" / "last.pth", STATE_KIND)["weights"]


def log_of(folder: Path) -> list[dict[str, float]]:
    path = folder / "models" / "pretrained.run" / "log.csv"
    with path.open(encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_it_finds_masked_words_by_the_text_around_them(tmp_path):
    texts = [f"{' '.join([word] * times)}.\n" for word in WORDS for times in TIMES]
    (tmp_path / "texts.txt").write_text("".join(texts), encoding="utf-8")
    sizes: dict[str, Any] = {
        "vocab_size": 300,
        "num_epochs": 12,
        "learning_rate": 3e-3,
        "valid_ratio": 0.2,
    }
    pretrain.main(flags_in(tmp_path, "texts.txt", **sizes))
    log = log_of(tmp_path)
    assert [row["epoch"] for row in log] == list(range(1, 13))
    by_chance = 100 / len(WORDS)
    assert log[0]["accuracy"] < 3 * by_chance
    assert log[-1]["accuracy"] > 6 * by_chance
    assert log[-1]["valid_loss"] < log[0]["valid_loss"] / 2
    assert log[-1]["train_loss"] < log[0]["train_loss"] / 2
    assert (tmp_path / "models/pretrained.run/pretraining_curve.png").stat().st_size > 10_000


def test_its_encoder_is_taken_by_training(folder):
    pretrain.main(flags_in(folder, num_epochs=1))
    encoder = folder / "models" / "pretrained"
    saved = AutoModel.from_pretrained(encoder).state_dict()["embeddings.tok_embeddings.weight"]
    learned = weights_in(folder)["whole.model.embeddings.tok_embeddings.weight"]
    assert torch.equal(saved, learned)
    trained = train_in(folder, model_name_or_path=encoder, num_epochs=1)
    assert trained["history"][0]["auprc"] > 0


def test_the_vocabulary_knows_the_markers(folder, monkeypatch):
    """However many other letters are more frequent: here there is room for few others."""
    monkeypatch.setattr(vocabulary, "_MOST_LETTERS", 1 + len(set(vocabulary.NEEDED_LETTERS)))
    pretrain.main(flags_in(folder, num_epochs=1))
    tokenizer = AutoTokenizer.from_pretrained(folder / "models" / "pretrained")
    ids = tokenizer(marker_text(), add_special_tokens=False)["input_ids"]
    assert tokenizer.unk_token_id not in ids


def test_an_encoder_is_given_another_vocabulary(folder):
    pretrain.main(flags_in(folder, num_epochs=1))
    first = folder / "models" / "pretrained"
    again = {"model_name_or_path": first, "run_name": "again", "num_epochs": 1}
    pretrain.main(flags_in(folder, "valid_data.csv", learn_vocab="words", vocab_size=900, **again))
    second = folder / "models" / "again"
    before, after = (AutoTokenizer.from_pretrained(path).get_vocab() for path in (first, second))
    assert len(after) == AutoModel.from_pretrained(second).config.vocab_size == 900
    assert 50 < len(set(before) & set(after)) < 900


def test_an_encoder_is_trained_further(folder):
    tiny = save_tiny_bert(folder / "tiny")
    pretrain.main(flags_in(folder, model_name_or_path=tiny, learning_rate=1e-4, num_epochs=1))
    before = AutoModel.from_pretrained(tiny).state_dict()
    after = AutoModel.from_pretrained(folder / "models/pretrained").state_dict()
    change = (
        (before["embeddings.word_embeddings.weight"] - after["embeddings.word_embeddings.weight"])
        .abs()
        .max()
    )
    assert 0 < change < 0.01
    old, new = (
        AutoTokenizer.from_pretrained(path) for path in (tiny, folder / "models/pretrained")
    )
    assert old.get_vocab() == new.get_vocab()


def test_a_run_stopped_anywhere_ends_with_the_same_weights(folder, monkeypatch):
    pretrain.main(flags_in(folder, run_name="whole", dropout=0.1))
    real = Pretrainer._optimizer_step
    steps = 0

    def stopping(self, *arguments):
        nonlocal steps
        steps += 1
        if steps == 7:
            raise KeyboardInterrupt
        return real(self, *arguments)

    flags = flags_in(folder, run_name="stopped", dropout=0.1, save_steps=3)
    monkeypatch.setattr(Pretrainer, "_optimizer_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        pretrain.main(flags)
    monkeypatch.setattr(Pretrainer, "_optimizer_step", real)
    pretrain.main([*flags, "--resume"])
    whole, resumed = weights_in(folder, "whole"), weights_in(folder, "stopped")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_leaves_the_last_good_encoder(folder, monkeypatch):
    """Files cannot grow any more when the second epoch is written."""
    import resource

    pretrain.main(flags_in(folder, run_name="whole", num_epochs=2))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    real = Pretrainer._finish_epoch
    weights = folder / "models" / "stopped" / "model.safetensors"
    good: list[bytes] = []

    def finish(self):
        if self.position.epoch == 1:
            good.append(weights.read_bytes())
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        real(self)

    monkeypatch.setattr(Pretrainer, "_finish_epoch", finish)
    flags = flags_in(folder, run_name="stopped", num_epochs=2)
    try:
        message = refusal(flags)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "stopped" in message
    assert "\n" not in message
    assert good == [weights.read_bytes()]
    assert AutoModel.from_pretrained(weights.parent).config.model_type == "modernbert"
    assert not list((folder / "models").glob(".*"))  # nothing half-written is left
    monkeypatch.setattr(Pretrainer, "_finish_epoch", real)
    pretrain.main([*flags, "--resume"])
    whole, resumed = weights_in(folder, "whole"), weights_in(folder, "stopped")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_is_made_longer_before_its_rate_falls(folder, monkeypatch):
    """Stopped before the last fifth, it ends as if it had been begun with more epochs."""
    always = {"save_steps": 1, "warmup_ratio": 0, "batch_size": 8}
    pretrain.main(flags_in(folder, run_name="whole", num_epochs=3, **always))
    real = Pretrainer._optimizer_step

    def stopping(self, batch, number):
        if number == 4:
            raise KeyboardInterrupt
        return real(self, batch, number)

    monkeypatch.setattr(Pretrainer, "_optimizer_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        pretrain.main(flags_in(folder, run_name="longer", num_epochs=1, **always))
    monkeypatch.setattr(Pretrainer, "_optimizer_step", real)
    pretrain.main([*flags_in(folder, run_name="longer", num_epochs=3, **always), "--resume"])
    whole, longer = weights_in(folder, "whole"), weights_in(folder, "longer")
    assert all(torch.equal(whole[name], longer[name]) for name in whole)
    after = flags_in(folder, run_name="longer", num_epochs=5, **always)
    assert "--num_epochs was 3, is 5, but after" in refusal([*after, "--resume"])


def test_an_epoch_of_so_many_optimizer_steps_changes_no_weight(folder, monkeypatch):
    """Passes over the texts follow each other, wherever an epoch ends."""
    numbers: list[int] = []
    real = Pretrainer._optimizer_step

    def counted(self, batch, number):
        numbers.append(number)
        return real(self, batch, number)

    monkeypatch.setattr(Pretrainer, "_optimizer_step", counted)
    pretrain.main(flags_in(folder, run_name="passes", num_epochs=2, batch_size=8))
    steps = len(numbers)
    flags = flags_in(folder, run_name="steps", num_epochs=steps, epoch_steps=1, batch_size=8)
    pretrain.main(flags)
    assert numbers == [*range(steps), *range(steps)]
    assert len((folder / "models/steps.run/log.csv").read_text().splitlines()) == 1 + steps
    by_pass, by_step = weights_in(folder, "passes"), weights_in(folder, "steps")
    assert all(torch.equal(by_pass[name], by_step[name]) for name in by_pass)


def test_ctrl_c_saves_and_says_how_to_continue(folder, monkeypatch):
    real = Pretrainer._optimizer_step
    steps: list[int] = []

    def interrupted(self, batch, number):
        steps.append(number)
        if number == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, batch, number)

    monkeypatch.setattr(Pretrainer, "_optimizer_step", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"the same command with .*pretrained --resume"):
        pretrain.main(flags_in(folder))
    assert steps[-1] == 4
    pretrain.main([*flags_in(folder), "--resume"])
    assert steps[5] == 5  # step 4 was finished and saved


def test_too_few_rows_for_the_micro_batches_of_a_step(folder):
    flags = flags_in(folder, batch_size=1, gradient_accumulation_steps=500)
    assert "too few for 500 micro-batches" in refusal(flags)


def test_each_micro_batch_has_its_own_dropout(folder, monkeypatch):
    seeds: list[int] = []
    real = torch.manual_seed

    def noted(seed: int) -> torch.Generator:
        seeds.append(seed)
        return real(seed)

    flags = flags_in(folder, num_epochs=1, dropout=0.1, gradient_accumulation_steps=2)
    monkeypatch.setattr(torch, "manual_seed", noted)
    pretrain.main(flags)
    of_micro_batches = [seed for seed in seeds if seed > 1_000_003]
    assert len(of_micro_batches) >= 4
    assert len(set(of_micro_batches)) == len(of_micro_batches)


def test_accumulated_micro_batches_make_the_same_step(folder):
    """The gradient of a step is the mean over its masked tokens, in however many micro-batches."""
    same = {"num_epochs": 1, "precision": "fp32", "optimizer": "adamw"}  # Muon rounds to bf16
    pretrain.main(flags_in(folder, run_name="one", **same))
    two = {"batch_size": 8, "gradient_accumulation_steps": 2}
    pretrain.main(flags_in(folder, run_name="two", **same, **two))
    one, other = weights_in(folder, "one"), weights_in(folder, "two")
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], rtol=1e-3, atol=1e-4)


def test_labels_are_never_read(folder):
    """Whatever stands in the column, or none, the run is the same."""
    rows = (folder / "train_data.csv").read_text(encoding="utf-8").splitlines()
    pretrain.main(flags_in(folder, run_name="labelled", num_epochs=1))
    with (folder / "train_data.csv").open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    assert len(records) == len(rows) - 1
    with (folder / "blind.jsonl").open("w", encoding="utf-8") as file:
        for record in records:
            del record["label"]
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    flags = flags_in(folder, run_name="blind", num_epochs=1)
    pretrain.main([str(folder / "blind.jsonl"), *flags[1:]])
    labelled, blind = weights_in(folder, "labelled"), weights_in(folder, "blind")
    assert all(torch.equal(labelled[name], blind[name]) for name in labelled)


def refusal(flags: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        pretrain.main(flags)
    return str(caught.value)


def test_what_is_refused(folder, tmp_path):
    (folder / "short.txt").write_text("한 줄\n", encoding="utf-8")
    flags = flags_in(folder)
    assert "too few to learn from" in refusal([str(folder / "short.txt"), *flags[1:]])
    assert "none.txt: no such file" in refusal([str(folder / "none.txt"), *flags[1:]])
    assert "has positions for 512 tokens" in refusal(flags_in(folder, max_length=600))
    assert "expected a multiple of 64" in refusal(flags_in(folder, hidden_size=100))
    assert "nothing to --resume" in refusal([*flags, "--resume"])
    assert "is no file name" in refusal(flags_in(folder, run_name="a/b"))
    assert not (folder / "models").exists()


def test_a_run_is_neither_overwritten_nor_continued_otherwise(folder):
    flags = flags_in(folder, num_epochs=1)
    pretrain.main(flags)
    assert "is already there" in refusal(flags)
    message = refusal([*flags, "--resume", "--mask_ratio", "0.2"])
    assert "--mask_ratio was 0.3, is 0.2" in message
    other = folder / "train_data.csv"
    text = other.read_text(encoding="utf-8")
    other.unlink()
    other.write_text(text.replace("다.", "다!"), encoding="utf-8")
    assert "the content of --files has changed" in refusal([*flags, "--resume"])


def test_texts_that_were_moved_are_continued(folder):
    flags = flags_in(folder, num_epochs=1)
    pretrain.main(flags)
    (folder / "train_data.csv").rename(folder / "moved.csv")
    pretrain.main([str(folder / "moved.csv"), *flags[1:], "--resume"])


def test_a_state_of_another_version_is_refused(folder):
    flags = flags_in(folder, num_epochs=1)
    pretrain.main(flags)
    last = folder / "models" / "pretrained.run" / "last.pth"
    state = load_payload(last, STATE_KIND)
    del state["manifest"], state["state_version"]  # as in 0.5
    save_payload(last, STATE_KIND, state)
    assert "last.pth was written by another version of KoRE" in refusal([*flags, "--resume"])


def test_a_loss_that_is_no_number_stops(folder, monkeypatch):
    monkeypatch.setattr(
        pretrainer.functional,
        "cross_entropy",
        lambda logits, wanted, reduction: logits.sum() * torch.nan,
    )
    assert "the loss is nan in epoch 1" in refusal(flags_in(folder))
