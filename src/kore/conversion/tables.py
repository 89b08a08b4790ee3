"""Rows with two entities under any of the usual names -> records of ours.

    {"text", "h": {"name", "pos"}, "t": …, "relation"}      OpenNRE
    sentence, relation, head, head_offset, tail, …          DeepKE
    sentence, subj_name, subj_start_pos, …                  columns
    {"sentence", "subject_entity": {"text", "start"}}       annotation tools

What a column means is decided for the file as a whole, and said.
"""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kore.common.errors import UserError
from kore.common.flags import AUTO
from kore.conversion.content import Row
from kore.conversion.documents import FormError
from kore.data.entity_cells import shortened
from kore.data.faults import RowFault
from kore.data.records import Record
from kore.data.rows import record_label

_LOGGER = logging.getLogger(__name__)

INCLUSIVE = "inclusive"

IDS = ("id", "guid", "uid", "idx", "example_id", "orig_id")
_SENTENCES = ("sentence", "text", "sent", "context", "input", "문장", "content", "sentence_text")
LABELS = ("label", "relation", "rel", "relation_type", "relation_name", "predicate", "관계")
_SIDES = {
    "subject": (
        *("subject_entity", "subject", "subj", "sub", "head", "h"),
        *("e1", "entity1", "entity_1", "주체", "주어"),
    ),
    "object": (
        *("object_entity", "object", "obj", "tail", "t"),
        *("e2", "entity2", "entity_2", "대상", "목적어"),
    ),
}
_PARTS = {
    "word": ("word", "text", "name", "mention", "entity", "surface", "form", ""),
    "start": (
        *("start_idx", "start", "start_pos", "start_offset", "start_index"),
        *("offset", "begin", "pos_start", "idx"),
    ),
    "end": ("end_idx", "end", "end_pos", "end_offset", "pos_end", "end_index"),
    "type": ("type", "entity_type", "ner", "category", "label", "tag", "class"),
    "pos": ("pos", "span", "position", "indices"),
}
_JOINTS = (".", "_", "-", " ", "")
_NUMPY = re.compile(r"\bnp\.(?:int|float|str)\d*_?\(([^()]*)\)")


class Side(NamedTuple):
    """An entity as a row has it; the end is inclusive or not, which the file as a whole tells."""

    word: str | None
    start: int | None
    end: int | None
    type: str


class _Names(NamedTuple):
    """Which fields of a file hold what."""

    id: str | None
    sentence: str
    label: str | None
    sides: Mapping[str, Mapping[str, str] | str]  # fields by part, or the one field that holds all


def records_of_rows(
    rows: Sequence[Row], name: str, ends: str = AUTO
) -> list[tuple[int, Record] | RowFault]:
    """Rows of a table or of JSON, as records; what was guessed is logged.

    Args:
        name: of the file, for messages.
        ends: whether the end of an entity is its last character or the one behind it; "auto" =
            as the words show.

    Raises:
        UserError: a field is not there, or nothing shows what the ends mean.
    """
    names = _names_in(rows, name)
    read: list[tuple[int, Mapping[str, Any], list[Side]] | RowFault] = []
    for line, fields in rows:
        try:
            sides = [_side(fields, names.sides[role], role) for role in _SIDES]
            read.append((line, fields, sides))
        except FormError as error:
            read.append(RowFault(line, error.column, str(error), fields))
    shift = _end_shift(
        [side for row in read if not isinstance(row, RowFault) for side in row[2]], name, ends
    )
    records: list[tuple[int, Record] | RowFault] = []
    moved = 0
    for number, row in enumerate(read):
        if isinstance(row, RowFault):
            records.append(row)
            continue
        line, fields, sides = row
        within = _within_sentence(str(fields.get(names.sentence) or ""), sides)
        moved += within is not sides
        records.append(_record(line, number, fields, within, names, shift))
    if moved:
        _LOGGER.info(f"{name}: offsets of {moved} rows count from elsewhere, moved to the sentence")
    return records


