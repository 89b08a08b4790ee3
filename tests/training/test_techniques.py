"""Every technique against its definition, computed anew beside the trainer's own step."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.builders import ENCODERS, EXAMPLES, LABELS, make_bert_tokenizer, make_trained
from torch import Tensor, nn
from torch.nn import functional

from kore.common.devices import make_accelerator
from kore.common.flags import DeviceOptions
from kore.common.manifest import Manifest
from kore.data.dataset import Batch
from kore.network.model import ModelDesign
from kore.network.trained import TrainedModel
from kore.training.new_model import new_model
from kore.training.optimizer import make_optimizer
from kore.training.options import TrainOptions
from kore.training.relation import EncodedData, RelationObjective
from kore.training.run_files import RunFiles
from kore.training.trainer import Trainer

ALL = np.arange(len(EXAMPLES))
EMBEDDINGS = "encoder.embeddings.word_embeddings.weight"
SEED = 42 * 1_000_003  # of the first micro-batch


class Recording(Trainer):
    """Keeps the gradients of a step instead of applying them."""

    objective: RelationObjective

    @property
    def trained(self) -> TrainedModel:
        return self.objective.trained

    def _apply_gradients(self) -> None:
        self.gradients = gradients_of(self.trained)


def make_trainer(**flags: Any) -> Recording:
    """Over all examples, without dropout."""
    trained = make_trained()
    trained.model.eval()
    chosen: dict[str, Any] = {"batch_size": len(EXAMPLES), "learning_rate": 1e-3, **flags}
    options = TrainOptions(model_name_or_path="bert", use_cuda="False", precision="fp32", **chosen)
    labels = LABELS.index(str(example.label) for example in EXAMPLES)
    data = EncodedData(trained.input_encoder.encode(EXAMPLES), labels)
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    files = RunFiles(Path("unused"), "unused")
    objective = RelationObjective(options, trained, data, data)
    return Recording(options, accelerator, objective, files, Manifest({}))


def gradients_of(trained: TrainedModel) -> dict[str, Tensor]:
    named = trained.model.named_parameters()
    return {name: weight.grad.clone() for name, weight in named if weight.grad is not None}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert max(float(gradient.abs().max()) for gradient in expected.values()) > 1e-2
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def batch_of(trainer: Recording) -> tuple[Batch, Tensor]:
    pad_id = trainer.trained.input_encoder.pad_id
    data = trainer.objective.train_data
    batch = Batch.collate(data.rows, pad_id, data.labels)
    assert batch.labels is not None
    return batch, batch.labels


def mean_loss_gradients(trained: TrainedModel, batch: Batch, labels: Tensor) -> dict[str, Tensor]:
    trained.model.zero_grad()
    functional.cross_entropy(trained.model(*batch.inputs), labels).backward()
    return gradients_of(trained)


def test_a_step_follows_the_gradient_of_the_mean_loss() -> None:
    trainer = make_trainer()
    batch, labels = batch_of(trainer)
    twin = copy.deepcopy(trainer.trained)
    loss_sum, count = trainer._optimizer_step(ALL, 0)
    assert_same(trainer.gradients, mean_loss_gradients(twin, batch, labels))
    expected = functional.cross_entropy(twin.model(*batch.inputs), labels, reduction="sum")
    assert float(loss_sum) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert count == len(EXAMPLES)


def test_micro_batches_of_any_size_make_the_same_step() -> None:
    whole, parts = make_trainer(), make_trainer(batch_size=2, gradient_accumulation_steps=3)
    whole._optimizer_step(ALL, 0)
    parts._optimizer_step(ALL, 0)  # of 2, 1 and 1 examples
    assert_same(parts.gradients, whole.gradients)


def test_fgm_adds_the_gradient_where_the_words_are_moved_along_theirs() -> None:
    trainer = make_trainer(fgm=0.5)
    batch, labels = batch_of(trainer)
    twin = copy.deepcopy(trainer.trained)
    before = twin.model.get_parameter(EMBEDDINGS).detach().clone()
    trainer._optimizer_step(ALL, 0)
    plain = mean_loss_gradients(twin, batch, labels)
    direction = plain[EMBEDDINGS] / plain[EMBEDDINGS].square().sum().sqrt()
    with torch.no_grad():
        twin.model.get_parameter(EMBEDDINGS).add_(0.5 * direction)
    moved = mean_loss_gradients(twin, batch, labels)
    assert_same(trainer.gradients, {name: plain[name] + moved[name] for name in plain})
    assert torch.equal(trainer.trained.model.get_parameter(EMBEDDINGS), before)


def test_r_drop_adds_the_divergence_of_two_passes() -> None:
    trainer = make_trainer(r_drop=3.0)
    batch, labels = batch_of(trainer)
    trainer.model.train()
    loss_sum, _ = trainer._optimizer_step(ALL, 0)
    torch.manual_seed(SEED)
    with torch.no_grad():
        first, second = trainer.trained.model(*batch.twice().inputs).softmax(dim=-1).chunk(2)
    own = (torch.arange(len(labels)), labels)
    entropy = -(first[own].log() + second[own].log()) / 2
    divergence = ((first - second) * (first.log() - second.log())).sum(dim=-1) / 2
    assert float(divergence.sum()) > 1e-3
    assert float(loss_sum) == pytest.approx(float((entropy + 3.0 * divergence).sum()), rel=1e-4)


def test_masked_tokens_are_hidden_from_the_model_and_entities_are_not() -> None:
    trainer = make_trainer(mask_tokens=0.5)
    batch, _ = batch_of(trainer)
    seen: list[Tensor] = []
    trainer.trained.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    trainer._optimizer_step(ALL, 0)
    (ids,) = seen
    changed = ids != batch.input_ids
    assert changed.sum() > len(EXAMPLES)
    assert set(ids[changed].tolist()) == {trainer.trained.input_encoder.tokenizer.mask_token_id}
    for spans in (batch.subject_span, batch.object_span):
        for row, (start, end) in enumerate(spans.tolist()):
            assert not changed[row, start:end].any()


def test_each_layer_learns_slower_than_the_one_above() -> None:
    """The head, two layers, the embeddings; matrices and what is not decayed."""
    groups = make_trainer(layer_lr_decay=0.5).optimizer.param_groups
    rates = sorted({group["initial_lr"] for group in groups}, reverse=True)
    assert rates == pytest.approx([1e-3, 5e-4, 2.5e-4, 1.25e-4])


def test_a_norm_above_the_layers_learns_as_the_head() -> None:
    encoder: Any = ENCODERS["modernbert"](50)
    model = nn.ModuleDict({"encoder": encoder})
    options = TrainOptions(model_name_or_path="x", learning_rate=1e-3)
    optimizer = make_optimizer(model, options, layer_lr_decay=0.5)
    rates = {w: group["lr"] for group in optimizer.param_groups for w in group["params"]}
    assert rates[encoder.final_norm.weight] == 1e-3
    assert rates[encoder.layers[1].mlp_norm.weight] == 5e-4
    assert rates[encoder.embeddings.norm.weight] == 1.25e-4


def test_the_loss_is_the_one_that_was_asked_for() -> None:
    """Of the probabilities 0.7, 0.2 and 0.1: cross-entropy, focal and asymmetric loss."""
    logits, label = torch.tensor([[0.7, 0.2, 0.1]]).log(), torch.tensor([0])
    plain = 0.3566749  # -ln 0.7
    others = 0.04 * 0.2231436 + 0.01 * 0.1053605  # 0.2**2 * -ln 0.8 + 0.1**2 * -ln 0.9
    for flags, expected in (
        ({}, plain),
        ({"focal_loss": True, "alpha": 0.5, "gamma": 1.0}, 0.5 * 0.3 * plain),
        ({"asymmetric_loss": True, "gamma_negative": 2.0}, plain + others),
    ):
        assert make_trainer(**flags).objective.loss(logits, label).item() == pytest.approx(
            expected, abs=1e-6
        )


def made_model(**flags: Any) -> TrainedModel:
    tokenizer = make_bert_tokenizer()
    options = TrainOptions(model_name_or_path="bert", max_length=64, **flags)
    return new_model(options, LABELS, EXAMPLES, (ENCODERS["bert"](len(tokenizer)), tokenizer))


def test_levitated_markers_of_a_checkpoint_begin_as_they_were_learned() -> None:
    options = TrainOptions(
        model_name_or_path="bert", max_length=64, marker_style="levitated", span_pooling="start_end"
    )
    tokenizer = make_bert_tokenizer()
    encoder = ENCODERS["bert"](len(tokenizer))
    new_model(options, LABELS, EXAMPLES, (encoder, tokenizer))
    words: Any = encoder.get_input_embeddings()
    markers = [*tokenizer.get_added_vocab().values()]
    with torch.no_grad():
        words.weight[markers] = torch.randn(len(markers), words.embedding_dim)
    learned = words.weight[markers].clone()
    new_model(options, LABELS, EXAMPLES, (encoder, tokenizer))
    assert torch.equal(words.weight[markers], learned)


@pytest.mark.parametrize(
    ("flags", "design"),
    [
        ({}, ModelDesign()),
        ({"bilstm": True}, ModelDesign(bilstm=True)),
        ({"last_layers": 2}, ModelDesign(last_layers=2)),
        ({"entity_type_embedding": True}, ModelDesign(num_types=3, type_embedding=True)),
        (
            {"type_restriction": "both"},
            ModelDesign(num_types=3, type_restriction="both"),
        ),
        ({"marker_style": "levitated"}, ModelDesign(entity_states=True, pair_layers=1)),
        (
            {"marker_style": "levitated", "pair_layers": 0},
            ModelDesign(entity_states=True, pair_layers=0),
        ),
    ],
)
def test_the_model_is_designed_as_asked_for(flags: dict[str, Any], design: ModelDesign) -> None:
    trained = made_model(**flags)
    assert trained.model.design == design
    assert trained.model.pooling_name == "attention"


def test_pooling_and_cue_are_those_that_were_asked_for() -> None:
    trained = made_model(span_pooling="start_end", cue_sentence=True)
    assert trained.model.pooling_name == "start_end"
    (row,) = trained.input_encoder.encode(EXAMPLES[:1])
    text = str(trained.input_encoder.tokenizer.decode(row.input_ids)).replace(" ", "")
    assert text.count("해담전자") == 2  # in the cue as well
    assert made_model(use_span_pooling=False).model.pooling_name == "cls"


def test_types_restrict_to_what_training_examples_have() -> None:
    """DAT, ORG and PER are 1, 2 and 3; relations: none, employee_of, founded."""
    allowed = made_model(type_restriction="inference").classifier.get_buffer("allowed")
    assert allowed[3, 2].tolist() == [True, True, False]
    assert allowed[2, 1].tolist() == [True, False, True]
    assert allowed[1, 3].tolist() == [True, True, True]  # no example has such types


def test_a_model_knows_the_types_that_its_examples_had() -> None:
    pairs = {(row.subject.type, row.object.type) for row in EXAMPLES}
    assert len(pairs) > 1
    assert made_model().type_pairs == tuple(sorted(pairs))
