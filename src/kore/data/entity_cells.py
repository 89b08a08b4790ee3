"""An entity's cell -> Entity, checked against its sentence."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from kore.data.schema import Entity, Span

# As Python prints it, without quotes or escapes inside: no literal could mean anything else.
_NUMBER, _TEXT = r"(0|[1-9][0-9]{0,8})", r"'([^'\\\0\r\n]*)'"
_PLAIN_ENTITY = re.compile(
    rf"\{{'word': {_TEXT}, 'start_idx': {_NUMBER}, 'end_idx': {_NUMBER}, 'type': {_TEXT}\}}"
)


def parse_entity(cell: Any, sentence: str) -> Entity:
    """An entity cell: {'word', 'start_idx', 'end_idx' (inclusive), 'type'} as text or as a dict.

    The text is read as a Python or JSON literal; nothing in it is executed.

    Raises:
        ValueError: with what was found and what is expected.
    """
    fields = _fields(cell) if isinstance(cell, str) else cell
    kinds = {"word": str, "start_idx": int, "end_idx": int, "type": str}
    if not isinstance(fields, dict) or any(
        type(fields.get(name)) is not kind for name, kind in kinds.items()
    ):
        raise ValueError(
            f"found {shortened(cell)}, expected "
            "{'word': '…', 'start_idx': 0, 'end_idx': 1, 'type': '…'}"
        )
    word, start, end = fields["word"], fields["start_idx"], fields["end_idx"] + 1
    if not 0 <= start < end <= len(sentence):
        raise ValueError(
            f"start_idx {start} and end_idx {end - 1} lie outside the sentence "
            f"of {len(sentence)} characters"
        )
    if sentence[start:end] != word:
        hint = ""
        if sentence[start : end - 1] == word:
            hint = "; end_idx is inclusive here: subtract 1"
        raise ValueError(
            f"word is {shortened(word)}, but characters {start} to {end - 1} of the sentence are "
            f"{shortened(sentence[start:end])}{hint}"
        )
    return Entity(word, Span(start, end), fields["type"])


def _fields(text: str) -> Any:
    """The dict an entity cell spells; the common spelling takes a twentieth of the time."""
    plain = _PLAIN_ENTITY.fullmatch(text)
    if plain is None:
        return _literal(text)
    word, start, end, entity_type = plain.groups()
    return {"word": word, "start_idx": int(start), "end_idx": int(end), "type": entity_type}


def _literal(text: str) -> Any:
    """The value of a Python or JSON literal, or None; neither reader runs anything."""
    for read in (ast.literal_eval, json.loads):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None


def shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