def _names_in(rows: Sequence[Row], name: str) -> _Names:
    """Which fields hold what, from those that any row has."""
    fields = list(dict.fromkeys(key for _, row in rows for key in row))
    by_lower = {str(field).strip().lower(): field for field in reversed(fields)}
    sentence = find_field(fields, _SENTENCES)
    sides: dict[str, Mapping[str, str] | str] = {}
    for role, known in _SIDES.items():
        parts = _parts_in(by_lower, known)
        whole = find_field(fields, known)
        if len(parts) > 1 or (parts and whole is None):
            sides[role] = parts
        elif whole is not None:
            sides[role] = whole
    missing = [*([] if sentence else ["sentence"]), *(role for role in _SIDES if role not in sides)]
    if sentence is None or missing:
        raise UserError(
            f"{name}: nothing that holds {', '.join(missing)}; found the fields "
            f"{', '.join(map(str, fields)) or 'none'}; rename them, as docs/data.md has "
            "them, or say the `format`"
        )
    row_id, label = find_field(fields, IDS), find_field(fields, LABELS)
    used = {sentence: "sentence", label: "label", row_id: "id"}
    renamed = [f"{field} = {part}" for field, part in used.items() if field not in (part, None)]
    for role, found in sides.items():
        if isinstance(found, str) and found != f"{role}_entity":
            renamed.append(f"{found} = {role}_entity")
        elif not isinstance(found, str):
            renamed += [f"{field} = {part} of the {role}" for part, field in found.items()]
    if renamed:
        _LOGGER.info(f"{name}: read {', '.join(renamed)}")
    if row_id is None:
        _LOGGER.info(f"{name}: no ids; rows are numbered from 0")
    return _Names(row_id, sentence, label, sides)


def find_field(fields: Iterable[str], known: Sequence[str]) -> str | None:
    """The field that has the first of the known names; letter case does not matter."""
    by_lower = {str(field).strip().lower(): field for field in fields}
    return next((by_lower[one.lower()] for one in known if one.lower() in by_lower), None)


def _parts_in(by_lower: Mapping[str, str], known: Sequence[str]) -> dict[str, str]:
    """Columns such as subj_start of one side, by what they hold."""
    for prefix in known:
        found: dict[str, str] = {}
        for part, suffixes in _PARTS.items():
            for joint in _JOINTS:
                columns = [
                    f"{prefix}{joint if suffix else ''}{suffix}".lower() for suffix in suffixes
                ]
                column = next((one for one in columns if one in by_lower), None)
                if column is not None:
                    found.setdefault(part, by_lower[column])
        if len(found) > 1:
            return found
    return {}


def _side(fields: Mapping[str, Any], names: Mapping[str, str] | str, role: str) -> Side:
    if isinstance(names, str):
        cell = fields.get(names)
        parts = _parts_of(cell)
        if parts is None and isinstance(cell, str) and cell.strip():
            return Side(cell, None, None, "")  # the mere word
        if parts is None:
            raise FormError(names, f"found {shortened(cell)}, expected the fields of an entity")
    else:
        columns = {part: fields.get(column) for part, column in names.items()}
        # A column of whole entities may stand beside one of their types.
        parts = {**columns, **(_parts_of(columns.get("word")) or {})}
        parts = {part: columns.get(part) if own is None else own for part, own in parts.items()}
    place = parts.get("pos")
    if isinstance(place, str):
        place = _literal(place)
    if isinstance(place, Sequence) and place and isinstance(place[0], Sequence):
        place = place[0]  # the first of several mentions
    if isinstance(place, Sequence) and len(place) == 2:
        parts["start"], parts["end"] = place
    word, kind = parts.get("word"), parts.get("type")
    return Side(
        None if word is None else str(word),
        _whole(parts.get("start"), role),
        _whole(parts.get("end"), role),
        "" if kind is None or kind != kind else str(kind),
    )


def _parts_of(cell: Any) -> dict[str, Any] | None:
    """What a dict, or the text of one, says of an entity; None for anything else."""
    inner = _literal(cell) if isinstance(cell, str) else cell
    if not isinstance(inner, Mapping):
        return None
    lower = {str(key).lower(): value for key, value in inner.items()}
    return {
        part: next((lower[one] for one in known if one and one in lower), None)
        for part, known in _PARTS.items()
    }


