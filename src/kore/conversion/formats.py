"""The formats that `prepare_data.py` reads: how each is recognized, and how it becomes records.

Facts of the formats are from their projects' own pages: TACRED (Zhang et al. 2017), OpenNRE (Han et
al. 2019), FewRel (Han et al. 2018), DeepKE (Zhang et al. 2022), SpERT (Eberts and Ulges 2020),
SciERC (Luan et al. 2018), DocRED (Yao et al. 2019), brat, doccano and Label Studio.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.common.flags import AUTO
from kore.conversion.content import FEWREL_KEYS, Row, objects_of, read_text
from kore.conversion.documents import (
    Document,
    FormError,
    document_of_tokens,
    records_of_pairs,
    unrelated,
)
from kore.conversion.tables import IDS, LABELS, find_field, records_of_rows
from kore.data.entity_cells import entity_cell, shortened
from kore.data.faults import RowFault
from kore.data.records import Record
from kore.data.schema import Entity, Span

_LOGGER = logging.getLogger(__name__)

Records = list[tuple[int, Record] | RowFault]
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """What a user may say about a file.

    no_relation: the label of pairs that a file of documents leaves without one; None = such pairs
        are left out.
    ends: see `records_of_rows`.
    """

    no_relation: str | None = None
    ends: str = AUTO


def _tacred(fields: Fields) -> Document:
    """Tokens, with the last token of each entity inclusive."""
    entities = {
        role: (
            _number(fields, f"{role}_start"),
            _number(fields, f"{role}_end") + 1,
            str(fields.get(f"{role}_type") or ""),
        )
        for role in ("subj", "obj")
    }
    label = fields.get("relation")
    return document_of_tokens(
        str(fields.get("id", "")), [_list(fields, "token")], entities, [("subj", label, "obj")]
    )


def _opennre_tokens(fields: Fields) -> Document:
    """OpenNRE's tokens: {"token", "h": {"pos": [first, behind]}, "t", "relation"}."""
    entities = {}
    for role in ("h", "t"):
        side = fields.get(role)
        if not isinstance(side, dict):
            raise FormError(role, f"found {shortened(side)}, expected the fields of an entity")
        first, behind = _list(side, "pos", 2)
        entities[role] = (first, behind, str(side.get("type") or ""))
    relations = [("h", fields.get("relation"), "t")]
    return document_of_tokens(
        str(fields.get("id", "")), [_list(fields, "token")], entities, relations
    )


def _fewrel(fields: Fields) -> Document:
    """FewRel's {"tokens", "h": [name, id, mentions], "t"}, a mention a list of tokens' numbers; its
    objects are in lists by relation. The first mention of each is taken.
    """
    entities = {}
    for role in ("h", "t"):
        first_mention = _list(fields, role, 3)[2][0]
        entities[role] = (first_mention[0], first_mention[-1] + 1, "")
    relations = [("h", fields.get("relation"), "t")]
    return document_of_tokens(
        str(fields.get("id", "")), [_list(fields, "tokens")], entities, relations
    )


def _spert(fields: Fields) -> Document:
    """One sentence: {"tokens", "entities": [{"type", "start", "end"}], "relations": [{"type",
    "head", "tail"}]}, ends exclusive, relations by the numbers of entities.
    """
    entities = {
        number: (_number(one, "start"), _number(one, "end"), str(one.get("type") or ""))
        for number, one in enumerate(_list(fields, "entities"))
    }
    relations = [
        (one.get("head"), one.get("type"), one.get("tail")) for one in _list(fields, "relations")
    ]
    row_id = fields.get("orig_id", fields.get("id", ""))
    return document_of_tokens(str(row_id), [_list(fields, "tokens")], entities, relations)


def _scierc(fields: Fields) -> Document:
    """{"doc_key", "sentences", "ner": per sentence [first, last, type], "relations": per sentence
    [first, last, first, last, type]}; tokens are counted through the document, ends inclusive.
    """
    entities: dict[Any, tuple[int, int, str]] = {}
    for sentence in _list(fields, "ner"):
        for first, last, kind in sentence:
            entities[first, last] = (first, last + 1, str(kind))
    relations = [
        ((one[0], one[1]), one[4], (one[2], one[3]))
        for sentence in _list(fields, "relations")
        for one in sentence
    ]
    key = str(fields.get("doc_key", ""))
    return document_of_tokens(key, _list(fields, "sentences"), entities, relations)


