"""The table of allowed relations by hand, and a model that keeps to it."""

from __future__ import annotations

import pytest
import torch
from tests.builders import EXAMPLES, LABELS, make_trained
from torch.nn import functional

from kore.data.dataset import Batch
from kore.network.model import ModelDesign, RelationClassifier, restricted
from kore.scoring.calibration import at_temperature
from kore.training.type_restriction import allowed_relations

TYPES = ("DAT", "ORG", "PER")


def names(allowed, subject: int, object_: int) -> set[str]:
    return {
        name for name, is_in in zip(LABELS.names, allowed[subject, object_], strict=True) if is_in
    }


def test_by_hand():
    allowed = allowed_relations(EXAMPLES, TYPES, LABELS)
    assert allowed.shape == (4, 4, 3)
    assert names(allowed, 3, 2) == {"per:employee_of", "no_relation"}  # PER, ORG
    assert names(allowed, 2, 1) == {"org:founded", "no_relation"}  # ORG, DAT: never no_relation
    assert names(allowed, 1, 1) == set(LABELS.names)  # no row tells
    assert names(allowed, 0, 2) == names(allowed, 3, 0) == set(LABELS.names)  # an unknown type


def restricted_model(where: str) -> tuple[RelationClassifier, Batch]:
    """A model that wants org:founded always, and the example rows as it reads them."""
    trained = make_trained()
    design = ModelDesign(num_types=3, type_restriction=where)
    model = RelationClassifier(trained.classifier.encoder, len(LABELS), "mean", 0.0, design)
    allowed = torch.from_numpy(allowed_relations(EXAMPLES, TYPES, LABELS))
    model.get_buffer("allowed").copy_(allowed)
    rows = trained.input_encoder.encode(EXAMPLES)
    assert rows[0].entity_types == (3, 2)
    batch = Batch.collate(rows, trained.input_encoder.pad_id)
    model.head.get_submodule("4").get_parameter("bias").data.copy_(torch.tensor([0.0, 0.0, 30.0]))
    return model, batch


@pytest.mark.parametrize("where", ["inference", "both"])
def test_relations_that_are_not_allowed_are_never_predicted(where):
    model, batch = restricted_model(where)
    model.eval()
    probs = model(*batch.inputs).softmax(dim=-1)
    assert probs[[0, 1, 3], 2].max() < 1e-8  # PER, ORG
    assert probs[2, 2] > 0.99
    model.train()
    free = model(*batch.inputs).softmax(dim=-1)[0, 2]
    assert (free > 0.99) == (where == "inference")


def test_the_temperature_is_that_of_what_is_scored():
    """Scores come from probabilities at temperature 1, which are then made those at another."""
    model, batch = restricted_model("inference")
    model.eval()
    at_one = model(*batch.inputs).softmax(dim=-1).detach().double().numpy()
    model.get_buffer("temperature").fill_(4.0)
    at_four = model(*batch.inputs).softmax(dim=-1).detach().numpy()
    assert at_four == pytest.approx(at_temperature(at_one, 4.0), rel=1e-4)
    assert at_four[0, 2] > 10 * at_one[0, 2]  # it is ruled out, and softened like all others


def test_a_smoothed_loss_has_no_gradient_from_what_is_ruled_out():
    """Adding a constant to all logits changes no probability, so it must not lower the loss."""
    logits = torch.tensor([[2.0, -1.0, 5.0]], requires_grad=True)
    allowed = torch.tensor([[True, True, False]])
    loss = functional.cross_entropy(
        restricted(logits, allowed), torch.tensor([0]), label_smoothing=0.3
    )
    (gradient,) = torch.autograd.grad(loss, logits)
    # By hand: the target is 0.8 on the first, 0.1 on the others; the last is constant.
    probs = logits.detach()[0, :2].softmax(dim=0)
    expected = torch.tensor([0.9 * float(probs[0]) - 0.8, 0.9 * float(probs[1]) - 0.1, 0.0])
    torch.testing.assert_close(gradient[0], expected, rtol=1e-4, atol=1e-5)
    assert abs(float(gradient.sum())) < 1e-6
