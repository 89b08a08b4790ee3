"""What a classifier may have beside encoder and pooling: run alike everywhere, saved whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.builders import ENCODERS, EXAMPLES, LABELS, make_bert_tokenizer, make_scheme
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from kore.common.devices import make_accelerator
from kore.common.flags import DeviceOptions
from kore.data.dataset import Batch, InputEncoder
from kore.data.markers import MarkerScheme
from kore.network.checkpoint import load_model, save_model
from kore.network.encoder_pass import EncoderPass
from kore.network.hf_folder import save_folder
from kore.network.model import BiLSTM, ModelDesign, RelationClassifier
from kore.network.onnx_export import onnx_bytes
from kore.network.pooling import POOLINGS
from kore.network.trained import TrainedModel
from kore.prediction.predictor import predict_examples

DESIGNS = {
    "last layers": ModelDesign(last_layers=2),
    "bilstm": ModelDesign(bilstm=True),
    "types": ModelDesign(num_types=3, type_embedding=True),
    "restriction": ModelDesign(num_types=3, type_restriction="inference"),
    "all": ModelDesign(2, True, 3, True, "both"),
}
KINDS = ["bert", "roberta", "electra", "deberta"]


def make_trained(design: ModelDesign, kind: str = "bert", cue: bool = False) -> TrainedModel:
    """A model with random weights everywhere, and a table that forbids one relation."""
    torch.manual_seed(0)
    tokenizer = make_bert_tokenizer()
    plain = make_scheme()
    scheme = MarkerScheme(True, True, "punct", plain.types, cue)
    model = RelationClassifier(ENCODERS[kind](len(tokenizer)), len(LABELS), "mean", 0.1, design)
    if model.type_embedding is not None:
        torch.nn.init.normal_(model.type_embedding.weight)
    if design.type_restriction != "none":
        model.get_buffer("allowed")[3, 2, 2] = False  # PER, ORG: org:founded
    encoder = InputEncoder(tokenizer, scheme, 64)
    return TrainedModel(model.eval(), encoder, LABELS, {"dropout": 0.1}, {})


def probs_of(trained: TrainedModel) -> np.ndarray:
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    return predict_examples(trained, EXAMPLES, accelerator)


def one_by_one(trained: TrainedModel) -> np.ndarray:
    rows = trained.input_encoder.encode(EXAMPLES)
    with torch.inference_mode():
        logits = [
            trained.model(*Batch.collate([row], trained.input_encoder.pad_id).inputs)
            for row in rows
        ]
    return torch.cat(logits).double().softmax(dim=-1).numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DESIGNS)
def test_padding_does_not_change_probabilities(name, kind):
    trained = make_trained(DESIGNS[name], kind)
    together = probs_of(trained)
    assert np.abs(together - one_by_one(trained)).max() < 1e-5
    assert np.ptp(together[:, 0]) > 1e-3  # rows differ


@pytest.mark.parametrize("name", DESIGNS)
def test_a_checkpoint_and_a_folder_bring_it_back(name, tmp_path):
    trained = make_trained(DESIGNS[name], cue=True)
    expected = probs_of(trained)
    save_model(tmp_path / "a.pth", trained)
    save_folder(tmp_path / "folder", trained)
    for path in (tmp_path / "a.pth", tmp_path / "folder"):
        loaded = load_model(path)
        assert loaded.model.design == DESIGNS[name]
        assert loaded.input_encoder.scheme == trained.input_encoder.scheme
        assert np.abs(probs_of(loaded) - expected).max() < 1e-6


@pytest.mark.parametrize("name", DESIGNS)
def test_an_onnx_file_gives_the_same(name, tmp_path):
    trained = make_trained(DESIGNS[name])
    (tmp_path / "a.onnx").write_bytes(onnx_bytes(trained))
    loaded = load_model(tmp_path / "a.onnx")
    assert np.abs(probs_of(loaded) - probs_of(trained)).max() < 1e-4


def test_checkpoints_of_earlier_versions_have_the_plain_design(tmp_path):
    trained = make_trained(ModelDesign())
    expected = probs_of(trained)
    save_model(tmp_path / "a.pth", trained)
    payload = torch.load(tmp_path / "a.pth", weights_only=True)
    del payload["design"], payload["markers"]["cue"]
    payload["format_version"] = 1
    torch.save(payload, tmp_path / "old.pth")
    assert np.abs(probs_of(load_model(tmp_path / "old.pth")) - expected).max() < 1e-6


@pytest.mark.parametrize("kind", [*KINDS, "modernbert"])
def test_the_last_layers_are_the_encoders_own_and_each_is_normed(kind):
    trained = make_trained(DESIGNS["last layers"], kind)
    encoder = trained.classifier.encoder
    rows = trained.input_encoder.encode(EXAMPLES[:1])
    batch = Batch.collate(rows, trained.input_encoder.pad_id)
    read = torch.ones_like(batch.attention_mask)
    with torch.inference_mode():
        states, _ = EncoderPass(encoder, last_layers=2)(
            batch.input_ids, batch.attention_mask, read, None
        )
        *_, earlier, last = encoder(
            batch.input_ids, batch.attention_mask.long(), output_hidden_states=True
        ).hidden_states
        if kind == "modernbert":
            earlier = encoder.get_submodule("final_norm")(earlier)
    expected = torch.cat([earlier, last], dim=-1)
    torch.testing.assert_close(states, expected, rtol=1e-3, atol=1e-4)


def test_types_that_are_not_known_leave_the_words_as_they_are():
    """Nothing is learned for them, so that they stay at 0."""
    trained = make_trained(DESIGNS["types"])
    model = trained.classifier
    assert model.type_embedding is not None
    model.type_embedding.weight.data[[0, 4]] = 0.0  # "not known", as subject and as object
    rows = trained.input_encoder.encode(EXAMPLES[:1])
    batch = Batch.collate(rows, trained.input_encoder.pad_id)
    with torch.inference_mode():
        known = model(*batch.inputs)
        unknown = model(*batch.inputs[:4])
        model.type_embedding.weight.data[:] = 0.0
        plain = model(*batch.inputs)
    assert (known - unknown).abs().max() > 1e-3
    torch.testing.assert_close(unknown, plain)


def test_the_bilstm_is_that_of_torch():
    torch.manual_seed(0)
    ours = BiLSTM(4, 3)
    torchs = torch.nn.LSTM(4, 3, batch_first=True, bidirectional=True)
    for name, weight in ours.forwards.named_parameters():
        getattr(torchs, name).data.copy_(weight)
    for name, weight in ours.backwards.named_parameters():
        getattr(torchs, f"{name}_reverse").data.copy_(weight)
    states, lengths = torch.randn(3, 6, 4), torch.tensor([6, 2, 5])
    found = ours(states, lengths)
    packed = pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(torchs(packed)[0], batch_first=True)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(found[row, :length], expected[row, :length])


def test_start_end_pooling_by_hand():
    hidden = torch.arange(8.0).view(1, 4, 2)
    mask = torch.tensor([[False, True, True, True]])
    assert POOLINGS["start_end"](2)(hidden, mask).tolist() == [[2.0, 3.0, 6.0, 7.0]]
    single = torch.tensor([[False, False, True, False]])
    assert POOLINGS["start_end"](2)(hidden, single).tolist() == [[4.0, 5.0, 4.0, 5.0]]


def test_a_folder_says_what_it_is(tmp_path: Path):
    save_folder(tmp_path / "folder", make_trained(DESIGNS["types"]))
    assert '"type_embedding": true' in (tmp_path / "folder" / "kore.json").read_text()
