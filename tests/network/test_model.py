"""Pooling of small tensors by hand, and the classifier over every kind of encoder."""

from __future__ import annotations

import pytest
import torch
from tests.builders import (
    ENCODERS,
    EXAMPLES,
    POSITIONS,
    logits_of,
    make_bert_tokenizer,
    make_scheme,
    make_trained,
    save_encoder,
)
from torch import nn
from transformers import AutoModel, PreTrainedModel

from kore.common.errors import EncoderUnavailableError
from kore.data.dataset import Batch, EncodedExample, InputEncoder
from kore.data.markers import marker_tokens
from kore.data.schema import Span
from kore.network.model import RelationClassifier
from kore.network.pooling import CLS_ONLY, POOLINGS, AttentionPooling, span_mask
from kore.network.pretrained import add_marker_tokens, load_pretrained, max_positions, set_dropout

# (2, 4, 2): two rows of four tokens with two dimensions
HIDDEN = torch.tensor(
    [
        [[1.0, 8.0], [2.0, -4.0], [4.0, -6.0], [9.0, 9.0]],
        [[-3.0, 0.0], [-1.0, -2.0], [7.0, 5.0], [6.0, 1.0]],
    ]
)
# row 1: tokens 1 and 2; row 2: tokens 0 to 2
SPANS = torch.tensor([[1, 3], [0, 3]])


def test_span_mask():
    assert span_mask(SPANS, 4).tolist() == [[False, True, True, False], [True, True, True, False]]
    assert span_mask(torch.tensor([[3, 4]]), 4).tolist() == [[False, False, False, True]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean", [[3.0, -5.0], [1.0, 1.0]]),
        ("max", [[4.0, -4.0], [7.0, 5.0]]),
        ("start", [[2.0, -4.0], [-3.0, 0.0]]),
    ],
)
def test_pooling_by_hand(name, expected):
    pooled = POOLINGS[name](2)(HIDDEN, span_mask(SPANS, 4))
    assert torch.allclose(pooled, torch.tensor(expected))


def test_attention_pooling_by_hand():
    """Scores: half the first dimension, plus 3; softmax cancels the 3.

    Row 1 weighs (2, -4), (4, -6) by e^1 : e^2 = 0.2689414 : 0.7310586.
    Row 2 weighs (-3, 0), (-1, -2), (7, 5) by e^-1.5 : e^-0.5 : e^3.5
    = 0.2231302 : 0.6065307 : 33.1154520, of 33.9451128.
    """
    pooling = AttentionPooling(2)
    with torch.no_grad():
        pooling.score.weight.copy_(torch.tensor([[0.5, 0.0]]))
        pooling.score.bias.fill_(3.0)
    pooled = pooling(HIDDEN, span_mask(SPANS, 4))
    expected = [[3.4621172, -5.4621172], [6.7913261, 4.8420549]]
    assert torch.allclose(pooled, torch.tensor(expected), atol=1e-5)


@pytest.mark.parametrize("name", POOLINGS)
def test_what_is_outside_the_span_does_not_count(name):
    torch.manual_seed(0)
    pooling = POOLINGS[name](2)
    inside = span_mask(SPANS, 4)
    changed = HIDDEN.masked_fill(~inside[:, :, None], 1000.0)
    assert torch.equal(pooling(HIDDEN, inside), pooling(changed, inside))
    assert not torch.equal(pooling(HIDDEN, inside), pooling(HIDDEN + 1, inside))


def forward(classifier: RelationClassifier, batch: Batch) -> torch.Tensor:
    classifier.eval()
    with torch.inference_mode():
        return classifier(
            batch.input_ids, batch.attention_mask, batch.subject_span, batch.object_span
        )


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_kind_of_encoder_from_a_folder(kind, tmp_path):
    """Saved, loaded with its tokenizer, and run: finite logits, (B, C), which padding leaves."""
    encoder, tokenizer = load_pretrained(save_encoder(tmp_path, kind), dropout=0.1)
    assert tokenizer.is_fast
    assert encoder.config.model_type == {"mini": "bert", "deberta": "deberta-v2"}.get(kind, kind)
    rows = InputEncoder(tokenizer, make_scheme(), max_length=64).encode(EXAMPLES)
    classifier = RelationClassifier(encoder, 30, "attention", dropout=0.1)
    together = forward(classifier, Batch.collate(rows, tokenizer.pad_token_id))
    assert together.shape == (4, 30)
    for number, row in enumerate(rows):
        alone = forward(classifier, Batch.collate([row], tokenizer.pad_token_id))
        assert torch.allclose(alone[0], together[number], atol=1e-5)
    assert (together[0] - together[1]).abs().max() > 0.01  # rows are told apart


