"""Texts with all their entities: files of named entities -> TaggedTexts, checked line by line.

    .tsv                KLUE-NER: a character and its tag a line, "## id" before a sentence
    .conll .bio .txt    a word and its tag a line, words are joined by spaces
    .jsonl .json        {"text", "entities": [{"start", "end", "type"}]}, `end` exclusive, or what
                        `kore tag` writes
    .parquet            the same, or the hub's klue/klue "ner": `tokens` with numbers as `ner_tags`

Tags are BIO: "B-PS" begins an entity of the type PS, "I-PS" continues it, "O" is outside. All
but .parquet may be gzipped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from kore.common.errors import UserError, nearest
from kore.common.files import atomic_write, read_json
from kore.common.resources import find_file
from kore.data.faults import STOP, RowFault, stop_or_reject
from kore.data.records import Record, iter_records
from kore.data.rows import record_id
from kore.data.schema import Entity, Example, Span
from kore.data.text_files import has_half_character, iter_lines, without_compression

OUTSIDE = "O"
# The order of the hub's klue/klue "ner" (ClassLabel of `ner_tags`), and of KLUE's own scores.
KLUE_TAGS = (
    *(f"{border}-{kind}" for kind in ("DT", "LC", "OG", "PS", "QT", "TI") for border in "BI"),
    OUTSIDE,
)
_TAG = re.compile(r"([BI])-(\S+)")
_COMMENT = "##"
_COLUMN_FILES = {".tsv": "", ".conll": " ", ".bio": " ", ".txt": " "}  # what joins the pieces
TAGGED_SUFFIXES = (".tsv", ".conll", ".bio")  # files of columns that are nothing else
_TEXT_KEYS = ("text", "sentence", "input")  # the last two as `kore tag` and the service write
_TYPE_KEYS = ("type", "entity_group", "label")


class TaggedText(NamedTuple):
    """A text, and its entities in order, none overlapping another; spans are in characters.

    is_complete: False where there may be other entities as well.
    """

    id: str
    text: str
    entities: tuple[Entity, ...]
    is_complete: bool = True


class TagError(ValueError):
    """A tag that cannot stand where it stands; `place` is the number of the piece, from 0."""

    def __init__(self, place: int, message: str) -> None:
        super().__init__(message)
        self.place = place


def read_tagged(
    path: Path,
    *,
    types: Collection[str] | None = None,
    on_bad_row: str = STOP,
    output_dir: Path | str = "outputs",
) -> list[TaggedText]:
    """All texts of a file, in order.

    Args:
        types: any other entity type is a fault; None = all are taken.
        on_bad_row: "stop" raises the faults of a file, all in one message; "skip" writes the
            faulty texts with their reasons to a CSV file in `output_dir`, and leaves them out.

    Raises:
        UserError: the file cannot be read, or texts are faulty, or there are none.
    """
    texts: list[TaggedText] = []
    faults: list[RowFault] = []
    for found in iter_tagged(path):
        problems = found.faults if isinstance(found, Faulty) else _type_faults(found, types)
        if problems:
            faults += problems
        elif not isinstance(found, Faulty):
            texts.append(found.text)
    if faults:
        stop_or_reject(str(path), faults, on_bad_row, Path(output_dir))
    if not texts:
        raise UserError(f"{path}: holds no text{' that can be used' if faults else ''}")
    return texts


def with_types(texts: Iterable[TaggedText], names: Mapping[str, str]) -> list[TaggedText]:
    """Texts whose entity types have the other names; one that is not among them stays."""
    return [
        row._replace(
            entities=tuple(one._replace(type=names.get(one.type, one.type)) for one in row.entities)
        )
        for row in texts
    ]


def read_type_names(path: str) -> dict[str, str]:
    """{type: other name} of a JSON file, {} where none is named.

    Raises:
        UserError: the file is no JSON of names.
    """
    if not path:
        return {}
    names = read_json(find_file(path))
    if not isinstance(names, dict) or not all(map(is_type_name, names.values())):
        raise UserError(f'{path}: expected an object such as {{"PS": "PER"}}')
    return names


def marked_texts(examples: Iterable[Example]) -> list[TaggedText]:
    """The sentences of examples with the entities that are marked in any of them.

    They are not complete. Of two that overlap the first one is kept.
    """
    by_sentence: dict[str, tuple[str, list[Entity]]] = {}
    for example in examples:
        _, entities = by_sentence.setdefault(example.sentence, (example.id, []))
        for entity in (example.subject, example.object):
            if not any(entity.span.overlaps(other.span) for other in entities):
                entities.append(entity)
    return [
        TaggedText(row_id, sentence, tuple(sorted(entities, key=lambda one: one.span)), False)
        for sentence, (row_id, entities) in by_sentence.items()
    ]


def entity_types_of(texts: Iterable[TaggedText]) -> tuple[str, ...]:
    """The types of all entities, sorted."""
    return tuple(sorted({entity.type for text in texts for entity in text.entities}))


def tags_of(text: str, entities: Iterable[Entity]) -> list[str]:
    """A tag for each character of a text."""
    tags = [OUTSIDE] * len(text)
    for entity in entities:
        start, end = entity.span
        tags[start:end] = [f"B-{entity.type}", *[f"I-{entity.type}"] * (end - start - 1)]
    return tags


def spans_of(tags: Sequence[str]) -> list[tuple[Span, str]]:
    """The entities that tags mark, as spans of their pieces, with their types.

    Raises:
        TagError: a tag is not BIO, or an I- continues nothing of its type.
    """
    found: list[tuple[Span, str]] = []
    start, kind = 0, ""  # of the entity that is open, if any
    for place, tag in enumerate(tags):
        border, tag_kind = _parts(place, tag)
        if border == "I":
            if tag_kind != kind:
                before = tags[place - 1] if place else "nothing"
                raise TagError(place, f"{tag} follows {before}, expected B-{tag_kind} to begin it")
            continue
        if kind:
            found.append((Span(start, place), kind))
        start, kind = place, tag_kind
    if kind:
        found.append((Span(start, len(tags)), kind))
    return found


def write_klue(path: Path, texts: Iterable[TaggedText]) -> None:
    """Writes texts in the form of KLUE-NER.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_write(path) as file:
        for row in texts:
            file.write(f"{_COMMENT} {row.id}\t{row.text}\n")
            for letter, tag in zip(row.text, tags_of(row.text, row.entities), strict=True):
                file.write(f"{letter}\t{tag}\n")
            file.write("\n")


