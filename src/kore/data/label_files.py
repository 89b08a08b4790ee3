"""Relation names from files: the competition's pickles, KLUE's relation_list.json, or the data."""

from __future__ import annotations

import io
import json
import pickle
import pickletools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from kore.common.errors import UserError
from kore.common.flags import AUTO
from kore.common.resources import find_file
from kore.data.schema import LabelMap, labels_in_order

# What damaged or hostile bytes make an unpickler raise.
_UNREADABLE = (
    pickle.UnpicklingError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
)
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")  # which name a place in the unpickler's memo


class _PlainUnpickler(pickle.Unpickler):
    """Reads dict, str and int, which need no class; whatever names a class or function fails."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def load_label_map(
    label2id_path: Path | str,
    *,
    id2label_path: Path | str = "",
    no_relation_label: str = "no_relation",
    data_labels: Iterable[str] | None = None,
) -> LabelMap:
    """The relations of a schema, and which of them means "no relation".

    Args:
        label2id_path: a map from relation names to numbers (.pkl or .json), or "auto" for the
            labels of the data.
        id2label_path: the reverse map, which is checked against the first; "" = none.
        no_relation_label: the negative relation; "" where the schema has none.
        data_labels: labels of the data, used where `label2id_path` is "auto".

    Raises:
        UserError: a file that is missing or no label map, maps that disagree, or a
            `no_relation_label` that is not among the relations.
    """
    if label2id_path == AUTO:
        if data_labels is None:
            raise UserError(
                "`label2id_path` auto needs labelled examples to take the relations from"
            )
        names = labels_in_order(list(data_labels), no_relation_label)
    else:
        names = read_label_names(Path(label2id_path))
        if id2label_path:
            _check_reverse(Path(id2label_path), names, Path(label2id_path))
    return make_label_map(names, no_relation_label)


def make_label_map(names: tuple[str, ...], no_relation_label: str) -> LabelMap:
    """The schema of these relations; '' where none of them means "no relation".

    Raises:
        UserError: `no_relation_label` is not among them.
    """
    no_relation = no_relation_label or None
    if no_relation is not None and no_relation not in names:
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise UserError(
            f"`no_relation_label` {no_relation!r} is not among the relations ({shown}); name the "
            "negative relation of your schema, or pass '' where it has none"
        )
    return LabelMap(names, no_relation)


def read_label_names(path: Path) -> tuple[str, ...]:
    """Relation names in order, from {name: number} in a pickle or JSON, or KLUE's list in JSON.

    Raises:
        UserError: the file is missing, holds anything else, or its numbers are not 0, 1, 2, ….
    """
    content = _read_plain(path)
    if isinstance(content, dict) and isinstance(content.get("relations"), list):
        content = content["relations"]
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        content = {name: number for number, name in enumerate(content)}
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and type(number) is int for name, number in content.items()
    ):
        raise UserError(f"{path}: expected a map from relation names to numbers")
    if len(content) < 2 or sorted(content.values()) != list(range(len(content))):
        raise UserError(
            f"{path}: the numbers must be 0 to {max(len(content) - 1, 1)}, each once, "
            f"but are {sorted(content.values())[:40]}"
        )
    return tuple(sorted(content, key=content.__getitem__))


def _check_reverse(path: Path, names: tuple[str, ...], forward: Path) -> None:
    """Refuses two maps that disagree: their checkpoint would name relations wrongly."""
    content = _read_plain(path)
    try:
        reverse = {int(number): name for number, name in content.items()}
    except (AttributeError, ValueError, TypeError) as error:
        raise UserError(f"{path}: expected a map from numbers to relation names") from error
    expected = dict(enumerate(names))
    for number in sorted({*reverse, *expected}):
        if reverse.get(number) != expected.get(number):
            raise UserError(
                f"{path}: number {number} is {reverse.get(number)!r}, but "
                f"{expected.get(number)!r} in {forward}; make the two files agree"
            )


def _unpickled(content: bytes) -> Any:
    """The plain values of a pickle.

    Raises:
        one of `_UNREADABLE`, before memory is reserved for what the bytes cannot hold: nine of them
        may ask for a place in the memo that takes gigabytes.
    """
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in _PUTS and cast(int, argument) > len(content):
            raise pickle.UnpicklingError(f"{operation.name} {argument}")
    return _PlainUnpickler(io.BytesIO(content)).load()


def _read_plain(path: Path) -> Any:
    """The content of a .json or .pkl file; nothing in it is executed.

    The maps that ship are found from any folder.
    """
    path = find_file(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a label map, or pass `label2id_path` {AUTO}")
    try:
        content = path.read_bytes()
        return json.loads(content) if path.suffix == ".json" else _unpickled(content)
    except _UNREADABLE as error:
        raise UserError(
            f"{path}: not a label map of names and numbers alone ({error}); nothing in it was run"
        ) from error
