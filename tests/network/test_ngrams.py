"""The linear part: its sum, where it counts, how it is fitted, and every file that carries it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.builders import EXAMPLES, LABELS, make_trained

from kore.common.devices import make_accelerator
from kore.common.flags import DeviceOptions
from kore.data.dataset import Batch, EncodedExample, InputEncoder
from kore.data.ngrams import NUM_FIELDS, surroundings
from kore.data.schema import Span
from kore.data.tagging import UNKNOWN, EncodedWindow, character_ngrams
from kore.network.checkpoint import load_model, save_model
from kore.network.hf_folder import save_folder
from kore.network.model import ModelDesign, RelationClassifier
from kore.network.ngrams import CharacterNgrams, NgramHead
from kore.network.onnx_export import onnx_bytes
from kore.network.tagger import TagSets, tags_for
from kore.network.trained import TrainedModel
from kore.prediction.predictor import predict_examples
from kore.training.ngram_fit import fit_character_ngrams, fit_ngrams

BUCKETS = 50


def with_ngrams(types: bool = False) -> TrainedModel:
    """A model whose linear part is drawn at random."""
    trained = make_trained("modernbert")
    scheme = trained.input_encoder.scheme
    design = ModelDesign(
        ngram_buckets=BUCKETS,
        num_types=len(scheme.types) if types else 0,
        type_embedding=types,
    )
    model = RelationClassifier(trained.classifier.encoder, len(LABELS), "mean", 0.1, design)
    assert model.ngrams is not None
    torch.manual_seed(1)
    model.ngrams.table.copy_(torch.randn_like(model.ngrams.table))
    model.ngrams.bias.copy_(torch.randn_like(model.ngrams.bias))
    trained.model = model.eval()
    trained.input_encoder = InputEncoder(trained.input_encoder.tokenizer, scheme, 96, BUCKETS)
    return trained


def probs_of(trained: TrainedModel) -> np.ndarray:
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    return predict_examples(trained, EXAMPLES, accelerator)


def test_each_field_is_divided_by_the_root_of_its_size() -> None:
    head = NgramHead(10, 2)
    head.table.copy_(torch.arange(2 * (1 + 10 * NUM_FIELDS)).view(-1, 2).float())
    head.bias.copy_(torch.tensor([0.5, -0.5]))
    ngrams = torch.tensor([[1, 10, 11, 0], [3, 4, 5, 60]])  # fields 0 0 1 -, and 0 0 0 5
    expected = torch.stack(
        [
            (head.table[1] + head.table[10]) / 2**0.5 + head.table[11] + head.bias,
            (head.table[3] + head.table[4] + head.table[5]) / 3**0.5 + head.table[60] + head.bias,
        ]
    )
    torch.testing.assert_close(head(ngrams), expected)


def test_logits_are_the_sum_of_both_parts_in_evaluation_alone() -> None:
    trained = with_ngrams()
    model = trained.classifier
    assert model.ngrams is not None
    rows = trained.input_encoder.encode(EXAMPLES)
    batch = Batch.collate(rows, trained.input_encoder.pad_id)
    assert batch.ngrams is not None
    linear = model.ngrams(batch.ngrams)
    both = model(*batch.inputs)
    model.ngrams.table.zero_()
    model.ngrams.bias.zero_()
    torch.testing.assert_close(both, model(*batch.inputs) + linear)
    assert float(linear.abs().min()) > 0.01
    model.ngrams.table.fill_(7.0)
    model.train()
    torch.manual_seed(0)
    trained_alone = model(*batch.inputs)
    model.ngrams.table.zero_()
    torch.manual_seed(0)
    assert torch.equal(model(*batch.inputs), trained_alone)
    assert not any("ngrams" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize("types", [False, True])
@pytest.mark.parametrize("form", ["pth", "hf", "onnx"])
def test_every_file_carries_it(tmp_path: Path, form: str, types: bool) -> None:
    trained = with_ngrams(types)
    expected = probs_of(trained)
    path = tmp_path / {"pth": "a.pth", "hf": "a", "onnx": "a.onnx"}[form]
    if form == "pth":
        save_model(path, trained)
    elif form == "hf":
        save_folder(path, trained)
    else:
        path.write_bytes(onnx_bytes(trained))
    loaded = load_model(path)
    assert loaded.input_encoder.ngram_buckets == BUCKETS
    np.testing.assert_allclose(probs_of(loaded), expected, atol=1e-5)


def test_fitting_finds_the_ngram_that_decides() -> None:
    """Relation 1 exactly where n-gram 7 stands, among others that say nothing."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 6_000)
    rows = [
        EncodedExample(
            [1],
            Span(0, 1),
            Span(0, 1),
            False,
            ngrams=np.unique([*generator.integers(8, 40, 6), *([7] if label else [])]).astype(
                np.int32
            ),
        )
        for label in labels
    ]
    heads = [NgramHead(10, 2) for _ in range(3)]
    for head, seed in zip(heads, (3, 3, 4), strict=True):
        fit_ngrams(head, rows, labels.tolist(), seed)
    head = heads[0]
    with_it, without = (head(torch.tensor([ngrams])) for ngrams in ([7, 20], [20, 21]))
    assert with_it.argmax() == 1
    assert without.argmax() == 0
    assert head.table[7].abs().max() > 2 * head.table[8:41].abs().max()
    assert torch.equal(heads[0].table, heads[1].table)
    assert not torch.equal(heads[0].table, heads[2].table)
    assert torch.equal(head.table[0], torch.zeros(2))  # padding


def test_fitting_finds_what_stands_around_an_entity() -> None:
    """B-PS on every 김, whatever stands around it; what is not known teaches nothing."""
    tags = tags_for(["PS"])
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("가나다라김"), 8)) for _ in range(400)]
    windows = [EncodedWindow([], [], [], 0, surroundings(text, 0, len(text))) for text in texts]
    targets = [[1 + (letter == "김") for letter in text] for text in texts]
    head = CharacterNgrams(1_000, len(tags))
    fit_character_ngrams(head, windows, targets, TagSets(tags), seed=1)
    found = head(character_ngrams([*windows[:50]], 1_000, 8)).argmax(dim=-1)
    assert found.tolist() == [[number - 1 for number in row] for row in targets[:50]]
    unknown = [[row[0], *[UNKNOWN] * 7] for row in targets]
    first = CharacterNgrams(1_000, len(tags))
    fit_character_ngrams(first, windows, unknown, TagSets(tags), seed=1)
    assert not torch.equal(first.table, head.table)
    everything = CharacterNgrams(1_000, len(tags))
    either = TagSets(tags, [tags])  # a target that any tag meets teaches nothing
    fit_character_ngrams(everything, windows, [[1 + len(tags)] * 8 for _ in texts], either, seed=1)
    assert float(everything.table.abs().max()) < 1e-3