def _whole(value: Any, role: str) -> int | None:
    """A whole number that a spreadsheet or pandas may have written as 15.0 or as text."""
    if value is None or value == "" or value != value:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise FormError(role, f"found {shortened(value)}, expected an offset") from None
    if not number.is_integer():
        raise FormError(role, f"found {shortened(value)}, expected a whole number")
    return int(number)


def _literal(text: str) -> Any:
    """A Python or JSON literal, with numpy's numbers in it or not; else the text."""
    for read in (ast.literal_eval, json.loads):
        try:
            return read(_NUMPY.sub(r"\1", text))
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return text


def _end_shift(sides: Sequence[Side], name: str, ends: str) -> int:
    """What to add to the end that a file has, to get the exclusive one, as lengths of words show.

    Raises:
        UserError: they show nothing.
    """
    if ends != AUTO:
        return 1 if ends == INCLUSIVE else 0
    lengths = [
        len(side.word) - (side.end - side.start)
        for side in sides
        if side.word is not None and side.start is not None and side.end is not None
    ]
    votes = {shift: lengths.count(shift) for shift in (0, 1)}
    if votes[0] == votes[1]:
        if not any(side.end is not None for side in sides):
            return 0
        raise UserError(
            f"{name}: nothing shows whether the end of an entity is its last character or the one "
            "behind it; say so with `ends` inclusive or exclusive"
        )
    best = max(votes, key=lambda shift: votes[shift])
    if best == 0 or votes[0]:
        meaning = "the last character" if best else "the one behind the last character"
        _LOGGER.info(
            f"{name}: the end of an entity is {meaning}, as {votes[best]} of {len(lengths)} "
            "entities show"
        )
    return best


def _within_sentence(sentence: str, sides: list[Side]) -> list[Side]:
    """Offsets that count from the start of a document, moved so that they cut out both words.

    Only where one distance fits both, and no other does; else `sides` itself.
    """
    places = [(side.word or "", side.start or 0) for side in sides]
    if not all(word for word, _ in places) or any(side.start is None for side in sides):
        return sides
    if any(sentence.startswith(word, start) for word, start in places):
        return sides
    distances = set.intersection(
        *(
            {start - match.start() for match in re.finditer(f"(?={re.escape(word)})", sentence)}
            for word, start in places
        )
    )
    if len(distances) != 1:
        return sides
    (distance,) = distances
    return [
        side._replace(start=start - distance, end=None if side.end is None else side.end - distance)
        for side, (_, start) in zip(sides, places, strict=True)
    ]


def _record(
    line: int,
    number: int,
    fields: Mapping[str, Any],
    sides: Sequence[Side],
    names: _Names,
    shift: int,
) -> tuple[int, Record] | RowFault:
    sentence = fields.get(names.sentence)
    try:
        if not isinstance(sentence, str):
            raise FormError(names.sentence, f"found {shortened(sentence)}, expected a sentence")
        cells = [
            _cell(sentence, side, shift, role) for role, side in zip(_SIDES, sides, strict=True)
        ]
    except FormError as error:
        return RowFault(line, error.column, str(error), fields)
    row_id = number if names.id is None else fields.get(names.id)
    label = None if names.label is None else fields.get(names.label)
    return line, {
        "id": row_id,
        "sentence": sentence,
        "subject_entity": cells[0],
        "object_entity": cells[1],
        "label": record_label({"label": label}),
        "source": fields.get("source"),
    }


def _cell(sentence: str, side: Side, shift: int, role: str) -> dict[str, Any]:
    """An entity's cell in our form; what its word or its offsets leave open is filled in."""
    word, start, end, kind = side
    if start is None:
        if not word:
            raise FormError(role, "has neither a word nor offsets")
        places = [match.start() for match in re.finditer(f"(?={re.escape(word)})", sentence)]
        if len(places) != 1:
            raise FormError(
                role,
                f"{word!r} stands {len(places)} times in the sentence, expected once or offsets",
            )
        start = places[0]
    if end is None:
        if not word:
            raise FormError(role, "has neither a word nor an end")
        behind = start + len(word)
    else:
        behind = end + shift
    return {
        "word": sentence[max(0, start) : max(0, behind)] if word is None else word,
        "start_idx": start,
        "end_idx": behind - 1,
        "type": kind,
    }
