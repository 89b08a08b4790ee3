"""Relations beside entities: one encoder, the sum of both losses, resuming, faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.runs import expect_user_error, train_flags, train_in

from kore.common.flags import parse_options
from kore.data.ner import TaggedText, write_klue
from kore.data.sample_run import make_sample, tagged_row
from kore.data.tagging import TextBatch
from kore.network.checkpoint import MODEL_KIND, STATE_KIND, load_model, load_payload
from kore.network.tagger_file import load_tagger
from kore.training import run
from kore.training.joint import JointObjective
from kore.training.optimizer import make_optimizer
from kore.training.options import TrainOptions
from kore.training.task_run import Start
from kore.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def ner_file(shared: Path) -> Path:
    path = shared / "ner.tsv"
    write_klue(path, [tagged_row(row) for row in make_sample(300, seed=3).train[:90]])
    return path


def begun(folder: Path, ner_file: Path, **flags: Any) -> tuple[JointObjective, TrainOptions]:
    """The objective of a new run, without dropout."""
    flags = {"dropout": 0, "ner_file": ner_file, **flags}
    options = parse_options(TrainOptions, train_flags(folder, **flags))
    objective = run.begin(options, Start(Path(), None, is_main=True))
    assert isinstance(objective, JointObjective)
    return objective, options


def test_the_losses_are_the_sums_of_both_tasks(folder: Path, ner_file: Path) -> None:
    objective, _ = begun(folder, ner_file)
    relations, entities = objective.relations, objective.entities
    batch = objective.batch(np.arange(5), CPU)
    losses = objective.losses(objective.model, batch)
    own = relations.losses(relations.trained.classifier, batch.pairs)
    beside = entities.losses(entities.trained.tagger, batch.texts)
    assert (beside > 1).all()
    torch.testing.assert_close(losses, own + beside)


def test_both_losses_teach_the_one_encoder(folder: Path, ner_file: Path) -> None:
    objective, _ = begun(folder, ner_file)
    model = objective.model
    assert model.tagger.encoder is model.classifier.encoder
    batch = objective.batch(np.arange(5), CPU)
    encoder: Any = model.encoder
    layers = encoder.encoder.layer
    weight = layers[0].output.dense.weight
    joint, alone = (
        torch.autograd.grad(losses.sum(), weight)[0]
        for losses in (
            objective.losses(model, batch),
            objective.relations.losses(model.classifier, batch.pairs),
        )
    )
    assert (joint - alone).norm() > 0.1 * alone.norm()


def test_an_example_is_given_a_text_as_long_among_its_kind(folder: Path, ner_file: Path) -> None:
    objective, _ = begun(folder, ner_file)
    order = np.argsort(objective.lengths)
    shortest, longest = (objective.batch(part, CPU) for part in (order[:8], order[-8:]))
    assert shortest.pairs.input_ids.shape[1] < longest.pairs.input_ids.shape[1]
    assert shortest.texts.input_ids.shape[1] < longest.texts.input_ids.shape[1]
    assert len(shortest.texts.input_ids) == 8


def test_every_text_is_read_though_there_are_more_of_them_than_examples(
    folder: Path, tmp_path: Path
) -> None:
    sample = [tagged_row(row) for row in make_sample(1500, seed=3).train]
    write_klue(tmp_path / "many.tsv", sample)
    objective, _ = begun(folder, tmp_path / "many.tsv")
    count = len(objective.lengths)
    assert len(objective.entities.lengths) > 3 * count
    read = set[bytes]()
    for seed in range(200):
        torch.manual_seed(seed)
        read |= texts_in(objective.batch(np.arange(count), CPU).texts)
    every = np.arange(len(objective.entities.lengths))
    assert read == texts_in(objective.entities.batch(every, CPU))


def texts_in(batch: TextBatch) -> set[bytes]:
    """Its rows without their padding."""
    masks = batch.attention_mask.bool()
    return {row[mask].numpy().tobytes() for row, mask in zip(batch.input_ids, masks, strict=True)}


def test_layers_keep_the_learning_rates_that_they_have_alone(folder: Path, ner_file: Path) -> None:
    objective, options = begun(folder, ner_file, layer_lr_decay=0.5)
    optimizer = make_optimizer(objective.model, options, options.layer_lr_decay)
    rates = {id(w): group["lr"] for group in optimizer.param_groups for w in group["params"]}
    encoder: Any = objective.model.encoder
    layers = encoder.encoder.layer
    assert rates[id(objective.model.tagger.head[1].weight)] == 1e-3
    assert rates[id(layers[1].output.dense.weight)] == 5e-4
    assert rates[id(layers[0].output.dense.weight)] == 2.5e-4


@pytest.mark.parametrize("techniques", [{}, {"r_drop": 1, "fgm": 0.5, "mask_tokens": 0.1}])
def test_a_killed_run_resumes_to_the_same_weights(
    folder: Path, ner_file: Path, techniques: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = {"ner_file": ner_file, "save_steps": 3, **techniques}
    whole = train_in(folder, run_name="whole", **flags)
    original = Trainer._optimizer_step

    def killed(self: Trainer, batch: Any, number: int) -> Any:
        if number == 5:
            raise InterruptedError
        return original(self, batch, number)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_optimizer_step", killed)
        with pytest.raises(InterruptedError):
            train_in(folder, **flags)
    resumed = train_in(folder, resume=True, **flags)
    for name, weight in whole["weights"].items():
        assert torch.equal(weight, resumed["weights"][name]), name
    alone = train_in(folder, run_name="alone", **techniques)
    name = "encoder.encoder.layer.0.output.dense.weight"
    assert not torch.equal(alone["weights"][name], whole["weights"][name])


def test_the_checkpoint_is_a_relation_model_and_the_state_keeps_the_taggers_head(
    folder: Path, ner_file: Path
) -> None:
    train_in(folder, ner_file=ner_file)
    best = folder / "models" / "run.pth"
    assert load_model(best).scores["epoch"] in (1, 2)
    assert "tagger" not in load_payload(best, MODEL_KIND)
    head = load_payload(folder / "models" / "run" / "last.pth", STATE_KIND)["model"]["tagger"]
    assert {name.split(".")[0] for name in head} == {"places", "head", "outside_bias"}


def test_the_tagger_of_the_best_epoch_is_kept_over_the_same_encoder(
    folder: Path, ner_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "names.json"
    names.write_text('{"PER": "사람"}', encoding="utf-8")
    train_in(folder, ner_file=ner_file, type_names=names)
    tagger = load_tagger(folder / "models" / "run" / "tagger.pth")
    assert str(folder / "models" / "run" / "tagger.pth") in capsys.readouterr().out
    assert "사람" in tagger.types
    assert "PER" not in tagger.types
    relations = load_model(folder / "models" / "run.pth")
    own, other = (model.encoder.state_dict() for model in (tagger.tagger, relations.classifier))
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)


def test_ngrams_and_markers_behind_the_text_learn_beside_entities(
    folder: Path, ner_file: Path
) -> None:
    history = train_in(
        folder,
        ner_file=ner_file,
        marker_style="levitated",
        span_pooling="start_end",
        ngram_buckets=64,
    )["history"]
    assert history[1]["train_loss"] < history[0]["train_loss"]


def faulty(path: Path) -> None:
    path.write_text("## a\t비틀즈\n비\tB-OG\n틀\tX-OG\n즈\tI-OG\n", encoding="utf-8")


def without_entities(path: Path) -> None:
    write_klue(path, [TaggedText("ner-1", "비틀즈", ())])


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (faulty, "ner.tsv:3 tag"),
        (without_entities, "ner.tsv: no text has an entity"),
        (lambda path: None, "ner.tsv: no such file"),
    ],
)
def test_a_fault_of_the_file_is_reported_before_anything_is_written(
    folder: Path, tmp_path: Path, write: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "ner.tsv"
    write(path)
    expect_user_error(train_flags(folder, ner_file=path), said)
    assert not (folder / "models").exists()


def test_resume_refuses_other_texts(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "ner.tsv"
    rows = [tagged_row(row) for row in make_sample(300, seed=3).train[:30]]
    write_klue(path, rows)
    train_in(folder, ner_file=path, num_epochs=1)
    write_klue(path, rows[1:])
    again = train_flags(folder, ner_file=path, num_epochs=1, resume=True)
    expect_user_error(again, "the content of --ner_file has changed")