def test_weights_come_from_the_folder(tmp_path):
    folder = save_encoder(tmp_path, "bert")
    torch.manual_seed(123)  # weights that were drawn anew would differ
    encoder, _ = load_pretrained(folder, dropout=0.1)
    saved = AutoModel.from_pretrained(folder)
    for name, weight in encoder.state_dict().items():
        assert torch.equal(weight, saved.state_dict()[name]), name


def test_a_bf16_folder_loads_as_float32(tmp_path):
    folder = save_encoder(tmp_path, "bert")
    AutoModel.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    assert AutoModel.from_pretrained(folder).dtype == torch.bfloat16  # what a plain load gives
    encoder, _ = load_pretrained(folder, dropout=0.1)
    assert {weight.dtype for weight in encoder.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["kore-test/no-such-encoder", "no_such_folder/x/y", ""])
def test_an_unknown_encoder_ends_in_a_sentence(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EncoderUnavailableError) as caught:
        load_pretrained(name, dropout=0.1)
    message = str(caught.value)
    assert message.startswith(f"`model_name_or_path` {name}:")
    assert "`model_name_or_path` kore-mini" in message
    assert "\n" not in message


def test_a_folder_that_is_no_encoder_ends_in_a_sentence(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "no-such-type"}', encoding="utf-8")
    with pytest.raises(EncoderUnavailableError, match="no-such-type"):
        load_pretrained(str(tmp_path), dropout=0.1)


def batch_of_tokens(input_ids: list[int], subject: Span, object_: Span) -> Batch:
    return Batch.collate([EncodedExample(input_ids, subject, object_, False)], pad_id=0)


def test_cls_alone_does_not_read_the_spans():
    classifier = make_trained("bert", pooling=CLS_ONLY).classifier
    first = batch_of_tokens([2, 7, 8, 9, 3], Span(1, 2), Span(3, 4))
    second = batch_of_tokens([2, 7, 8, 9, 3], Span(2, 3), Span(1, 2))
    assert torch.equal(forward(classifier, first), forward(classifier, second))
    assert not any(name.startswith("pooling") for name in classifier.state_dict())


@pytest.mark.parametrize("pooling", POOLINGS)
def test_span_pooling_tells_subject_from_object(pooling):
    classifier = make_trained("bert", pooling=pooling).classifier
    first = batch_of_tokens([2, 7, 8, 9, 3], Span(1, 2), Span(3, 4))
    swapped = batch_of_tokens([2, 7, 8, 9, 3], Span(3, 4), Span(1, 2))
    assert not torch.allclose(forward(classifier, first), forward(classifier, swapped), atol=1e-4)


def test_the_head_reads_cls_subject_and_object_in_this_order():
    """A head that passes one third on shows what was pooled into it."""
    classifier = make_trained("bert", pooling="start").classifier.eval()
    batch = batch_of_tokens([2, 7, 8, 9, 3], Span(1, 3), Span(3, 4))
    hidden = classifier.encoder(batch.input_ids, batch.attention_mask.long()).last_hidden_state[0]
    width = hidden.shape[1]
    for third, position in enumerate((0, 1, 3)):  # [CLS], first of the subject, of the object
        shown = nn.Linear(3 * width, width, bias=False)
        chosen = torch.zeros(width, 3 * width)
        chosen[:, third * width : (third + 1) * width] = torch.eye(width)
        shown.weight = nn.Parameter(chosen)
        classifier.head = nn.Sequential(shown)
        classifier.log_odds = torch.zeros(width)
        assert torch.allclose(forward(classifier, batch)[0], hidden[position], atol=1e-5)


def test_no_weight_goes_without_a_gradient():
    """Several processes wait for every gradient; BERT's own pooler would have none."""
    for kind in ENCODERS:
        trained = make_trained(kind)
        rows = trained.input_encoder.encode(EXAMPLES)
        batch = Batch.collate(rows, trained.input_encoder.pad_id)
        trained.model(
            batch.input_ids, batch.attention_mask, batch.subject_span, batch.object_span
        ).sum().backward()
        without = [name for name, w in trained.model.named_parameters() if w.grad is None]
        assert without == [], kind


def word_embeddings(encoder: PreTrainedModel) -> torch.Tensor:
    weight = encoder.get_input_embeddings().weight
    assert isinstance(weight, torch.Tensor)
    return weight


