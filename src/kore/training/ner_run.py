"""Training of a tagger, from its options: texts, tags, model."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.common.flags import KORE_MINI, MINI
from kore.common.resources import find_file
from kore.data.ner import (
    TaggedText,
    entity_types_of,
    is_type_name,
    marked_texts,
    read_tagged,
    read_type_names,
    with_types,
)
from kore.data.rows import read_examples
from kore.data.splits import held_out
from kore.data.tagging import TextEncoder
from kore.network.pretrained import check_positions, load_pretrained
from kore.network.tagger import Tagger, tags_for
from kore.network.tagger_file import TrainedTagger, tagger_from_payload
from kore.training.data_checks import check_entities
from kore.training.ner_options import TrainNerOptions
from kore.training.tagging import (
    TAGGER_STATE_KIND,
    TaggingObjective,
    count_entities,
    encode_texts,
    in_words,
    inside_tokens,
)
from kore.training.task_run import Start, Task, run_task


def train_ner(options: TrainNerOptions) -> Path:
    """Trains a tagger and returns the path of its best checkpoint; see `run_task`."""
    files = {"train_file": Path(options.train_file)}
    for name in ("valid_file", "partial_file"):
        if getattr(options, name):
            files[name] = Path(getattr(options, name))
    if options.type_names:
        files["type_names"] = find_file(options.type_names)
    task = Task(
        state_kind=TAGGER_STATE_KIND,
        data_files=files,
        begin=functools.partial(begin, options),
        summarize=functools.partial(_scores_of_best, options),
    )
    return run_task(options, task)


def begin(options: TrainNerOptions, start: Start) -> TaggingObjective:
    """Reads and encodes the texts, and makes the model or takes it from a saved state."""
    pretrained = None
    if options.model_name_or_path == MINI:
        raise UserError(
            f"`model_name_or_path` {MINI}: a tagger needs an encoder that has learned from text; "
            f"pass {KORE_MINI}, which ships, or any other"
        )
    if start.model is None:  # first: it fails most often
        pretrained = load_pretrained(options.model_name_or_path, options.dropout)
    train_texts, valid_texts = read_texts(options)
    if start.model is not None:
        trained = tagger_from_payload(start.path, start.model)
    else:
        assert pretrained is not None
        encoder, tokenizer = pretrained
        check_positions(encoder, options.max_length, options.model_name_or_path)
        tags = tags_for(entity_types_of([*train_texts, *valid_texts]))
        model = Tagger(encoder, len(tags), options.dropout, options.ngram_buckets)
        text_encoder = TextEncoder(tokenizer, options.max_length, options.ngram_buckets)
        trained = TrainedTagger(model, text_encoder, tags, asdict(options), {})
    train_data, valid_data = encode_texts(trained, train_texts), encode_texts(trained, valid_texts)
    trained.tagger.run_encoder(
        checkpointing=options.gradient_checkpointing, compiled=options.compile
    )
    entities = count_entities(train_texts)
    about = (
        f"{len(train_texts)} training texts with {entities} entities "
        f"({inside_tokens(train_data) / max(1, entities):.1%} begin or end inside a token), "
        f"{len(valid_texts)} validation texts with {count_entities(valid_texts)}, "
        f"{len(trained.types)} types"
    )
    objective = TaggingObjective(trained, train_data, valid_data, about)
    if start.model is None:
        objective.fit_ngrams(options.seed)
    return objective


def read_texts(options: TrainNerOptions) -> tuple[list[TaggedText], list[TaggedText]]:
    """The training and validation texts.

    Raises:
        UserError: a file is faulty, or there are too few texts to hold some out.
    """
    read = functools.partial(
        read_tagged, on_bad_row=options.on_bad_row, output_dir=options.output_dir
    )
    names = read_type_names(options.type_names)
    partial = _partial_texts(options)
    train_texts = read(Path(options.train_file))
    if options.valid_file:
        valid_texts = read(Path(options.valid_file), types=entity_types_of(train_texts))
    else:
        train_texts, valid_texts = _held_out(options, train_texts)
    check_entities(train_texts, Path(options.train_file))
    held = {row.text for row in valid_texts}
    partial = [row for row in partial if row.text not in held]
    return [*with_types(train_texts, names), *partial], with_types(valid_texts, names)


def _held_out(
    options: TrainNerOptions, train_texts: list[TaggedText]
) -> tuple[list[TaggedText], list[TaggedText]]:
    """The texts to learn from and those to validate on, where one file holds both."""
    held = held_out([row.text for row in train_texts], options.valid_ratio, options.train_file)
    return (
        [row for row in train_texts if row.text not in held],
        [row for row in train_texts if row.text in held],
    )


def _partial_texts(options: TrainNerOptions) -> list[TaggedText]:
    if not options.partial_file:
        return []
    examples = read_examples(
        Path(options.partial_file), on_bad_row=options.on_bad_row, output_dir=options.output_dir
    )
    texts = marked_texts(examples)
    odd = {one.type for row in texts for one in row.entities if not is_type_name(one.type)}
    if odd:
        raise UserError(
            f"{options.partial_file}: entities of the type {odd.pop()!r}, expected types that are "
            "not empty and hold no space"
        )
    return texts


def _scores_of_best(options: TrainNerOptions, best: Mapping[str, Any]) -> str:
    where = options.valid_file or f"{options.valid_ratio:.0%} of {options.train_file}"
    return f"{in_words(best)} on {where}"
