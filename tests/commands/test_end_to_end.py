"""What a user does, from a CSV to a scored submission, with the commands as they are documented."""

from __future__ import annotations

import ast
import csv
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.processes import start_command
from tests.runs import (
    REPOSITORY,
    assert_one_sentence,
    command,
    final_state,
    read_json,
    save_tiny_bert,
    train_flags,
    write_sample,
)
from transformers import (
    BertConfig,
    BertModel,
    ElectraConfig,
    ElectraModel,
    RobertaConfig,
    RobertaModel,
)

import train
from kore.data.records import write_examples
from kore.data.sample_run import make_sample
from kore.data.schema import BLIND_LABEL, Entity, Example, Span
from kore.network import mini
from kore.network.checkpoint import STATE_KIND, load_model, load_payload

SHARED_DATA = REPOSITORY.parent / "shared" / "data" / "klue_re"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with data, a tiny encoder, and one trained run."""
    folder = tmp_path_factory.mktemp("user")
    write_sample(folder)
    save_tiny_bert(folder / "tiny")
    # DESIGN's command, word for word but for paths, encoder and the size of the run.
    result = command(
        "train.py",
        *("--train_file", "train_data.csv", "--valid_file", "valid_data.csv"),
        *("--model_name_or_path", "tiny", "--max_length", "128", "--batch_size", "16"),
        *("--num_epochs", "3", "--learning_rate", "3e-3", "--use_cuda", "False"),
        *("--use_entity_markers", "True", "--use_entity_types", "True"),
        *("--use_span_pooling", "True", "--dropout", "0.1"),
        *("--label2id_path", "src/tools/dict_label_to_num.pkl"),
        *("--id2label_path", "src/tools/dict_num_to_label.pkl", "--model_dir", "models"),
        *("--focal_loss", "--label_smoothing", "0.09", "--alpha", "1.0", "--gamma", "2.0"),
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    return folder


def predict(folder: Path, *flags: str, model: str = "models/tiny-1.pth") -> Path:
    """Runs inference as documented; returns the CSV it names."""
    result = command(
        "inference.py",
        *("--model_file", model, "--model_dir", "models", "--output_dir", "outputs", *flags),
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    return folder / result.stdout.split()[-1]


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_is_submission(path: Path, test_file: Path, names: tuple[str, ...]) -> None:
    """The contract: ids and order of the input, C probabilities, the largest is pred_label's."""
    rows = read_rows(path)
    assert [row["id"] for row in rows] == [row["id"] for row in read_rows(test_file)]
    for row in rows:
        assert list(row) == ["id", "pred_label", "probs"]
        probs = ast.literal_eval(row["probs"])
        assert len(probs) == len(names)
        assert sum(probs) == pytest.approx(1, abs=1e-6)
        assert names[probs.index(max(probs))] == row["pred_label"]


