"""Texts with labels that are each true or false, toward a marked target or none.

    {"id", "input": {"form", "target": {"form", "begin", "end"}}, "output": {"joy": "True", …}}

a line each, as the National Institute of Korean Language hands them out; `end` is exclusive, the
fields of the target may be null, and `output` may be missing where labels are to be predicted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kore.common.errors import UserError
from kore.data.entity_cells import shortened
from kore.data.faults import STOP, RowFault, stop_or_reject
from kore.data.json_files import line_rows, list_rows
from kore.data.records import Record
from kore.data.rows import PlacesOfIds
from kore.data.schema import Span
from kore.data.text_files import decode_errors_as_user_error, has_half_character, without_gzip

_TRUTHS = {"true": True, "false": False}
_OTHERS = re.compile(r"&others&")
_RUN = re.compile(r"([^\w\s])\1+")


class JudgedText(NamedTuple):
    """A text, the characters of its target (None = it has none), and which labels are true.

    labels: None where they are not known. record: the row it came from, which the output repeats.
    """

    id: str
    form: str
    target: Span | None
    labels: Mapping[str, bool] | None
    record: Record


def read_judged(
    path: Path,
    *,
    labels: Sequence[str] | None = None,
    need_labels: bool = True,
    on_bad_row: str = STOP,
    output_dir: Path | str = "outputs",
) -> list[JudgedText]:
    """All texts of a file, in order.

    Args:
        labels: those that every row must have; None = those of the first row.
        need_labels: a row without labels is a fault.
        on_bad_row: as for `rows.check_records`.

    Raises:
        UserError: the file cannot be read, rows are faulty, or there are none.
    """
    texts: list[JudgedText] = []
    faults: list[RowFault] = []
    for found in iter_judged(path, labels=labels, need_labels=need_labels):
        if isinstance(found, RowFault):
            faults.append(found)
        else:
            texts.append(found)
    if faults:
        stop_or_reject(str(path), faults, on_bad_row, Path(output_dir))
    if not texts:
        raise UserError(f"{path}: holds no text{' that can be used' if faults else ''}")
    return texts


def iter_judged(
    path: Path, *, labels: Sequence[str] | None = None, need_labels: bool = False
) -> Iterator[JudgedText | RowFault]:
    """Every text of a file, or what is wrong with it; the arguments are those of `read_judged`."""
    readers: dict[str, Callable[[Path], Iterator[tuple[int, Record]]]] = {
        ".jsonl": line_rows,
        ".json": list_rows,
    }
    kind = without_gzip(path).suffix
    if kind not in readers:
        raise UserError(f"{path}: expected a file that ends in .jsonl, .json, or in these and .gz")
    places = PlacesOfIds()
    known = None if labels is None else list(labels)
    with decode_errors_as_user_error(path):
        for line, record in readers[kind](path):
            try:
                text = _judged(record)
                if need_labels and text.labels is None:
                    raise _FaultError("output", "is missing, expected labels that are true or not")
                if text.labels is not None:
                    known = known or list(text.labels)
                    _check_labels(text.labels, known)
                earlier = places.earlier(text.id, line)
                if earlier is not None:
                    raise _FaultError("id", f"{text.id!r} is also the id of the row at {earlier}")
            except _FaultError as error:
                yield RowFault(line, error.column, str(error), record)
            else:
                yield text


def labels_of(texts: Sequence[JudgedText], path: Path | str) -> tuple[str, ...]:
    """The labels, in the order of the first text.

    Raises:
        UserError: none is true anywhere, so that there is nothing to learn.
    """
    found = [text.labels for text in texts if text.labels is not None]
    if not any(any(labels.values()) for labels in found):
        raise UserError(f"{path}: no label is true in any row, so there is nothing to learn")
    return tuple(found[0])


def truths_of(texts: Sequence[JudgedText], labels: Sequence[str]) -> NDArray[np.bool_]:
    """(N, C) which labels are true, in this order; all texts have labels."""
    rows = [[(text.labels or {})[name] for name in labels] for text in texts]
    return np.asarray(rows, dtype=bool)


def record_of(text: JudgedText, labels: Mapping[str, bool]) -> dict[str, Any]:
    """The row of a text, with these labels as its output; probabilities of earlier ones go."""
    output = {name: str(bool(value)) for name, value in labels.items()}
    kept = {name: value for name, value in text.record.items() if name != "probs"}
    return {**kept, "id": text.id, "output": output}


def cleaned(text: JudgedText, *, remove_others: bool, cleansing: bool) -> JudgedText:
    """A text without the placeholder "&others&", and with runs of one symbol cut to one of it.

    The target is left as it is, and moves with what is before it; a text of which nothing would be
    left stays.
    """
    patterns = [_OTHERS] * remove_others + [_RUN] * cleansing
    form, target = text.form, text.target or Span(0, 0)
    for pattern in patterns:
        kept = ""
        moved = target
        done = 0
        for match in pattern.finditer(form):
            if target.overlaps(Span(*match.span())):
                continue
            put = match[1] if match.re.groups else ""
            kept += form[done : match.start()] + put
            done = match.end()
            if match.end() <= target.start:
                by = match.end() - match.start() - len(put)
                moved = Span(moved.start - by, moved.end - by)
        form, target = kept + form[done:], moved
    if not form.strip():
        return text
    return text._replace(form=form, target=None if text.target is None else target)


class _FaultError(ValueError):
    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def _judged(record: Record) -> JudgedText:
    row_id = record.get("id")
    if row_id is None or not str(row_id):
        raise _FaultError("id", "is empty, expected an id of its own for every row")
    given = record.get("input")
    form = given.get("form") if isinstance(given, Mapping) else None
    if not isinstance(form, str) or not form.strip():
        raise _FaultError("input.form", f"found {shortened(form)}, expected a text")
    if has_half_character(json.dumps(record, ensure_ascii=False)):
        raise _FaultError("row", "holds half of a character, expected whole ones")
    assert isinstance(given, Mapping)
    target = _target(form, given.get("target"))
    return JudgedText(str(row_id), form, target, _labels(record.get("output")), record)


def _target(form: str, given: Any) -> Span | None:
    column = "input.target"
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise _FaultError(column, f"found {shortened(given)}, expected form, begin and end")
    word, begin, end = (given.get(name) for name in ("form", "begin", "end"))
    if word is None and begin is None and end is None:
        return None
    if type(begin) is not int or type(end) is not int:
        raise _FaultError(
            column, f"begin is {begin!r} and end {end!r}, expected whole numbers, or null for all"
        )
    if not 0 <= begin < end <= len(form):
        raise _FaultError(
            column, f"({begin}, {end}) lies outside the form of {len(form)} characters"
        )
    if word != form[begin:end]:
        raise _FaultError(
            column,
            f"form is {shortened(word)}, but characters {begin} to {end - 1} are "
            f"{shortened(form[begin:end])}; `end` is that behind the last character",
        )
    return Span(begin, end)


def _labels(given: Any) -> dict[str, bool] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping) or not given:
        raise _FaultError("output", f"found {shortened(given)}, expected a label or more")
    labels = {}
    for name, value in given.items():
        truth = value if isinstance(value, bool) else _TRUTHS.get(str(value).lower())
        if truth is None or (not isinstance(value, bool | str)):
            raise _FaultError(
                f"output.{name}", f'found {shortened(value)}, expected "True" or "False"'
            )
        labels[str(name)] = truth
    return labels


def _check_labels(labels: Mapping[str, bool], known: Sequence[str]) -> None:
    missing = [name for name in known if name not in labels]
    unknown = [name for name in labels if name not in known]
    if missing:
        raise _FaultError("output", f"lacks {', '.join(missing)}, which other rows have")
    if unknown:
        raise _FaultError("output", f"has {', '.join(unknown)}, which no other row has")
