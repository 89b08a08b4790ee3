"""Examples as users read and tokenize them today, for the ways of baselines.py."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import BatchEncoding, PreTrainedTokenizerBase

import _path  # noqa: F401
from kore.data.markers import MarkedText, MarkerScheme, mark
from kore.data.schema import Entity, Example, Span
from workload import MAX_LENGTH, Job

Features = dict[str, Any]


def read_plainly(path: Path) -> list[Example]:
    """The plain script's reading: pandas, then each cell of an entity as a Python literal."""
    examples = []
    for row in pd.read_csv(path).to_dict("records"):
        entities: list[Entity] = []
        for column in ("subject_entity", "object_entity"):
            cell = ast.literal_eval(row[column])
            span = Span(cell["start_idx"], cell["end_idx"] + 1)
            entities.append(Entity(cell["word"], span, cell["type"]))
        subject, object_ = entities
        examples.append(
            Example(str(row["id"]), row["sentence"], subject, object_, str(row["label"]))
        )
    return examples


def tokenize_row(
    example: Example, tokenizer: PreTrainedTokenizerBase, scheme: MarkerScheme
) -> Features:
    """One example, padded to 160 tokens."""
    marked = mark(example, scheme)
    encoding = tokenizer(
        marked.text,
        padding="max_length",
        truncation=True,
        max_length=MAX_LENGTH,
        return_token_type_ids=False,
    )
    return {**encoding, **_spans(marked, encoding, 0)}


def tokenize_rows(job: Job) -> list[Features]:
    """All examples in one call, not padded: the input of DataCollatorWithPadding."""
    marked = [mark(example, job.scheme) for example in job.examples]
    encoding = job.tokenizer(
        [row.text for row in marked],
        truncation=True,
        max_length=MAX_LENGTH,
        return_token_type_ids=False,
    )
    return [
        {
            "input_ids": encoding["input_ids"][number],
            "attention_mask": encoding["attention_mask"][number],
            **_spans(row, encoding, number),
        }
        for number, row in enumerate(marked)
    ]


def _spans(marked: MarkedText, encoding: BatchEncoding, number: int) -> Features:
    """Token spans of both entities with their markers."""

    def span(characters: Span) -> list[int]:
        first = encoding.char_to_token(number, characters.start)
        last = encoding.char_to_token(number, characters.end - 1)
        return [0, 1] if first is None or last is None else [first, last + 1]  # cut off: [CLS]

    return {"subject_span": span(marked.subject.outer), "object_span": span(marked.object.outer)}
