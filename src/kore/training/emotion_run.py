"""Training of a classifier of many labels, from its options: texts, labels, model."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.common.flags import KORE_MINI, MINI
from kore.data.emotion import JudgedText, labels_of, read_judged
from kore.data.splits import held_out
from kore.data.targets import TargetEncoder
from kore.network.emotion import EmotionClassifier
from kore.network.emotion_file import TrainedEmotions, emotions_from_payload
from kore.network.pretrained import check_positions, load_pretrained
from kore.training.emotion import (
    EMOTION_STATE_KIND,
    EmotionObjective,
    encode_judged,
    in_words,
)
from kore.training.emotion_options import TrainEmotionOptions
from kore.training.task_run import Start, Task, run_task


def train_emotion(options: TrainEmotionOptions) -> Path:
    """Trains a classifier and returns the path of its best checkpoint; see `run_task`."""
    files = {"train_file": Path(options.train_file)}
    if options.valid_file:
        files["valid_file"] = Path(options.valid_file)
    task = Task(
        state_kind=EMOTION_STATE_KIND,
        data_files=files,
        begin=functools.partial(begin, options),
        summarize=functools.partial(_scores_of_best, options),
    )
    return run_task(options, task)


def begin(options: TrainEmotionOptions, start: Start) -> EmotionObjective:
    """Reads and encodes the texts, and makes the model or takes it from a saved state."""
    if options.model_name_or_path == MINI:
        raise UserError(
            f"`model_name_or_path` {MINI}: labels need an encoder that has learned from text; pass "
            f"{KORE_MINI}, which ships, or any other"
        )
    pretrained = None
    if start.model is None:  # first: it fails most often
        pretrained = load_pretrained(options.model_name_or_path, options.dropout)
    train_texts, valid_texts = read_texts(options)
    if start.model is not None:
        trained = emotions_from_payload(start.path, start.model)
    else:
        assert pretrained is not None
        encoder, tokenizer = pretrained
        check_positions(encoder, options.max_length, options.model_name_or_path)
        labels = labels_of(train_texts, options.train_file)
        model = EmotionClassifier(encoder, len(labels), options.span_pooling, options.dropout)
        target_encoder = TargetEncoder(
            tokenizer,
            options.max_length,
            remove_others=options.remove_others,
            cleansing=options.cleansing,
        )
        trained = TrainedEmotions(model, target_encoder, labels, asdict(options), {})
    train_data, valid_data = (encode_judged(trained, part) for part in (train_texts, valid_texts))
    trained.model.run_encoder(
        checkpointing=options.gradient_checkpointing, compiled=options.compile
    )
    cut = sum(row.was_cut for row in train_data.rows)
    targets = sum(text.target is not None for text in train_texts)
    about = (
        f"{len(train_texts)} training texts, {targets} with a target, {cut} cut; "
        f"{len(valid_texts)} validation texts; {len(trained.labels)} labels, "
        f"{train_data.truths.sum(axis=1).mean():.2f} of them true in a text"
    )
    return EmotionObjective(options, trained, train_data, valid_data, about)


def read_texts(options: TrainEmotionOptions) -> tuple[list[JudgedText], list[JudgedText]]:
    """The training and validation texts.

    Raises:
        UserError: a file is faulty, or there are too few texts to hold some out.
    """
    read = functools.partial(
        read_judged, on_bad_row=options.on_bad_row, output_dir=options.output_dir
    )
    train_texts = read(Path(options.train_file))
    if options.valid_file:
        labels = labels_of(train_texts, options.train_file)
        return train_texts, read(Path(options.valid_file), labels=labels)
    held = held_out([text.form for text in train_texts], options.valid_ratio, options.train_file)
    return (
        [text for text in train_texts if text.form not in held],
        [text for text in train_texts if text.form in held],
    )


def _scores_of_best(options: TrainEmotionOptions, best: Mapping[str, Any]) -> str:
    where = options.valid_file or f"{options.valid_ratio:.0%} of {options.train_file}"
    return f"{in_words(best)} on {where}"