@pytest.mark.parametrize("kind", ENCODERS)
def test_marker_tokens_have_ids_and_embeddings_of_their_own(kind):
    tokenizer = make_bert_tokenizer()
    torch.manual_seed(0)
    encoder = ENCODERS[kind](len(tokenizer))
    size = len(tokenizer)
    tokens = marker_tokens(make_scheme("special"))
    add_marker_tokens(encoder, tokenizer, tokens)
    assert len(tokens) == 16  # opening and closing, for subject and object, no type and 3 types
    assert tokenizer.convert_tokens_to_ids(tokens) == list(range(size, size + 16))
    embeddings = word_embeddings(encoder)
    assert len(embeddings) == size + 16
    assert len(embeddings[size:].unique(dim=0)) == 16
    text = "[E1-PER]김도율[/E1-PER]은"
    assert tokenizer.tokenize(text)[::2][:2] == ["[E1-PER]", "[/E1-PER]"]


def test_adding_marker_tokens_is_seeded():
    first, again = (
        word_embeddings(make_trained("bert", style="special").classifier.encoder) for _ in range(2)
    )
    assert torch.equal(first, again)


def test_punctuation_markers_add_no_token():
    tokenizer = make_bert_tokenizer()
    encoder = ENCODERS["bert"](len(tokenizer))
    size = len(tokenizer)
    add_marker_tokens(encoder, tokenizer, marker_tokens(make_scheme("punct")))
    assert len(tokenizer) == len(word_embeddings(encoder)) == size


@pytest.mark.parametrize(
    ("kind", "expected"),
    # RoBERTa's first token has position 1, so one of its POSITIONS + 1 is never used.
    [("bert", 96), ("roberta", 96), ("electra", 96), ("mini", 96), ("deberta", None)],
)
def test_max_positions(kind, expected):
    assert POSITIONS == 96
    encoder = ENCODERS[kind](50)
    assert max_positions(encoder) == expected
    if expected is None:
        return
    fits, too_long = (torch.full((1, length), 7) for length in (expected, expected + 1))
    assert encoder(fits).last_hidden_state.shape == (1, 96, 16)
    with pytest.raises((IndexError, RuntimeError)):
        encoder(too_long)


def dropouts(module: nn.Module) -> set[float]:
    return {part.p for part in module.modules() if isinstance(part, nn.Dropout)}


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "mini"])
def test_set_dropout(kind):
    encoder = ENCODERS[kind](50)
    set_dropout(encoder, 0.35)
    assert dropouts(encoder) == {0.35}
    assert encoder.config.hidden_dropout_prob == 0.35
    assert encoder.config.attention_probs_dropout_prob == 0.35


@pytest.mark.parametrize("kind", ENCODERS)
def test_dropout_reaches_the_whole_encoder(kind):
    """At 0 training and evaluation agree to the bit; at 0.5 two passes of training differ."""
    encoder = ENCODERS[kind](50).train()
    tokens = torch.arange(5, 15)[None]
    set_dropout(encoder, 0.0)
    still = encoder(tokens).last_hidden_state
    assert torch.equal(encoder(tokens).last_hidden_state, still)
    set_dropout(encoder, 0.5)
    assert not torch.equal(encoder(tokens).last_hidden_state, still)
    assert torch.equal(encoder.eval()(tokens).last_hidden_state, still)


def test_dropout_of_the_head_and_of_a_loaded_encoder(tmp_path):
    encoder, _ = load_pretrained(save_encoder(tmp_path, "bert"), dropout=0.25)
    classifier = RelationClassifier(encoder, 3, "mean", dropout=0.4)
    assert dropouts(classifier.encoder) == {0.25}
    assert dropouts(classifier.head) == {0.4}


def test_the_same_seed_gives_the_same_logits():
    assert torch.equal(logits_of(make_trained("bert")), logits_of(make_trained("bert")))


def test_log_odds_are_added_to_calibrated_logits_in_evaluation_alone():
    trained = make_trained("bert")
    logits = logits_of(trained)
    odds = torch.linspace(-1, 1, logits.shape[1])
    trained.classifier.log_odds.copy_(odds)
    trained.classifier.temperature.fill_(2.0)
    torch.testing.assert_close(logits_of(trained), logits / 2 + odds)
    batch = Batch.collate(trained.input_encoder.encode(EXAMPLES), trained.input_encoder.pad_id)
    model = trained.classifier.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        torch.testing.assert_close(model(*batch.inputs), logits, rtol=1e-4, atol=1e-5)
    assert "log_odds" not in dict(model.named_parameters())


def test_temperature_divides_the_logits_in_evaluation_alone():
    trained = make_trained("bert")
    logits = logits_of(trained)
    trained.classifier.temperature.fill_(4.0)
    torch.testing.assert_close(logits_of(trained), logits / 4)
    model = trained.classifier.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batch = Batch.collate(trained.input_encoder.encode(EXAMPLES), trained.input_encoder.pad_id)
    with torch.no_grad():
        torch.testing.assert_close(model(*batch.inputs), logits, rtol=1e-4, atol=1e-5)
    assert "temperature" not in dict(model.named_parameters())
