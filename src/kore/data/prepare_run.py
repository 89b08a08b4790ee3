"""Splits labelled examples into data/train_data.csv and data/valid_data.csv.

They come from the competition's CSV, KLUE's JSON, JSONL or Parquet, or from the Hugging Face hub.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.data.options import PrepareOptions
from kore.data.records import Record, write_examples
from kore.data.rows import check_records, read_examples
from kore.data.schema import Example
from kore.data.splits import shared_sentences, split


def prepare(options: PrepareOptions) -> None:
    """Reads, splits, writes, and says what the split did.

    Raises:
        UserError: the rows are faulty, the split is impossible, or a target file exists.
    """
    targets = [Path(options.data_dir) / f"{part}_data.csv" for part in ("train", "valid")]
    for target in targets:
        if target.exists() and not options.overwrite:
            raise UserError(
                f"{target} is already there; move it away, or pass `overwrite` to replace it"
            )
    examples = _read(options)
    in_valid = split(examples, options.valid_ratio, options.group_by_sentence, options.seed)
    parts = _parts(examples, in_valid)
    for target, part in zip(targets, parts, strict=True):
        write_examples(target, part)
    print(_summary(options, examples, in_valid, parts, targets))


def named_labels(
    records: Iterable[Mapping[str, Any]], names: Sequence[str]
) -> Iterator[tuple[int, Record]]:
    """Numbered records whose label number is replaced by its name, as the hub lists them."""
    for number, record in enumerate(records, start=1):
        label = record["label"]
        known = isinstance(label, int) and 0 <= label < len(names)
        yield number, {**record, "label": names[label] if known else None}


def _read(options: PrepareOptions) -> list[Example]:
    if not options.hub_dataset:
        return read_examples(
            Path(options.input_file),
            need_labels=True,
            on_bad_row=options.on_bad_row,
            output_dir=options.output_dir,
        )
    name = f"{options.hub_dataset}/{options.hub_config}/{options.hub_split}"
    return check_records(
        name,
        _hub_records(options),
        need_labels=True,
        on_bad_row=options.on_bad_row,
        output_dir=options.output_dir,
    )


def _hub_records(options: PrepareOptions) -> Iterator[tuple[int, Record]]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise UserError(
            "`hub_dataset` needs the package datasets: python -m pip install datasets, "
            "or poetry install --with hub"
        ) from error
    try:
        rows = load_dataset(options.hub_dataset, options.hub_config, split=options.hub_split)
    except (OSError, ValueError, LookupError) as error:
        raise UserError(
            f"`hub_dataset` {options.hub_dataset}: cannot be loaded "
            f"({str(error).splitlines()[0]}); check the name and the connection, or pass "
            "`input_file`"
        ) from error
    return named_labels(rows, rows.features["label"].names)


def _parts(
    examples: Sequence[Example], in_valid: Sequence[bool]
) -> tuple[list[Example], list[Example]]:
    paired = list(zip(examples, in_valid, strict=True))
    return [row for row, held in paired if not held], [row for row, held in paired if held]


def _summary(
    options: PrepareOptions,
    examples: Sequence[Example],
    in_valid: Sequence[bool],
    parts: tuple[list[Example], list[Example]],
    targets: Sequence[Path],
) -> str:
    lines = [
        f"{target}: {len(part)} rows ({100 * len(part) / len(examples):.1f} %)"
        for target, part in zip(targets, parts, strict=True)
    ]
    if all(str(example.label).isdecimal() for example in examples):
        lines.append(
            f"The labels are numbers ({examples[0].label!r}), not names of relations: only a label "
            "map of these numbers, or --label2id_path auto, fits them."
        )
    plain = in_valid
    if options.group_by_sentence:
        plain = split(examples, options.valid_ratio, False, options.seed)
    leaked, held = shared_sentences(examples, plain), sum(plain)
    if options.group_by_sentence:
        lines.append(
            f"Every sentence is on one side. A plain split would have leaked: {leaked} of its "
            f"{held} held-out rows share their sentence with a training row."
        )
    else:
        lines.append(f"{leaked} of {held} held-out rows share their sentence with a training row.")
    return "\n".join(lines)