def _docred(fields: Fields) -> Document:
    """{"title", "sents", "vertexSet": mentions by entity, "labels": [{"h", "t", "r"}]}: a relation
    of two entities is one of all their mentions that share a sentence, of the first ones otherwise.
    """
    sentences = _list(fields, "sents")
    offsets = [0]
    for sentence in sentences:
        offsets.append(offsets[-1] + len(sentence))
    entities: dict[Any, tuple[int, int, str]] = {}
    sentence_of: dict[Any, int] = {}
    for number, mentions in enumerate(_list(fields, "vertexSet")):
        for place, one in enumerate(mentions):
            row = _number(one, "sent_id")
            if not 0 <= row < len(sentences):
                raise FormError("vertexSet", f"sent_id {row} of {len(sentences)} sentences")
            first, behind = _list(one, "pos", 2)
            kind = str(one.get("type") or "")
            entities[number, place] = (offsets[row] + first, offsets[row] + behind, kind)
            sentence_of[number, place] = row
    relations = []
    for one in fields.get("labels") or []:
        head, tail = ([key for key in entities if key[0] == one.get(role)] for role in ("h", "t"))
        if not head or not tail:
            raise FormError("labels", f"{one} names an entity that is not there")
        together = [
            (first, one.get("r"), second)
            for first in head
            for second in tail
            if sentence_of[first] == sentence_of[second]
        ]
        relations += together or [(head[0], one.get("r"), tail[0])]
    mentions_of = {key: key[0] for key in entities}
    title = str(fields.get("title", ""))
    return document_of_tokens(title, sentences, entities, relations, mentions_of=mentions_of)


def _doccano(fields: Fields) -> Document:
    """{"text", "entities": [{"id", "label", "start_offset", "end_offset"}], "relations": [{"type",
    "from_id", "to_id"}]}, ends exclusive.
    """
    text = _text(fields, "text")
    entities = {
        one.get("id"): _entity(
            text, _number(one, "start_offset"), _number(one, "end_offset"), one.get("label")
        )
        for one in _list(fields, "entities")
    }
    relations = [
        (one.get("from_id"), one.get("type"), one.get("to_id"))
        for one in _list(fields, "relations")
    ]
    return Document(str(fields.get("id", "")), text, entities, relations)


def _label_studio(fields: Fields) -> Document:
    """{"data": {"text"}, "annotations": [{"result": regions and relations}]}; of several
    annotations of a task the first is taken that was not cancelled.
    """
    data = fields.get("data")
    texts = [one for one in data.values() if isinstance(one, str)] if isinstance(data, dict) else []
    whole = [one for one in _list(fields, "annotations") if not one.get("was_cancelled")]
    if not texts or not whole:
        raise FormError("data", "expected a text and an annotation of it")
    text = data["text"] if isinstance(data, dict) and "text" in data else max(texts, key=len)
    entities: dict[Any, Entity] = {}
    relations: list[tuple[Any, Any, Any]] = []
    for one in _list(whole[0], "result"):
        labels = one.get("labels") or one.get("value", {}).get("labels") or [""]
        if one.get("type") == "relation":
            ends = (one.get("from_id"), one.get("to_id"))
            if one.get("direction") == "left":
                ends = ends[::-1]
            relations.append((ends[0], labels[0], ends[1]))
        elif "start" in one.get("value", {}):
            value = one["value"]
            bounds = (_number(value, "start"), _number(value, "end"))
            word = value.get("text")
            if word is not None and text[slice(*bounds)] != word:
                bounds = _from_utf16(text, *bounds)
            entities[one.get("id")] = _entity(text, *bounds, labels[0], word)
    return Document(str(fields.get("id", "")), text, entities, relations)


def _brat(path: Path) -> Document:
    """PATH.ann beside PATH.txt: T lines with offsets in the text, R lines between them."""
    raw = read_text(path.with_suffix(".txt"))
    marked: dict[str, tuple[int, int, str, str | None]] = {}
    relations = []
    for line, row in enumerate(read_text(path).splitlines(), start=1):
        key, _, rest = row.partition("\t")
        if key.startswith("T"):
            head, _, word = rest.partition("\t")
            match = re.fullmatch(r"(\S+) (\d+) (?:\d+;\d+ )*(\d+)", head)
            if not match:
                raise FormError(
                    f"line {line}", f"found {shortened(row)}, expected T1, type, offsets"
                )
            # What is marked in several pieces is read from its first to its last character.
            surface = word if word and ";" not in head else None
            marked[key] = (int(match[2]), int(match[3]), match[1], surface)
        elif key.startswith("R"):
            match = re.match(r"(\S+) \w+:(T\d+) \w+:(T\d+)", rest)
            if not match:
                raise FormError(f"line {line}", f"found {shortened(row)}, expected two arguments")
            relations.append((match[2], match[1], match[3]))
    # Offsets may have been counted with both characters of a Windows line end, or with one.
    texts = [raw, raw.replace("\r\n", "\n")]
    text = max(texts, key=lambda one: sum(one[s:e] == word for s, e, _, word in marked.values()))
    entities = {key: _entity(text, *place) for key, place in marked.items()}
    return Document(path.stem, text, entities, relations)


