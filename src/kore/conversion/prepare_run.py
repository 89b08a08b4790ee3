"""Labelled examples in any usual format -> data/train_data.csv and data/valid_data.csv.

They come from a file of this or another toolkit, see formats.py, or from the Hugging Face hub.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kore.common.errors import UserError, first_line
from kore.common.flags import AUTO
from kore.conversion.formats import Reading, Records, convert
from kore.conversion.labels import named_labels, with_no_relation
from kore.conversion.options import PrepareOptions
from kore.data.faults import RowFault
from kore.data.records import Record, write_examples
from kore.data.rows import check_records, parse_record, realigned_record
from kore.data.schema import Example
from kore.data.splits import shared_sentences, split

_LOGGER = logging.getLogger(__name__)
NO_RELATION = "no_relation"


def prepare(options: PrepareOptions) -> None:
    """Reads, splits, writes, and says what the split did.

    Raises:
        UserError: the rows are faulty, the split is impossible, or a target file exists.
    """
    if options.output_file:
        _convert(options)
        return
    targets = [Path(options.data_dir) / f"{part}_data.csv" for part in ("train", "valid")]
    _refuse_existing(targets, options)
    examples = _read(options, need_labels=True)
    in_valid = split(examples, options.valid_ratio, options.group_by_sentence, options.seed)
    parts = _parts(examples, in_valid)
    for target, part in zip(targets, parts, strict=True):
        write_examples(target, part)
    print(_summary(options, examples, in_valid, parts, targets))


def _convert(options: PrepareOptions) -> None:
    target = Path(options.output_file)
    if target.suffix != ".csv":
        raise UserError(f"`output_file` {target}: expected a name that ends in .csv")
    _refuse_existing([target], options)
    examples = _read(options, need_labels=False)
    write_examples(target, examples)
    labelled = sum(row.label is not None for row in examples)
    print(f"{target}: {len(examples)} examples, {labelled} of them labelled")


def _refuse_existing(targets: Sequence[Path], options: PrepareOptions) -> None:
    for target in targets:
        if target.resolve() == Path(options.input_file).resolve():
            raise UserError(f"{target} is the `input_file`, which is never replaced")
        if target.exists() and not options.overwrite:
            raise UserError(
                f"{target} is already there; move it away, or pass `overwrite` to replace it"
            )


def _read(options: PrepareOptions, need_labels: bool) -> list[Example]:
    if options.hub_dataset:
        name = f"{options.hub_dataset}/{options.hub_config}/{options.hub_split}"
        records: Iterable[Any] = _hub_records(options)
        if options.no_relation_label:
            records = with_no_relation(list(records), options.no_relation_label, NO_RELATION)
    else:
        name = options.input_file
        records = _file_records(Path(name), options)
    return check_records(
        name,
        records,
        need_labels=need_labels,
        on_bad_row=options.on_bad_row,
        output_dir=options.output_dir,
    )


def _file_records(path: Path, options: PrepareOptions) -> Records:
    reading = Reading(NO_RELATION if options.unrelated_pairs else None, options.ends)
    kind, records = convert(path, options.format, reading)
    _LOGGER.info(f"{path}: read as {kind}")
    named = named_labels(_composed(path, records), path, options.label2id_path)
    return with_no_relation(named, options.no_relation_label, NO_RELATION)


def _composed(path: Path, records: Records) -> Records:
    """Words that differ from what their offsets cut out in composition alone are made to agree."""
    composed = 0
    for number, found in enumerate(records):
        if isinstance(found, RowFault) or parse_record(*found)[0] is not None:
            continue
        agreeing = realigned_record(found[1])
        if agreeing is not None:
            records[number] = (found[0], agreeing)
            composed += 1
    if composed:
        _LOGGER.info(
            f"{path}: {composed} rows whose word and sentence differed in composition (NFC, NFD) "
            "or in an invisible character now agree"
        )
    return records


def _hub_records(options: PrepareOptions) -> Iterator[tuple[int, Record]]:
    if options.format != AUTO or options.unrelated_pairs or options.label2id_path:
        raise UserError(
            "`format`, `unrelated_pairs` and `label2id_path` are for an `input_file`; a data set "
            "of the hub names its fields and labels itself"
        )
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
            f"({first_line(error)}); check the name and the connection, or pass "
            "`input_file`"
        ) from error
    names = getattr(rows.features.get("label"), "names", None)
    if names is None:
        raise UserError(
            f"`hub_dataset` {options.hub_dataset}: has no column `label` with names; save it as "
            ".parquet and pass that as `input_file`"
        )
    return hub_labels(rows, names)


def hub_labels(
    records: Iterable[Mapping[str, Any]], names: Sequence[str]
) -> Iterator[tuple[int, Record]]:
    """Numbered records whose label number is replaced by its name, as the hub lists them."""
    for number, record in enumerate(records, start=1):
        label = record["label"]
        known = isinstance(label, int) and 0 <= label < len(names)
        yield number, {**record, "label": names[label] if known else None}


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