def test_train_infer_evaluate(folder: Path) -> None:
    test_file = folder / "test_data.csv"
    submission = predict(folder, "--test_file", "test_data.csv")
    assert submission == folder / "outputs" / "tiny-1_test_data.csv"
    names = load_model(folder / "models" / "tiny-1.pth").labels.names
    assert_is_submission(submission, test_file, names)
    result = command(
        "evaluation.py",
        *("--prediction_file", str(submission), "--gold_file", str(test_file)),
        *("--output_dir", str(folder / "report")),
    )
    assert result.returncode == 0, result.stderr
    scores = read_json(folder / "report" / "scores.json")
    assert scores["rows"] == 200
    gold = [row["label"] for row in read_rows(test_file)]
    predicted = [row["pred_label"] for row in read_rows(submission)]
    right = sum(one == other for one, other in zip(gold, predicted, strict=True))
    assert scores["accuracy"] == pytest.approx(100 * right / 200)
    assert f"micro-F1 {scores['micro_f1']:.2f}" in result.stdout
    assert (folder / "report" / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")


def test_blind_labels_and_unseen_types_are_predicted(folder: Path) -> None:
    rows = [
        Example("b", "새봄이 돛대를 샀다.", Entity("새봄", Span(0, 2), "ANIMAL"),
                Entity("돛대", Span(4, 6), "PER"), BLIND_LABEL),
        Example("a", "가" * 4000 + "나", Entity("가" * 3999, Span(0, 3999), "PER"),
                Entity("나", Span(4000, 4001), "ORG"), BLIND_LABEL),
    ]  # fmt: skip
    write_examples(folder / "odd.csv", rows)
    submission = predict(folder, "--test_file", "odd.csv")
    assert [row["id"] for row in read_rows(submission)] == ["b", "a"]


def test_prediction_is_the_same_alone_and_in_a_file(folder: Path) -> None:
    """Validation during training and inference afterwards take the same path."""
    valid = folder / "valid_data.csv"
    submission = predict(folder, "--test_file", "valid_data.csv", "--precision", "bf16")
    gold = {row["id"]: row["label"] for row in read_rows(valid)}
    right = sum(row["pred_label"] == gold[row["id"]] for row in read_rows(submission))
    trained = load_model(folder / "models" / "tiny-1.pth")
    assert 100 * right / len(gold) == pytest.approx(trained.scores["accuracy"], abs=2)


def test_own_schema_with_two_flags(tmp_path: Path) -> None:
    """Other relations, other types, and another name for the negative relation."""
    relations = {"no_relation": "관계없음", "per:title": "직함", "org:members": "산하"}
    types = {"PER": "인물", "ORG": "회사", "POH": "직책", "LOC": "곳", "DAT": "때", "NOH": "수"}
    sample = make_sample(600, seed=3)
    for name, part in (("train", sample.train), ("valid", sample.valid)):
        rows = [
            row._replace(
                label=relations.get(str(row.label), "기타관계"),
                subject=row.subject._replace(type=types[row.subject.type]),
                object=row.object._replace(type=types[row.object.type]),
            )
            for row in part
        ]
        write_examples(tmp_path / f"{name}_data.csv", rows)
    save_tiny_bert(tmp_path / "tiny")
    own = ("--label2id_path", "auto", "--no_relation_label", "관계없음")
    result = command("train.py", *train_flags(tmp_path), *own)
    assert result.returncode == 0, result.stderr
    trained = load_model(tmp_path / "models" / "run.pth")
    assert trained.labels.names == ("관계없음", "기타관계", "산하", "직함")
    assert trained.input_encoder.scheme.types == tuple(sorted(types.values()))
    submission = predict(tmp_path, "--test_file", "valid_data.csv", model="run.pth")
    result = command(
        "evaluation.py",
        *("--prediction_file", str(submission), "--gold_file", str(tmp_path / "valid_data.csv")),
        *("--output_dir", str(tmp_path / "report")),
    )
    assert result.returncode == 0, result.stderr
    relations_scored = [
        row["relation"] for row in read_json(tmp_path / "report/scores.json")["relations"]
    ]
    assert relations_scored == list(trained.labels.names)


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra"])
def test_any_encoder_folder(folder: Path, tmp_path: Path, kind: str) -> None:
    """RoBERTa here is built as klue/roberta: a BERT tokenizer and one token type."""
    tokenizer = mini.learn_tokenizer((row.sentence for row in make_sample(300, 7).train), 400)
    size: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 130,
    }
    encoder = {
        "bert": lambda: BertModel(BertConfig(**size)),
        "roberta": lambda: RobertaModel(RobertaConfig(**size, type_vocab_size=1, pad_token_id=1)),
        "electra": lambda: ElectraModel(ElectraConfig(**size, embedding_size=8)),
    }[kind]()
    encoder.save_pretrained(tmp_path / kind)
    tokenizer.save_pretrained(tmp_path / kind)
    flags = train_flags(
        folder,
        model_name_or_path=tmp_path / kind,
        model_dir=tmp_path / "models",
        num_epochs=1,
        marker_style="special",
        span_pooling="start",
        use_cuda="False",
    )
    train.main(flags)
    trained = load_model(tmp_path / "models" / "run.pth")
    vocabulary = trained.input_encoder.tokenizer.get_vocab()
    for token in ("[E1-PER]", "[/E2-ORG]"):
        assert len(tokenizer) <= vocabulary[token] < len(tokenizer) + 28
    model = str(tmp_path / "models" / "run.pth")
    submission = predict(folder, "--test_file", "test_data.csv", model=model)
    assert len(read_rows(submission)) == 200