# Sentences with markers in them: what opens and closes the subject, and the object.
_MARKS = (
    (r"<e1>", r"</e1>", r"<e2>", r"</e2>"),
    (r"\[E1\]", r"\[/E1\]", r"\[E2\]", r"\[/E2\]"),
    (r"<subj>", r"</subj>", r"<obj>", r"</obj>"),
    (r"\[SUBJ\]", r"\[/SUBJ\]", r"\[OBJ\]", r"\[/OBJ\]"),
    (r"<S:(?P<s>[^>]*)>", r"</S:[^>]*>", r"<O:(?P<o>[^>]*)>", r"</O:[^>]*>"),
    (r"\[E1-(?P<s>[^\]]*)\]", r"\[/E1-[^\]]*\]", r"\[E2-(?P<o>[^\]]*)\]", r"\[/E2-[^\]]*\]"),
    (r"<e1:(?P<s>[^>]*)>", r"</e1>", r"<e2:(?P<o>[^>]*)>", r"</e2>"),
)


def unmarked(sentence: str) -> tuple[str, Entity, Entity] | None:
    """A sentence without its markers, and what they marked; None where it has none."""
    for marks in _MARKS:
        # Spaces between a marker and its entity belong to the marker.
        spaced = [
            rf"{mark}\s*" if place % 2 == 0 else rf"\s*{mark}" for place, mark in enumerate(marks)
        ]
        found = [list(re.finditer(mark, sentence, re.IGNORECASE)) for mark in spaced]
        if all(len(matches) == 1 for matches in found):
            opened, closed, opened2, closed2 = (matches[0] for matches in found)
            cuts = sorted((opened, closed, opened2, closed2), key=lambda match: match.start())
            text = sentence
            for cut in reversed(cuts):
                text = text[: cut.start()] + text[cut.end() :]

            def place(position: int, cuts: Sequence[re.Match[str]] = cuts) -> int:
                return position - sum(
                    cut.end() - cut.start() for cut in cuts if cut.end() <= position
                )

            entities = []
            for begin, end in ((opened, closed), (opened2, closed2)):
                kind = next((value for value in begin.groupdict().values() if value), "")
                entities.append(_entity(text, place(begin.end()), place(end.start()), kind))
            return text, entities[0], entities[1]
    return None


def _marked_record(line: int, number: int, fields: Fields) -> tuple[int, Record] | RowFault:
    column = next(name for name, cell in fields.items() if isinstance(cell, str) and unmarked(cell))
    text, subject, object_ = unmarked(fields[column])  # type: ignore[misc]
    names = {str(name) for name in fields}
    row_id, label = (find_field(names, known) for known in (IDS, LABELS))
    record = {
        "id": number if row_id is None else fields[row_id],
        "sentence": text,
        "subject_entity": entity_cell(subject),
        "object_entity": entity_cell(object_),
        "label": None if label is None else fields[label],
        "source": fields.get("source"),
    }
    return line, record


def _marked(rows: Sequence[Row], name: str) -> Records:
    header = [str(field) for field in rows[0][1]]
    if any(map(_has_markers, header)):
        raise UserError(
            f"{name}:1: the first line holds markers; put a line of names before it, such as "
            "sentence,label"
        )
    found: Records = []
    for number, (line, fields) in enumerate(rows):
        try:
            found.append(_marked_record(line, number, fields))
        except (StopIteration, FormError) as error:
            message = str(error) or "no pair of markers such as <e1>…</e1> <e2>…</e2>"
            found.append(RowFault(line, "sentence", message, fields))
    return found


def _is_marked(fields: Fields) -> bool:
    return any(isinstance(cell, str) and _has_markers(cell) for cell in (*fields, *fields.values()))


def _has_markers(text: str) -> bool:
    try:
        return unmarked(text) is not None
    except FormError:  # around nothing
        return True


@dataclass(frozen=True)
class Format:
    """How a format of documents is recognized by the keys of its objects, and read."""

    about: str
    keys: frozenset[str]
    read: Callable[[Fields], Document]


