"""Training of a tagger on a random BERT of 2 layers x 32: files, resuming, faults."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.builders import make_example
from tests.network.test_tagger import make_tagger
from tests.runs import as_flags, read_json, save_tiny_bert

import train_ner
from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions
from kore.data.ner import TaggedText, marked_texts, read_tagged, tags_of, write_klue
from kore.data.records import write_examples
from kore.data.sample_run import make_sample, tagged_row
from kore.data.schema import Entity, Span
from kore.network.checkpoint import load_payload
from kore.network.tagger_file import load_tagger
from kore.prediction.tagging import EntityFinder
from kore.scoring.ner import score_entities
from kore.training.ner_options import TrainNerOptions
from kore.training.ner_run import read_texts
from kore.training.tagging import (
    NOT_INSIDE,
    TAGGER_STATE_KIND,
    UNKNOWN_TAG,
    TaggingObjective,
    best_outside_bias,
    encode_texts,
    inside_tokens,
)
from kore.training.trainer import Trainer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ner")
    texts = [tagged_row(row) for row in make_sample(300, seed=7).train[:120]]
    write_klue(folder / "ner.tsv", texts)
    assert read_tagged(folder / "ner.tsv") == texts
    save_tiny_bert(folder / "tiny")
    return folder


def flags(data: Path, folder: Path, **changed: Any) -> list[str]:
    chosen: dict[str, Any] = {
        "train_file": data / "ner.tsv",
        "model_name_or_path": data / "tiny",
        "model_dir": folder / "models",
        "num_epochs": 3,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "run_name": "run",
        **changed,
    }
    return as_flags(**chosen)


def train_in(data: Path, folder: Path, **changed: Any) -> dict[str, Any]:
    train_ner.main(flags(data, folder, **changed))
    last = folder / "models" / changed.get("run_name", "run") / "last.pth"
    weights: dict[str, Any] = load_payload(last, TAGGER_STATE_KIND)["model"]["weights"]
    return weights


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("unbroken")
    return folder, train_in(data, folder)


def test_a_run_learns_and_writes_every_file(unbroken: tuple[Path, dict[str, Any]]) -> None:
    folder = unbroken[0] / "models" / "run"
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["last.pth", "learning_curve.png", "log.csv", "options.json"]
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["valid_loss"]) for row in rows]
    assert losses[0] > losses[1] > losses[2]
    assert read_json(folder / "options.json")["max_length"] == 128
    trained = load_tagger(folder.with_suffix(".pth"))
    best = max(rows, key=lambda row: float(row["micro_f1"]))
    assert trained.scores["epoch"] == int(best["epoch"])
    assert float(best["accuracy"]) > 50
    assert trained.types == ("DAT", "LOC", "NOH", "ORG", "PER", "POH")


def test_the_scores_are_those_of_what_the_checkpoint_finds(
    data: Path, unbroken: tuple[Path, dict[str, Any]]
) -> None:
    """By the way that `kore tag` takes, from texts to entities."""
    trained = load_tagger(unbroken[0] / "models" / "run.pth")
    _, held_out = read_texts(TrainNerOptions(train_file=str(data / "ner.tsv")))
    assert len(held_out) == 24
    finder = EntityFinder(trained, make_accelerator(DeviceOptions(use_cuda="False")))
    found = [[hit.entity for hit in hits] for hits in finder([row.text for row in held_out])]
    pairs = [
        ([(e.span, e.type) for e in row.entities], [(e.span, e.type) for e in own])
        for row, own in zip(held_out, found, strict=True)
    ]
    tags = [
        (tags_of(row.text, row.entities), tags_of(row.text, own))
        for row, own in zip(held_out, found, strict=True)
    ]
    scores = score_entities(
        [gold for gold, _ in pairs],
        [own for _, own in pairs],
        [gold for gold, _ in tags],
        [own for _, own in tags],
        trained.tags,
    )
    for name in ("micro_f1", "macro_f1", "character_f1", "accuracy"):
        assert getattr(scores, name) == pytest.approx(trained.scores[name])
    assert 0 < scores.accuracy < 100


@pytest.fixture(scope="module")
def with_ngrams(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return train_in(data, tmp_path_factory.mktemp("ngrams"), ngram_buckets=500)


def test_ngrams_are_fitted_before_the_encoder_learns(
    unbroken: tuple[Path, dict[str, Any]], with_ngrams: dict[str, Any]
) -> None:
    """The encoder learns as it does without them, and they as if there were no encoder."""
    assert with_ngrams["ngrams.table"].shape == (500, 13)
    assert float(with_ngrams["ngrams.table"].abs().max()) > 0.1
    for name, weight in unbroken[1].items():
        if name != "outside_bias":  # which is fitted to the sum
            assert torch.equal(weight, with_ngrams[name]), name


@pytest.mark.parametrize(("step", "buckets"), [(1, 500), (8, 0)])
def test_a_killed_run_resumes_to_the_same_weights(
    data: Path,
    tmp_path: Path,
    unbroken: tuple[Path, dict[str, Any]],
    with_ngrams: dict[str, Any],
    step: int,
    buckets: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = Trainer._optimizer_step

    def stopped(self: Trainer, batch: Any, number: int) -> Any:
        if number == step:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, batch, number)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_optimizer_step", stopped)
        with pytest.raises(KeyboardInterrupt, match="--run_name run --resume"):
            train_in(data, tmp_path, ngram_buckets=buckets)
    weights = train_in(data, tmp_path, ngram_buckets=buckets, resume=True)
    for name, weight in (with_ngrams if buckets else unbroken[1]).items():
        assert torch.equal(weight, weights[name]), name


def test_held_out_texts_are_the_same_for_every_seed(data: Path) -> None:
    def held_out(**changed: Any) -> list[TaggedText]:
        return read_texts(TrainNerOptions(train_file=str(data / "ner.tsv"), **changed))[1]

    assert held_out(seed=1) == held_out(seed=2)
    assert len(held_out(valid_ratio=0.5)) == 60
    kept, held = read_texts(TrainNerOptions(train_file=str(data / "ner.tsv")))
    everything = read_tagged(data / "ner.tsv")
    assert sorted(row.id for row in [*kept, *held]) == sorted(row.id for row in everything)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("가\tB-PS\n나\tI-LC\n", "bad.tsv:2 tag: I-LC follows B-PS"),
        ("가\tB-PS\n", "1 texts are too few to hold 20% of them out; name a --valid_file"),
        ("", "holds no text"),
        ("가\tO\n\n나\tO\n\n다\tO\n", "no text has an entity, so there is nothing to learn"),
    ],
)
def test_faulty_files_stop_before_anything_is_written(
    data: Path, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "bad.tsv").write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        train_ner.main(flags(data, tmp_path, train_file=tmp_path / "bad.tsv"))
    assert message in str(caught.value)
    assert not (tmp_path / "models").exists()


def test_a_text_that_stands_twice_is_on_one_side(data: Path, tmp_path: Path) -> None:
    texts = read_tagged(data / "ner.tsv")
    write_klue(tmp_path / "twice.tsv", [*texts, *texts])
    write_examples(tmp_path / "marked.csv", make_sample(300, seed=7).train[:120])
    options = TrainNerOptions(
        train_file=str(tmp_path / "twice.tsv"), partial_file=str(tmp_path / "marked.csv")
    )
    kept, held = read_texts(options)
    assert {row.text for row in kept}.isdisjoint(row.text for row in held)
    assert len(held) == 48
    assert any(not row.is_complete for row in kept)


def test_an_encoder_that_has_learned_nothing(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--model_name_or_path mini: a tagger needs an encoder"):
        train_ner.main(flags(data, tmp_path, model_name_or_path="mini"))


def test_a_type_of_the_validation_file_alone_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "valid.tsv").write_text("가\tB-QT\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"valid.tsv:1 entities: 'QT' is not one of the types DAT"):
        train_ner.main(flags(data, tmp_path, valid_file=tmp_path / "valid.tsv"))


def test_marked_entities_are_all_that_is_known_of_an_example() -> None:
    row, same, other = (
        make_example("a", "가나 다라 마바", "가나", "마바"),
        make_example("b", "가나 다라 마바", "다라", "마바", types=("LOC", "ORG")),
        make_example("c", "사아 자", "사아", "자"),
    )
    first, second = marked_texts([row, same, other])
    assert [(e.word, e.type) for e in first.entities] == [
        ("가나", "PER"),
        ("다라", "LOC"),
        ("마바", "ORG"),
    ]
    assert not first.is_complete
    trained = make_tagger()
    encoded = encode_texts(trained, [second, second._replace(is_complete=True)])
    assert encoded.tags[0] == ["B-PER", "I-PER", NOT_INSIDE, "B-ORG"]
    assert encoded.tags[1] == ["B-PER", "I-PER", "O", "B-ORG"]
    (open_end,) = encode_texts(trained, [first._replace(entities=first.entities[:1])]).tags
    assert open_end == ["B-PER", "I-PER", NOT_INSIDE, *[UNKNOWN_TAG] * 5]


def test_entities_that_begin_or_end_inside_a_token() -> None:
    """The vocabulary has 해담전자의 as one piece."""
    trained = make_tagger()
    text = "해담전자의 사원"

    def counted(*spans: tuple[int, int]) -> int:
        entities = tuple(Entity(text[a:b], Span(a, b), "LC") for a, b in spans)
        return inside_tokens(encode_texts(trained, [TaggedText("a", text, entities)]))

    ((window,),) = trained.encoder.encode([text])
    assert window.places[:6] == [1, 2, 3, 4, 5, 0]
    assert counted((0, 5)) == 0
    assert counted((0, 4)) == 1  # ends inside
    assert counted((1, 5)) == 1  # begins inside
    assert counted((1, 4)) == 1  # both, and is one entity
    assert counted((0, 5), (6, len(text))) == 0  # to the end of the text
    assert counted((0, 2), (2, 5)) == 2


def test_targets_admit_what_is_not_known() -> None:
    trained = make_tagger()
    text = TaggedText("a", "가나다라", (Entity("가", Span(0, 1), "PS"),), False)
    data = encode_texts(trained, [text])
    objective = TaggingObjective(trained, data, data, "")
    batch = objective.batch(np.arange(1), torch.device("cpu"))
    assert batch.targets is not None
    admitted = objective.tag_sets.table[batch.targets[0, : len(text.text)]]
    assert [
        [tag for tag, may in zip(trained.tags, row, strict=True) if may] for row in admitted
    ] == [
        ["B-PS"],
        ["O", "B-PS", "B-LC"],
        list(trained.tags),
        list(trained.tags),
    ]


def test_the_bias_is_the_one_with_which_most_entities_are_right() -> None:
    """A tagger that sees an entity everywhere, a little surer where there is one."""
    trained = make_tagger()
    text = TaggedText("a", "가나다라", (Entity("가나", Span(0, 2), "PS"),))
    data = encode_texts(trained, [text])
    number = {tag: place for place, tag in enumerate(trained.tags)}
    probs = np.full((4, len(trained.tags)), 0.01)
    for place, (tag, sure) in enumerate(
        [("B-PS", 0.9), ("I-PS", 0.9), ("B-LC", 0.6), ("I-LC", 0.6)]
    ):
        probs[place, number[tag]] = sure
        probs[place, number["O"]] = 0.97 - sure
    bias, scores = best_outside_bias(data, [probs], trained.tags)
    assert bias == 0.5  # 0.37 * e^0.5 > 0.6, 0.07 * e^0.5 < 0.9
    assert scores.micro_f1 == 100


def test_both_files_teach_one_tagger(data: Path, tmp_path: Path) -> None:
    """The types of one have other names, those of the other are learned from marks alone."""
    write_examples(tmp_path / "marked.csv", make_sample(300, seed=8).train)
    (tmp_path / "names.json").write_text('{"PER": "사람", "DAT": "날짜"}', encoding="utf-8")
    train_in(
        data,
        tmp_path,
        partial_file=tmp_path / "marked.csv",
        type_names=tmp_path / "names.json",
        num_epochs=1,
    )
    trained = load_tagger(tmp_path / "models" / "run.pth")
    assert set(trained.types) == {"사람", "날짜", "PER", "DAT", "LOC", "NOH", "ORG", "POH"}
    (tmp_path / "names.json").write_text('["PER"]', encoding="utf-8")
    with pytest.raises(UserError, match="expected an object such as"):
        train_in(data, tmp_path, type_names=tmp_path / "names.json", run_name="other")


def test_the_run_of_another_task_is_not_continued(data: Path, tmp_path: Path) -> None:
    train_in(data, tmp_path, num_epochs=1)
    last = tmp_path / "models" / "run" / "last.pth"
    assert load_payload(last, TAGGER_STATE_KIND)["kind"] == TAGGER_STATE_KIND
    with pytest.raises(UserError, match="not a kore-training-state file"):
        load_payload(last, "kore-training-state")