def test_sigkill_and_resume_end_with_the_same_weights(folder: Path, tmp_path: Path) -> None:
    flags = train_flags(folder, save_steps=1, num_epochs=2, run_name="whole")
    assert command("train.py", *flags).returncode == 0
    flags = train_flags(folder, save_steps=1, num_epochs=2, run_name="killed")
    process = start_command("train.py", flags, tmp_path / "log")
    state = folder / "models" / "killed" / "last.pth"
    process.wait_for(state)
    # Saved after every optimizer step: the kill falls into some later one.
    while load_payload(state, STATE_KIND)["position"]["step"] < 2:
        assert process.returncode is None, process.output()
        time.sleep(0.01)
    process.kill()
    assert process.returncode == -signal.SIGKILL
    assert len(final_state(folder, "killed")["history"]) < 2
    assert command("train.py", *flags, "--resume").returncode == 0
    whole, killed = final_state(folder, "whole"), final_state(folder, "killed")
    for name, weight in whole["weights"].items():
        assert torch.equal(weight, killed["weights"][name]), name


def test_ctrl_c_in_a_terminal(folder: Path, tmp_path: Path) -> None:
    flags = train_flags(folder, num_epochs=500, run_name="interrupted")
    process = start_command("train.py", flags, tmp_path / "log")
    process.wait_for(folder / "models" / "interrupted" / "last.pth")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.output().rstrip().endswith("--run_name interrupted --resume")
    assert "Traceback" not in process.output()


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"train_file": "nowhere.csv"}, ["nowhere.csv: no such file"]),
        ({"train_file": "x.txt"}, ["x.txt", ".csv, .json, .jsonl"]),
        ({"label_smoothing": "1"}, ["--label_smoothing is 1.0", "[0, 1)"]),
        ({"alpha": "0", "gamma": "-1"}, ["--alpha is 0.0", "--gamma is -1.0"]),
        ({"dropout": "nan"}, ["--dropout is nan"]),
        ({"batch_size": "0"}, ["--batch_size is 0"]),
        ({"model_dir": "/proc/none/models"}, ["/proc/none/models"]),
        ({"no_such_flag": "1"}, ["--no_such_flag", "--help"]),
    ],
)
def test_mistakes_end_in_one_sentence(
    folder: Path, change: dict[str, str], parts: list[str]
) -> None:
    name = "mistake"
    flags = train_flags(folder, run_name=name, **change)
    assert_one_sentence(command("train.py", *flags), *parts)
    assert not (folder / "models" / f"{name}.pth").exists()


def test_inference_keeps_the_old_file_when_it_fails(folder: Path) -> None:
    submission = predict(folder, "--test_file", "test_data.csv", "--output_name", "kept.csv")
    before = submission.read_bytes()
    (folder / "bad.csv").write_text(
        "id,sentence,subject_entity,object_entity\n"
        "1,가 나,\"__import__('os').system('touch ran')\",\"{}\"\n",
        encoding="utf-8",
    )
    result = command(
        "inference.py",
        *("--model_file", "models/tiny-1.pth", "--test_file", "bad.csv"),
        *("--output_name", "kept.csv"),
        cwd=folder,
    )
    assert_one_sentence(result, "bad.csv:2 subject_entity", "bad.csv:2 object_entity")
    assert submission.read_bytes() == before
    assert not (folder / "ran").exists()


def test_truncated_checkpoint_is_reported(folder: Path) -> None:
    whole = (folder / "models" / "tiny-1.pth").read_bytes()
    (folder / "half.pth").write_bytes(whole[: len(whole) // 2])
    result = command("inference.py", "--model_file", "half.pth", "--test_file", "test_data.csv",
                     cwd=folder)  # fmt: skip
    assert_one_sentence(result, "half.pth", "truncated")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_model_dir_without_permission(folder: Path) -> None:
    locked = folder / "locked"
    locked.mkdir(mode=0o500)
    assert_one_sentence(command("train.py", *train_flags(folder, model_dir=locked)), "locked")


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="needs the real rows beside the repository")
def test_real_submission(folder: Path) -> None:
    test_file = SHARED_DATA / "test_data_unlabelled.csv"
    submission = predict(folder, "--test_file", str(test_file))
    names = load_model(folder / "models" / "tiny-1.pth").labels.names
    assert len(read_rows(submission)) == 7765
    assert_is_submission(submission, test_file, names)