def write_json_lines(path: Path, texts: Iterable[TaggedText]) -> None:
    """Writes texts as JSON lines.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_write(path) as file:
        for row in texts:
            entities = [
                {"start": one.span.start, "end": one.span.end, "type": one.type}
                for one in row.entities
            ]
            line = {"id": row.id, "text": row.text, "entities": entities}
            file.write(f"{json.dumps(line, ensure_ascii=False)}\n")


def _parts(place: int, tag: str) -> tuple[str, str]:
    """("B", "PS"); ("O", "") for what is outside."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    match = _TAG.fullmatch(tag)
    if match is None:
        raise TagError(place, f"the tag is {tag!r}, expected O, B-TYPE or I-TYPE")
    return match[1], match[2]


class Placed(NamedTuple):
    """A text, and its place in the file: `line` is that of its first piece."""

    line: int
    record: Record
    text: TaggedText


class Faulty(NamedTuple):
    """All that is wrong with a text."""

    faults: list[RowFault]


def iter_tagged(path: Path) -> Iterator[Placed | Faulty]:
    """Every text of a file in order, or what is wrong with it; in memory that does not grow.

    Raises:
        UserError: the file cannot be read.
    """
    suffix = without_compression(path).suffix
    if suffix in _COLUMN_FILES:
        for number, sentence in enumerate(_sentences(path), start=1):
            yield _of_columns(sentence, _COLUMN_FILES[suffix], number)
        return
    for number, (line, record) in enumerate(iter_records(path, needed=()), start=1):
        yield _of_record(line, record, number)


class _Sentence(NamedTuple):
    """Lines of one sentence: their numbers, and their columns; the comment before them."""

    comment: str
    comment_line: int
    lines: list[int]
    columns: list[list[str]]


def _sentences(path: Path) -> Iterator[_Sentence]:
    """Sentences of a file of columns, each ended by an empty line; a comment begins one."""
    comment, comment_line = "", 0
    lines: list[int] = []
    columns: list[list[str]] = []
    has_many = False  # comments before one sentence, as in a file's head
    for line, text in iter_lines(path):
        if text.startswith(_COMMENT) and not columns:
            has_many = bool(comment)
            comment, comment_line = text.removeprefix(_COMMENT).strip(), line
        elif text.strip(" "):  # a line of spaces ends a sentence as an empty one does
            lines.append(line)
            columns.append(text.split("\t") if "\t" in text else text.rsplit(maxsplit=1))
        elif columns or (comment and not has_many):
            yield _Sentence(comment, comment_line, lines, columns)
            comment, lines, columns, has_many = "", [], [], False
    if columns or (comment and not has_many):
        yield _Sentence(comment, comment_line, lines, columns)


def _of_columns(sentence: _Sentence, joint: str, number: int) -> Placed | Faulty:
    text = joint.join(row[0] for row in sentence.columns)
    record = {"text": text, "comment": sentence.comment}
    if not text.strip():
        line = sentence.lines[0] if sentence.lines else sentence.comment_line
        return Faulty([RowFault(line, "text", "is empty, expected a sentence", record)])
    faults = [
        RowFault(
            line, "tag", f"{len(row)} columns, expected a piece of text, a tab and a tag", record
        )
        for line, row in zip(sentence.lines, sentence.columns, strict=True)
        if len(row) != 2
    ]
    if faults:
        return Faulty(faults)
    try:
        found = spans_of([row[1].strip() for row in sentence.columns])
    except TagError as fault:
        line = sentence.lines[fault.place]
        return Faulty([RowFault(line, "tag", str(fault), record)])
    starts = [0]
    for piece, _ in sentence.columns:
        starts.append(starts[-1] + len(piece) + len(joint))
    entities = []
    for span, kind in found:
        start, end = starts[span.start], starts[span.end] - len(joint)
        entities.append(Entity(text[start:end], Span(start, end), kind))
    text_id = sentence.comment.split("\t")[0] or str(number)
    return Placed(sentence.lines[0], record, TaggedText(text_id, text, tuple(entities)))


