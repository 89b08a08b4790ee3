"""An ONNX file carries the whole model, and anything else ends in one sentence."""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from tests.builders import EXAMPLES, logits_of, make_trained

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions
from kore.network.checkpoint import load_model, model_payload
from kore.network.onnx_export import onnx_bytes
from kore.network.onnx_file import INPUTS, METADATA_KEY, OnnxClassifier
from kore.prediction.predictor import predict_examples


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "run.onnx"
    path.write_bytes(onnx_bytes(make_trained("bert", "special", "mean", max_length=48)))
    return path


def test_everything_that_prediction_needs_travels(saved, tmp_path):
    trained = make_trained("bert", "special", "mean", max_length=48)
    loaded = load_model(Path(shutil.copy(saved, tmp_path)))  # alone in its folder
    assert loaded.input_encoder.encode(EXAMPLES) == trained.input_encoder.encode(EXAMPLES)
    assert loaded.input_encoder.scheme == trained.input_encoder.scheme
    assert loaded.input_encoder.max_length == 48
    assert loaded.labels == trained.labels
    assert loaded.model.pooling_name == "mean"
    assert loaded.options == {"dropout": 0.2, "seed": 42}
    assert loaded.scores == {"epoch": 2, "micro_f1": 51.25}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_prediction_takes_it_as_any_model(saved, precision):
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision=precision))
    expected = logits_of(make_trained("bert", "special", "mean", max_length=48))
    probs = predict_examples(load_model(saved), EXAMPLES, accelerator, batch_tokens=64)
    np.testing.assert_allclose(probs, expected.double().softmax(dim=-1).numpy(), atol=1e-5)


class FixedSession:
    """Gives the same probabilities whatever it is asked."""

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name=name) for name in INPUTS]

    def run(self, outputs: list[str], feed: dict[str, Any]) -> list[Any]:
        self.feed = feed
        return [np.array([[0.75, 0.25, 0.0]], dtype=np.float32)]


def test_the_logits_of_a_session_are_finite_and_give_its_probabilities_again():
    session = FixedSession()
    ids = torch.tensor([[2, 5, 3]])
    span = torch.tensor([[1, 2]])
    logits = OnnxClassifier(session, "cls")(ids, ids > 0, span, span)
    assert logits.isfinite().all()
    assert logits.softmax(dim=-1).tolist() == [pytest.approx([0.75, 0.25, 0.0], abs=1e-6)]
    assert {name: value.dtype for name, value in session.feed.items()} == dict.fromkeys(
        ("input_ids", "attention_mask", "subject_span", "object_span"), np.dtype(np.int64)
    )


def test_it_cannot_become_a_checkpoint_or_another_export(saved):
    loaded = load_model(saved)
    for convert in (model_payload, onnx_bytes):
        with pytest.raises(UserError, match="only predicts"):
            convert(loaded)


def sentence_on_loading(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_a_missing_file(tmp_path):
    assert "no such file" in sentence_on_loading(tmp_path / "none.onnx")


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.3, 0.9, 0.999])
def test_a_truncated_file(saved, tmp_path, share, capfd):
    path = tmp_path / "cut.onnx"
    content = saved.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    message = sentence_on_loading(path)
    assert "not a whole ONNX file" in message or "none that KoRE wrote" in message
    assert capfd.readouterr().err == ""  # the sentence stands alone


def test_random_bytes_never_end_in_anything_but_the_sentence(tmp_path):
    generator = random.Random(0)
    path = tmp_path / "noise.onnx"
    for _ in range(100):
        path.write_bytes(generator.randbytes(generator.randrange(1, 60)))
        sentence_on_loading(path)


def test_an_onnx_file_of_something_else(tmp_path):
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    other = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "other", [value], [other])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "o.onnx")
    assert "an ONNX file, but none that KoRE wrote" in sentence_on_loading(tmp_path / "o.onnx")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"kind": "other"}, "none that KoRE wrote"),
        ({"format_version": 5}, "format 5, but this version of KoRE reads 4; update KoRE"),
        ({"tokenizer": None, "max_length": None}, "lacks tokenizer, max_length;"),
        ({"tokenizer": "{}"}, "its description is damaged"),
        ({"markers": {"style": 1}}, "its description is damaged"),
        ({"labels": ["a", "a"]}, "its description is damaged"),
    ],
)
def test_another_or_edited_description(saved, tmp_path, changes, part):
    proto = onnx.load(saved)
    entry = next(prop for prop in proto.metadata_props if prop.key == METADATA_KEY)
    content = {**json.loads(entry.value), **changes}
    entry.value = json.dumps({key: value for key, value in content.items() if value is not None})
    onnx.save(proto, tmp_path / "edited.onnx")
    assert part in sentence_on_loading(tmp_path / "edited.onnx")


def test_without_onnxruntime(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as if it were not installed
    with pytest.raises(UserError, match="poetry install --with export") as caught:
        load_model(saved)
    assert "python -m pip install onnxruntime" in str(caught.value)
