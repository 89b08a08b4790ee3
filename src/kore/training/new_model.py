"""The model that a run begins with: an encoder with its tokenizer, and a new head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kore.common.arrays import Floats
from kore.common.errors import UnfitError
from kore.data.dataset import InputEncoder
from kore.data.markers import LEVITATED, MarkerScheme, mark, marker_meanings, marker_tokens
from kore.data.schema import Example, LabelMap, entity_types
from kore.network import mini
from kore.network.checkpoint import TrainedModel
from kore.network.encoder_pass import ALL_LAYERS, layers_are_known
from kore.network.model import NONE, ModelDesign, RelationClassifier
from kore.network.pooling import CLS_ONLY
from kore.network.pretrained import (
    add_marker_tokens,
    check_positions,
    set_dropout,
    set_embeddings,
)
from kore.scoring.label_shift import gold_shares, log_odds
from kore.training.options import TrainOptions
from kore.training.type_restriction import allowed_relations

Pretrained = tuple[PreTrainedModel, PreTrainedTokenizerBase]


def new_model(
    options: TrainOptions,
    labels: LabelMap,
    examples: Sequence[Example],
    pretrained: Pretrained | None,
    expected: Floats | None = None,
) -> TrainedModel:
    """A model that has not been trained yet.

    Args:
        examples: those of training, which decide the entity types and what they allow.
        pretrained: encoder and tokenizer; None makes a small one of the examples' words.
        expected: class shares (C,) where the model is used; None = those of the examples.

    Raises:
        UnfitError: the options do not fit the encoder.
    """
    scheme = _marker_scheme(options, examples)
    encoder, tokenizer = pretrained or _make_mini(options.dropout, scheme, examples)
    new = add_marker_tokens(encoder, tokenizer, marker_tokens(scheme))
    if scheme.style == LEVITATED:  # the markers of a checkpoint have learned theirs
        meanings = {token: text for token, text in marker_meanings(scheme).items() if token in new}
        set_embeddings(encoder, tokenizer, meanings)
    check_positions(encoder, options.max_length, options.model_name_or_path)
    _check_encoder(options, encoder, tokenizer)
    pooling = options.span_pooling if options.use_span_pooling else CLS_ONLY
    classifier = RelationClassifier(
        encoder, len(labels), pooling, options.dropout, _design(options, scheme)
    )
    if options.type_restriction != NONE:
        allowed = allowed_relations(examples, scheme.types, labels)
        classifier.get_buffer("allowed").copy_(torch.from_numpy(allowed))
    if expected is not None:
        source = gold_shares(examples, labels)
        odds = options.target_prior_strength * log_odds(source, expected)
        classifier.log_odds.copy_(torch.from_numpy(odds))
    input_encoder = InputEncoder(tokenizer, scheme, options.max_length, options.ngram_buckets)
    return TrainedModel(
        classifier,
        input_encoder,
        labels,
        options=asdict(options),
        scores={},
        type_pairs=tuple(sorted({(row.subject.type, row.object.type) for row in examples})),
    )


def _make_mini(dropout: float, scheme: MarkerScheme, examples: Sequence[Example]) -> Pretrained:
    texts = (mark(example, scheme).text for example in examples)
    tokenizer = mini.learn_tokenizer(texts, mini.SIZE.vocab_size)
    encoder = mini.make_encoder(len(tokenizer), mini.SIZE)
    set_dropout(encoder, dropout)
    return encoder, tokenizer


def _marker_scheme(options: TrainOptions, examples: Sequence[Example]) -> MarkerScheme:
    reads_types = options.use_entity_types or _model_reads_types(options)
    return MarkerScheme(
        use_markers=options.use_entity_markers,
        use_types=options.use_entity_types,
        style=options.marker_style,
        types=entity_types(examples) if reads_types else (),
        cue=options.cue_sentence,
    )


def _design(options: TrainOptions, scheme: MarkerScheme) -> ModelDesign:
    is_levitated = scheme.style == LEVITATED
    return ModelDesign(
        last_layers=options.last_layers,
        bilstm=options.bilstm,
        num_types=len(scheme.types) if _model_reads_types(options) else 0,
        type_embedding=options.entity_type_embedding,
        type_restriction=options.type_restriction,
        ngram_buckets=options.ngram_buckets,
        entity_states=is_levitated,
        pair_layers=options.pair_layers if is_levitated else ALL_LAYERS,
    )


def _model_reads_types(options: TrainOptions) -> bool:
    """Whether the model itself, beside the text, is given the entities' types."""
    return options.entity_type_embedding or options.type_restriction != NONE


def _check_encoder(
    options: TrainOptions, encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    layers = getattr(encoder.config, "num_hidden_layers", options.last_layers)
    if options.last_layers > layers:
        raise UnfitError(
            f"`last_layers` {options.last_layers}, but {options.model_name_or_path} has {layers}"
        )
    if options.marker_style == LEVITATED and not layers_are_known(encoder):
        raise UnfitError(
            f"`marker_style` {LEVITATED}: {type(encoder).__name__} has layers of another kind than "
            "BERT's or ModernBERT's; pass `marker_style` punct"
        )
    if options.mask_tokens and options.marker_style == LEVITATED:
        raise UnfitError(f"`mask_tokens` needs markers in the text, and not {LEVITATED} ones")
    if options.mask_tokens and tokenizer.mask_token_id is None:
        raise UnfitError(f"`mask_tokens`: {options.model_name_or_path} has no [MASK] token")
