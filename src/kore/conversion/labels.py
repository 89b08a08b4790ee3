"""Labels that are numbers get their names; the one that means "none of them" gets ours."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.common.flags import AUTO
from kore.common.resources import find_file
from kore.conversion.formats import Records
from kore.data.faults import RowFault
from kore.data.label_files import read_label_names

_LOGGER = logging.getLogger(__name__)

_HIDDEN = "-1"
KLUE_RELATIONS = "klue_relations.json"  # KLUE's own order, which the hub's data sets have too
# Names that other data sets give to it; only hinted at, as a schema may mean another thing by them.
_NEGATIVES = ("na", "n/a", "other", "none", "no_rel", "norelation", "no-relation", "unrelated")


def named_labels(records: Records, path: Path, label2id_path: str) -> Records:
    """Records whose numbers are replaced by names, where all labels are numbers.

    Args:
        path: a .parquet may name its labels itself.
        label2id_path: a map of names and numbers; "auto" = the numbers are names; "" = as the file
            names them, or KLUE's order where it is KLUE's.

    Raises:
        UserError: nothing names the numbers, or one of them has no name.
    """
    records = [
        found if isinstance(found, RowFault) else (found[0], _plain(found[1])) for found in records
    ]
    labels = _labels_of(records) - {_HIDDEN}
    are_numbers = bool(labels) and all(label.isdecimal() for label in labels)
    if label2id_path not in ("", AUTO) and not are_numbers:
        raise UserError(
            f"{path}: `label2id_path` names numbers, but the labels are "
            f"{', '.join(sorted(labels)[:5]) or 'not there'}; leave it out"
        )
    if label2id_path == AUTO or not are_numbers:
        return records
    names = _names_of_numbers(records, path, label2id_path, sorted(map(int, labels)))
    return [
        found if isinstance(found, RowFault) else (found[0], _named(found[1], names))
        for found in records
    ]


def _labels_of(records: Records) -> set[str]:
    found = (one[1].get("label") for one in records if not isinstance(one, RowFault))
    return {str(label) for label in found if label is not None}


def _names_of_numbers(
    records: Records, path: Path, label2id_path: str, numbers: Sequence[int]
) -> Sequence[str]:
    if label2id_path:
        names, source = read_label_names(Path(label2id_path)), label2id_path
    elif own := _class_labels(path):
        names, source = tuple(own), "the file itself"
    elif _is_klues(records) and numbers[-1] < 30:
        names, source = read_label_names(find_file(KLUE_RELATIONS)), "KLUE's own order"
    else:
        raise UserError(
            f"{path}: the labels are numbers from {numbers[0]} to {numbers[-1]}; name them with "
            "`label2id_path`: a .json or .pkl of names and numbers, dict_label_to_num.pkl for "
            f"those of the competition, {KLUE_RELATIONS} for KLUE's own, or {AUTO} to keep the "
            "numbers as names"
        )
    if numbers[-1] >= len(names):
        raise UserError(f"{path}: label {numbers[-1]}, but {source} names 0 to {len(names) - 1}")
    first = f"{numbers[0]} = {names[numbers[0]]}, {numbers[-1]} = {names[numbers[-1]]}"
    _LOGGER.info(f"{path}: labels are numbers, named by {source}: {first}")
    return names


def _named(record: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    label = record.get("label")
    return record if label is None else {**record, "label": names[int(label)]}


def _plain(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record whose label is a text, or None; 3.0 is what pandas makes of 3 beside an empty cell,
    -1 what the hub has in place of a hidden one.
    """
    label = record.get("label")
    text = "" if label is None or label != label else str(label).strip()
    text = re.sub(r"^(-?\d+)\.0$", r"\1", text)
    return {**record, "label": None if text in ("", _HIDDEN) else text}


def _class_labels(path: Path) -> list[str]:
    """The names in a Parquet file that the hub's library has written; [] where there are none."""
    if path.suffix != ".parquet":
        return []
    from pyarrow import parquet

    stored = (parquet.read_schema(path).metadata or {}).get(b"huggingface")
    try:
        names = json.loads(stored or b"{}")["info"]["features"]["label"]["names"]
    except (KeyError, TypeError, ValueError):
        return []
    return names if isinstance(names, list) else []


def _is_klues(records: Records) -> bool:
    """KLUE's own rows are numbered klue-re-v1_train_00000 and so on."""
    return all(
        isinstance(found, RowFault) or str(found[1].get("id")).startswith("klue-re")
        for found in records
    )


def with_no_relation(records: Records, given: str, no_relation: str) -> Records:
    """Records in which the label `given` has become `no_relation`; "" = none does.

    Raises:
        UserError: no record has that label.
    """
    labels = _labels_of(records)
    if not given:
        likely = sorted(label for label in labels if label.lower() in _NEGATIVES)
        if likely and no_relation not in labels:
            _LOGGER.info(
                f"the label {likely[0]} may mean that there is no relation; `no_relation_label` "
                f"{likely[0]} writes it as {no_relation}"
            )
        return records
    if given not in labels:
        raise UserError(f"`no_relation_label` {given} is not among {', '.join(sorted(labels))}")
    return [
        found
        if isinstance(found, RowFault) or str(found[1].get("label")) != given
        else (found[0], {**found[1], "label": no_relation})
        for found in records
    ]