def _of_record(line: int, record: Record, number: int) -> Placed | Faulty:
    text_id = record_id(record) or str(number)
    try:
        if "ner_tags" in record:
            text, entities = _of_hub(record)
        else:
            text, entities = _of_spans(record)
    except _CellError as fault:
        return Faulty([RowFault(line, fault.column, str(fault), record)])
    return Placed(line, record, TaggedText(text_id, text, tuple(entities)))


class _CellError(ValueError):
    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


def _of_hub(record: Record) -> tuple[str, list[Entity]]:
    """`tokens` are characters, `ner_tags` numbers in KLUE's order, or names."""
    pieces, tags = record.get("tokens"), record["ner_tags"]
    if not isinstance(pieces, Sequence) or not isinstance(tags, Sequence) or not pieces:
        raise _CellError("tokens", "expected a list of characters, and `ner_tags` as long")
    if len(pieces) != len(tags):
        raise _CellError("ner_tags", f"{len(tags)} tags for {len(pieces)} tokens")
    names = []
    for tag in tags:
        if isinstance(tag, int) and not 0 <= tag < len(KLUE_TAGS):
            raise _CellError("ner_tags", f"{tag}, expected a number below {len(KLUE_TAGS)}")
        names.append(KLUE_TAGS[tag] if isinstance(tag, int) else str(tag))
    if not all(isinstance(piece, str) and piece for piece in pieces):
        raise _CellError("tokens", "expected characters, found one that is empty or no text")
    text = _checked_text("".join(pieces), "tokens")
    try:
        found = spans_of(names)
    except TagError as fault:
        raise _CellError("ner_tags", str(fault)) from None
    starts = [0, *accumulate(map(len, pieces))]
    spans = [(Span(starts[span.start], starts[span.end]), kind) for span, kind in found]
    return text, [Entity(text[span.start : span.end], span, kind) for span, kind in spans]


def _of_spans(record: Record) -> tuple[str, list[Entity]]:
    text = _checked_text(next((record[key] for key in _TEXT_KEYS if key in record), None), "text")
    cells = record.get("entities", record.get("result"))
    if not isinstance(cells, Sequence) or isinstance(cells, str):
        raise _CellError("entities", f"found {str(cells)[:40]!r}, expected a list")
    entities = sorted((_entity(text, cell) for cell in cells), key=lambda entity: entity.span)
    for first, second in pairwise(entities):
        if first.span.overlaps(second.span):
            message = f"{second.word!r} overlaps {first.word!r}, expected separate spans"
            raise _CellError("entities", message)
    return text, entities


def _checked_text(text: Any, column: str) -> str:
    if not isinstance(text, str) or not text.strip() or has_half_character(text):
        raise _CellError(column, f"found {str(text)[:40]!r}, expected a text")
    return text


def is_type_name(name: Any) -> bool:
    """Whether a tag can hold it: no white space in it, and not empty."""
    return isinstance(name, str) and re.fullmatch(r"\S+", name) is not None


def _entity(text: str, cell: Any) -> Entity:
    if not isinstance(cell, Mapping):
        raise _CellError("entities", f"found {str(cell)[:40]!r}, expected start, end and type")
    start, end = cell.get("start"), cell.get("end")
    kind = next((cell[key] for key in _TYPE_KEYS if cell.get(key)), None)
    if type(start) is not int or type(end) is not int or not isinstance(kind, str):
        raise _CellError(
            "entities", f"{str(dict(cell))[:60]}: expected whole numbers start and end, and a type"
        )
    if not 0 <= start < end <= len(text):
        raise _CellError(
            "entities", f"{start} to {end} lies outside the text of {len(text)} characters"
        )
    if not is_type_name(kind):
        raise _CellError("entities", f"the type {kind!r} has a space, expected a name without one")
    word = text[start:end]
    given = cell.get("word", word)
    if given != word:
        raise _CellError("entities", f"{start} to {end} is {word!r}, but `word` is {given!r}")
    return Entity(word, Span(start, end), kind)


def _type_faults(found: Placed, types: Collection[str] | None) -> list[RowFault]:
    if types is None:
        return []
    strange = {entity.type for entity in found.text.entities} - set(types)
    return [
        RowFault(
            found.line,
            "entities",
            f"{kind!r} is not one of the types {', '.join(sorted(types))}; did you mean "
            f"{nearest(kind, types)}?",
            found.record,
        )
        for kind in sorted(strange)
    ]
