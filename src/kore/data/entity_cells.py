"""An entity's cell -> Entity, checked against its sentence."""

from __future__ import annotations

import ast
import json
from typing import Any

from kore.data.characters import realigned
from kore.data.schema import Entity, Span

_KINDS = {"word": str, "start_idx": int, "end_idx": int, "type": str}
_KIND_NAMES = {str: "text", int: "a whole number"}


def parse_entity(cell: Any, sentence: str) -> Entity:
    """An entity cell as an Entity of the sentence; see `read_entity`.

    Raises:
        ValueError: with what was found and what is expected.
    """
    entity = read_entity(cell)
    start, end = entity.span
    if not 0 <= start < end <= len(sentence):
        raise ValueError(
            f"start_idx {start} and end_idx {end - 1} lie outside the sentence "
            f"of {len(sentence)} characters{_hint(sentence, entity)}"
        )
    if sentence[start:end] != entity.word:
        raise ValueError(
            f"word is {shortened(entity.word)}, but characters {start} to {end - 1} of the "
            f"sentence are {shortened(sentence[start:end])}{_hint(sentence, entity)}"
        )
    return entity


def read_entity(cell: Any) -> Entity:
    """An entity cell: {'word', 'start_idx', 'end_idx' (inclusive), 'type'} as text or as a dict.

    The text is read as a Python or JSON literal; nothing in it is executed.

    Raises:
        ValueError: with what was found and what is expected.
    """
    fields = _literal(cell) if isinstance(cell, str) else cell
    if not isinstance(fields, dict) or any(
        type(fields.get(name)) is not kind for name, kind in _KINDS.items()
    ):
        raise ValueError(
            f"found {shortened(cell)}, expected "
            f"{{'word': '…', 'start_idx': 0, 'end_idx': 1, 'type': '…'}}{_field_hint(cell, fields)}"
        )
    return Entity(fields["word"], Span(fields["start_idx"], fields["end_idx"] + 1), fields["type"])


def entity_cell(entity: Entity) -> dict[str, Any]:
    """The fields of an entity as files hold them."""
    return {
        "word": entity.word,
        "start_idx": entity.span.start,
        "end_idx": entity.span.end - 1,  # inclusive in files
        "type": entity.type,
    }


def shortened(value: Any) -> str:
    """A value as a message quotes it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _literal(text: str) -> Any:
    """The value of a Python or JSON literal, or None; neither reader runs anything."""
    for read in (ast.literal_eval, json.loads):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None


def _field_hint(cell: Any, fields: Any) -> str:
    """Which field of a dict is at fault."""
    if isinstance(fields, dict):
        absent = [name for name in _KINDS if name not in fields]
        if absent:
            return f"; without {', '.join(absent)}"
        wrong = next(name for name, kind in _KINDS.items() if type(fields[name]) is not kind)
        return f"; {wrong} is {fields[wrong]!r}, not {_KIND_NAMES[_KINDS[wrong]]}"
    if isinstance(cell, str) and "np." in cell:
        return "; numpy's numbers are no literals: turn them into int before they are written"
    return ""


def _hint(sentence: str, entity: Entity) -> str:
    """What a span counts otherwise than expected, where that explains it."""
    start, end = entity.span
    if start >= 0 and sentence[start : end - 1] == entity.word:
        return "; end_idx is inclusive here: subtract 1"
    if realigned(sentence, [entity]) is not None:
        return "; only composition (NFC, NFD) or an invisible character keeps them apart"
    for encoding, size, unit in (("utf-8", 1, "bytes of UTF-8"), ("utf-16-le", 2, "UTF-16 units")):
        encoded = sentence.encode(encoding, errors="surrogatepass")
        found = encoded[size * start : size * end] if start >= 0 else b""
        if found == entity.word.encode(encoding, errors="surrogatepass"):
            return f"; start_idx and end_idx count {unit} here, expected characters"
    return ""
