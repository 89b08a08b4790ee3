"""Small examples, random encoders and whole models, shared by the tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    DebertaV2Config,
    DebertaV2Model,
    ElectraConfig,
    ElectraModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    RobertaConfig,
    RobertaModel,
)

from kore.data.dataset import Batch, InputEncoder
from kore.data.markers import MarkerScheme, mark, marker_tokens
from kore.data.schema import Entity, Example, LabelMap, Span
from kore.network import mini
from kore.network.checkpoint import TrainedModel
from kore.network.encoder_pass import ALL_LAYERS
from kore.network.model import ModelDesign, RelationClassifier
from kore.network.pretrained import add_marker_tokens

LABELS = LabelMap(("no_relation", "per:employee_of", "org:founded"), "no_relation")

# KLUE's own order, relation_list.json of the benchmark; the competition's pickles have another.
_KLUE_ORDER = """
no_relation org:dissolved org:founded org:place_of_headquarters org:alternate_names org:member_of
org:members org:political/religious_affiliation org:product org:founded_by
org:top_members/employees org:number_of_employees/members per:date_of_birth per:date_of_death
per:place_of_birth per:place_of_death per:place_of_residence per:origin per:employee_of
per:schools_attended per:alternate_names per:parents per:children per:siblings per:spouse
per:other_family per:colleagues per:product per:religion per:title
"""
KLUE_RELATIONS = tuple(_KLUE_ORDER.split())

POSITIONS = 96  # most tokens of the small encoders, where they count absolute positions
_SIZE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.5,  # far from 0, so that a difference anywhere shows in the logits
}


def make_example(
    row_id: str,
    sentence: str,
    subject: str,
    object: str,
    label: str | None = None,
    types: tuple[str, str] = ("PER", "ORG"),
) -> Example:
    """An example whose entities are the first occurrences of two words in the sentence."""

    def entity(word: str, entity_type: str) -> Entity:
        start = sentence.index(word)
        return Entity(word, Span(start, start + len(word)), entity_type)

    return Example(
        row_id, sentence, entity(subject, types[0]), entity(object, types[1]), label, "test"
    )


# Of clearly different lengths, so that a batch of them is padded.
EXAMPLES = (
    make_example("a", "김도율은 해담전자의 사원이다.", "김도율", "해담전자", "per:employee_of"),
    make_example("b", "이서준은 부산에서 해담전자를 보았다.", "이서준", "해담전자", "no_relation"),
    make_example(
        "c",
        "한결물산은 지난해 부산에서 열린 행사에서 1998년 3월에 세워졌다고 밝혔다.",
        "한결물산",
        "1998년 3월",
        "org:founded",
        ("ORG", "DAT"),
    ),
    make_example("d", "박하늘과 별빛.", "박하늘", "별빛", "no_relation"),
)


def make_scheme(style: str = "punct") -> MarkerScheme:
    return MarkerScheme(True, True, style, ("DAT", "ORG", "PER"))


def make_tokenizer() -> PreTrainedTokenizerBase:
    """A tokenizer of the kind of mini, trained on `EXAMPLES` with their markers."""
    texts = [mark(example, make_scheme()).text for example in EXAMPLES]
    return mini.learn_tokenizer(texts * 2, 400)


def make_bert_tokenizer() -> PreTrainedTokenizerBase:
    """The same vocabulary in the class that klue's encoders use."""
    return BertTokenizer(vocab=make_tokenizer().get_vocab(), do_lower_case=False)


def _make_bert(vocab_size: int) -> PreTrainedModel:
    config = BertConfig(vocab_size=vocab_size, max_position_embeddings=POSITIONS, **_SIZE)
    return BertModel(config)


def _make_roberta(vocab_size: int) -> PreTrainedModel:
    """As klue/roberta: BERT's tokenizer, one token type, and positions counted from 1 on."""
    config = RobertaConfig(
        vocab_size=vocab_size,
        max_position_embeddings=POSITIONS + 1,
        type_vocab_size=1,
        pad_token_id=0,
        **_SIZE,
    )
    return RobertaModel(config)


def _make_electra(vocab_size: int) -> PreTrainedModel:
    config = ElectraConfig(
        vocab_size=vocab_size, embedding_size=8, max_position_embeddings=POSITIONS, **_SIZE
    )
    return ElectraModel(config)


def _make_deberta(vocab_size: int) -> PreTrainedModel:
    """Relative positions only, as the published DeBERTa-v2 and v3 models."""
    config = DebertaV2Config(
        vocab_size=vocab_size,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        type_vocab_size=0,
        **_SIZE,
    )
    return DebertaV2Model(config)


def _make_modern(vocab_size: int) -> PreTrainedModel:
    encoder = mini.make_masked_lm(
        vocab_size, mini.MiniSize(2, 16, 2, max_positions=POSITIONS)
    ).model
    with torch.no_grad():
        for weight in encoder.parameters():
            if weight.ndim == 2:
                weight.mul_(20)  # far from 0, as the others
    return encoder


def _make_mini(vocab_size: int) -> PreTrainedModel:
    return mini.make_encoder(vocab_size, mini.MiniSize(2, 16, 2, max_positions=POSITIONS))


ENCODERS: dict[str, Callable[[int], PreTrainedModel]] = {
    "bert": _make_bert,
    "roberta": _make_roberta,
    "electra": _make_electra,
    "deberta": _make_deberta,
    "mini": _make_mini,
    "modernbert": _make_modern,
}


def save_encoder(folder: Path, kind: str) -> str:
    """Saves a folder as `load_pretrained` takes it; returns its path."""
    tokenizer = make_bert_tokenizer()
    torch.manual_seed(0)
    ENCODERS[kind](len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def make_trained(
    kind: str = "bert",
    style: str = "punct",
    pooling: str = "attention",
    max_length: int = 64,
    pair_layers: int = ALL_LAYERS,
) -> TrainedModel:
    """A model with random weights and everything a checkpoint carries."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer() if kind == "mini" else make_bert_tokenizer()
    encoder = ENCODERS[kind](len(tokenizer))
    scheme = make_scheme(style)
    design = ModelDesign(entity_states=style == "levitated", pair_layers=pair_layers)
    add_marker_tokens(encoder, tokenizer, marker_tokens(scheme))
    return TrainedModel(
        model=RelationClassifier(encoder, len(LABELS), pooling, dropout=0.2, design=design),
        input_encoder=InputEncoder(tokenizer, scheme, max_length),
        labels=LABELS,
        options={"dropout": 0.2, "seed": 42},
        scores={"epoch": 2, "micro_f1": 51.25},
    )


def logits_of(trained: TrainedModel, examples: Sequence[Example] = EXAMPLES) -> Tensor:
    """(B, C), of all examples in one batch, without dropout."""
    rows = trained.input_encoder.encode(examples)
    batch = Batch.collate(rows, trained.input_encoder.pad_id)
    trained.model.eval()
    with torch.inference_mode():
        return trained.model(*batch.inputs)
