"""An exported graph computes what the model computes, at any number of rows and tokens."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tests.builders import EXAMPLES, make_trained
from torch import Tensor
from torch.nn import functional

from kore.common.errors import UserError
from kore.data.dataset import Batch
from kore.network import onnx_export
from kore.network.checkpoint import load_model
from kore.network.onnx_export import onnx_bytes
from kore.network.trained import TrainedModel

REPOSITORY = Path(__file__).resolve().parents[2]


def batches(trained: TrainedModel) -> list[tuple[Tensor, ...]]:
    """Inputs of 1, 2, 4 and 36 rows, and of lengths with and without padding; none was traced."""
    made: list[tuple[Tensor, ...]] = []
    for examples, padding in (
        (EXAMPLES, 0),
        (EXAMPLES[:1], 0),
        (EXAMPLES[3:], 0),
        (EXAMPLES[1:3], 9),
        (EXAMPLES * 9, 3),
    ):
        batch = Batch.collate(trained.input_encoder.encode(examples), trained.input_encoder.pad_id)
        ids = functional.pad(batch.input_ids, (0, padding), value=trained.input_encoder.pad_id)
        mask = functional.pad(batch.attention_mask, (0, padding), value=False)
        made.append((ids, mask, batch.subject_span, batch.object_span))
    return made


@torch.inference_mode()
def probabilities(trained: TrainedModel, inputs: tuple[Tensor, ...]) -> np.ndarray:
    return trained.model.eval()(*inputs).double().softmax(dim=-1).numpy()


@pytest.mark.parametrize(
    ("kind", "style", "pooling"),
    [
        ("bert", "punct", "attention"),
        ("roberta", "special", "start"),
        ("electra", "special", "mean"),
        ("deberta", "punct", "max"),
        ("mini", "punct", "cls"),
        ("modernbert", "special", "mean"),
    ],
)
def test_parity_at_sizes_that_were_not_traced(kind, style, pooling, tmp_path):
    trained = make_trained(kind, style, pooling)
    trained.classifier.temperature.fill_(2.5)  # part of the graph, as its probabilities are final
    (tmp_path / "run.onnx").write_bytes(onnx_bytes(trained))
    exported = load_model(tmp_path / "run.onnx")
    for inputs in batches(trained):
        expected, got = probabilities(trained, inputs), probabilities(exported, inputs)
        assert expected.max() - expected.min() > 0.01  # the model says something
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.fixture(scope="module")
def content() -> bytes:
    trained = make_trained("bert")
    trained.model.eval()
    return onnx_bytes(trained)


def test_a_model_in_training_is_exported_without_dropout_and_left_as_it_was(content):
    trained = make_trained("bert")
    trained.model.train()
    trained.classifier.encoder.set_attn_implementation("sdpa")
    assert onnx_bytes(trained) == content
    assert trained.model.training
    assert trained.classifier.encoder.config._attn_implementation == "sdpa"


def test_a_file_says_nothing_of_the_machine_it_was_made_on(content):
    assert str(REPOSITORY).encode() not in content
    assert b".py" not in content


def test_inputs_and_outputs_are_named_with_their_axes(content):
    graph = onnx.load_from_string(content).graph
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {
        "input_ids": ["batch", "length"],
        "attention_mask": ["batch", "length"],
        "subject_span": ["batch", 2],
        "object_span": ["batch", 2],
        "probs": ["batch", 3],
    }


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra"])
def test_int8_is_near_and_holds_its_matrices_in_bytes(kind, tmp_path):
    trained = make_trained(kind)
    content = onnx_bytes(trained, int8=True)
    (tmp_path / "run.int8.onnx").write_bytes(content)
    exported = load_model(tmp_path / "run.int8.onnx")
    differences = [
        np.abs(probabilities(exported, inputs) - probabilities(trained, inputs)).max()
        for inputs in batches(trained)
    ]
    assert 0 < max(differences) < 0.2
    weights = onnx.load_from_string(content).graph.initializer
    in_bytes = [
        w for w in weights if w.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    ]
    left = [w for w in weights if w.data_type == onnx.TensorProto.FLOAT and len(w.dims) == 2]
    hidden = 16
    matrices = [w for w in in_bytes if list(w.dims) == [hidden, hidden]]
    assert len(matrices) >= 2 * 4  # query, key, value and output of both layers
    assert not [w.name for w in left if ".layer." in w.name]


def test_a_model_too_large_for_one_file(monkeypatch):
    monkeypatch.setattr(onnx_export, "MOST_BYTES", 1_000)
    with pytest.raises(UserError, match="2 GiB at most; pass `format` hf"):
        onnx_bytes(make_trained("bert"))


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_the_packages_that_write(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(UserError, match="poetry install --with export"):
        onnx_bytes(make_trained("bert"))