DOCUMENTS = {
    "tacred": Format(
        "TACRED", frozenset({"token", "subj_start", "subj_end", "obj_start", "obj_end"}), _tacred
    ),
    "opennre": Format("OpenNRE with tokens", frozenset({"token", "h", "t"}), _opennre_tokens),
    "fewrel": Format("FewRel", FEWREL_KEYS, _fewrel),
    "spert": Format("SpERT", frozenset({"tokens", "entities", "relations"}), _spert),
    "scierc": Format("SciERC", frozenset({"sentences", "ner", "relations"}), _scierc),
    "docred": Format("DocRED", frozenset({"sents", "vertexSet"}), _docred),
    "label-studio": Format("Label Studio", frozenset({"data", "annotations"}), _label_studio),
    "doccano": Format("doccano", frozenset({"text", "entities", "relations"}), _doccano),
}
TABLE, MARKED, BRAT = "table", "marked", "brat"
FORMATS = (AUTO, TABLE, MARKED, BRAT, *DOCUMENTS)


def convert(path: Path, chosen: str = AUTO, reading: Reading | None = None) -> tuple[str, Records]:
    """The format of a file, and its records or the faults of rows that could not be read.

    Raises:
        UserError: the file is in none of the formats, or cannot be read.
    """
    reading = reading or Reading()
    if path.is_dir() or path.suffix == ".ann":
        return BRAT, _brat_records(path, reading)
    rows = objects_of(path, lambda fields: guess([fields]) != TABLE)
    if not rows:
        raise UserError(f"{path}: the file is empty")
    name = guess([fields for _, fields in rows[:100]]) if chosen == AUTO else chosen
    if name == TABLE:
        return name, records_of_rows(rows, str(path), reading.ends)
    if name == MARKED:
        return name, _marked(rows, str(path))
    if name == BRAT:
        raise UserError(f"{path}: brat's files end in .ann, with a .txt of the same name beside")
    read = DOCUMENTS[name].read
    return name, _all_pairs(
        str(path), ((line, fields, partial(read, fields)) for line, fields in rows), reading
    )


def guess(rows: Sequence[Fields]) -> str:
    """The format of objects, by the keys that they have."""
    keys = set().union(*rows)
    for name, kind in DOCUMENTS.items():
        if kind.keys <= keys:
            return name
    return MARKED if all(map(_is_marked, rows)) else TABLE


def _all_pairs(
    name: str, documents: Iterable[tuple[int, Fields, Callable[[], Document]]], reading: Reading
) -> Records:
    """The records of all documents; a fault where one is not as its format says."""
    records: Records = []
    left_out = 0
    for line, fields, read in documents:
        try:
            document = read()
            document = replace(document, id=document.id or str(line))
            records += [(line, one) for one in records_of_pairs(document, reading.no_relation)]
        except FormError as error:
            records.append(RowFault(line, error.column, str(error), fields))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            # Its parts have other kinds than the format's: a list for an object, for example.
            message = f"is not as the format has it ({type(error).__name__}: {error})"
            records.append(RowFault(line, "row", message, fields))
        else:
            if reading.no_relation is None:
                left_out += sum(1 for _ in unrelated(document))
    if left_out:
        _LOGGER.info(
            f"{name}: {left_out} pairs of entities in a sentence have no relation and are left "
            "out; `unrelated_pairs` takes them as no_relation"
        )
    return records


def _brat_records(path: Path, reading: Reading) -> Records:
    files = sorted(path.glob("*.ann")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: holds no .ann; a folder is read as brat's")
    return _all_pairs(
        str(path),
        (
            (number, {"file": file.name}, partial(_brat, file))
            for number, file in enumerate(files, start=1)
        ),
        reading,
    )


def _from_utf16(text: str, start: int, end: int) -> tuple[int, int]:
    """Offsets as JavaScript counts them, in characters."""
    units = text.encode("utf-16-le")
    first, both = (
        len(units[: 2 * place].decode("utf-16-le", errors="ignore")) for place in (start, end)
    )
    return first, both


def _entity(text: str, start: int, end: int, kind: Any, word: str | None = None) -> Entity:
    """An entity of a text; `word` is what the file itself says of it."""
    if not 0 <= start < end <= len(text):
        raise FormError(
            "entities", f"({start}, {end}) lies outside the text of {len(text)} characters"
        )
    if word is not None and text[start:end].split() != word.split():
        raise FormError(
            "entities",
            f"({start}, {end}) is {shortened(text[start:end])}, but the file says "
            f"{shortened(word)}",
        )
    return Entity(text[start:end], Span(start, end), "" if kind is None else str(kind))


def _number(fields: Fields, name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise FormError(name, f"found {shortened(value)}, expected a whole number")
    return value


def _list(fields: Fields, name: str, length: int | None = None) -> list[Any]:
    value = fields.get(name)
    if not isinstance(value, list) or (length is not None and len(value) != length):
        size = "" if length is None else f" of {length}"
        raise FormError(name, f"found {shortened(value)}, expected a list{size}")
    return value


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise FormError(name, f"found {shortened(value)}, expected a text")
    return value
