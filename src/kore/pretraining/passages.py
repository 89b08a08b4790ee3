"""Files of Korean text -> passages, for what learns from text alone: labels are never read.

    .csv .json .jsonl .parquet    the column `sentence`, and the entities' places where they stand
    .tsv                          one syllable or word piece a line, as KLUE-NER; tags are not read
    .txt                          one passage a line

All but .parquet may be gzipped as well, .tsv and .txt compressed with xz.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from kore.common.errors import UserError
from kore.data.entity_cells import parse_entity, shortened
from kore.data.markers import MarkerScheme, mark
from kore.data.records import Record, iter_records
from kore.data.schema import Example, Span, entity_types
from kore.data.text_files import has_half_character, iter_lines, without_compression

_ENTITY_COLUMNS = ("subject_entity", "object_entity")
_COMMENT = "##"  # of KLUE-NER's headers


class Passage(NamedTuple):
    """A text, and the characters of the entities that are known in it.

    times: how often an epoch learns from it.
    """

    text: str
    entities: tuple[Span, ...] = ()
    times: int = 1


def read_passages(paths: Iterable[Path], mark_entities: bool = False) -> list[Passage]:
    """The different texts of all files, in the order in which they first stand there.

    A text that stands in several rows comes once, with the entities of all of them. It counts as
    often as the file is named that it stands in, and that is named most.

    Args:
        mark_entities: rows with two entities are read with markers and types around them, so that
            each pair of a sentence is a text of its own.

    Raises:
        UserError: a file is missing, is not UTF-8 text, has no column `sentence`, or all are empty.
    """
    entities: dict[str, dict[Span, None]] = {}
    repeated: dict[str, int] = {}  # only the few that count more than once
    for path, times in Counter(paths).items():
        for passage in _passages(path, mark_entities):
            if passage.text.strip():
                entities.setdefault(passage.text, {}).update(dict.fromkeys(passage.entities))
                if times > 1:
                    repeated[passage.text] = max(times, repeated.get(passage.text, 1))
    if not entities:
        raise UserError("the files hold no text")
    return [Passage(text, tuple(spans), repeated.get(text, 1)) for text, spans in entities.items()]


def _passages(path: Path, mark_entities: bool) -> Iterator[Passage]:
    kind = without_compression(path).suffix
    if kind == ".txt":
        yield from (Passage(text.strip()) for _, text in iter_lines(path))
    elif kind == ".tsv":
        yield from _columns_of_pieces(path)
    else:
        for line, record in iter_records(path, needed=("sentence",)):
            yield _of_record(line, record, path, mark_entities)


def _of_record(line: int, record: Record, path: Path, mark_entities: bool) -> Passage:
    sentence = record.get("sentence")
    if not isinstance(sentence, str) or has_half_character(sentence):
        raise UserError(f"{path}:{line} sentence: found {shortened(sentence)}, expected a text")
    entities = []
    for column in _ENTITY_COLUMNS:
        if record.get(column):
            try:
                entities.append(parse_entity(record[column], sentence))
            except ValueError as error:
                raise UserError(f"{path}:{line} {column}: {error}") from error
    if mark_entities and len(entities) == len(_ENTITY_COLUMNS):
        subject, object_ = entities
        if not subject.span.overlaps(object_.span):
            return _marked(Example("", sentence, subject, object_))
    return Passage(sentence, tuple(entity.span for entity in entities))


def _marked(example: Example) -> Passage:
    """As training with typed punctuation markers reads it."""
    scheme = MarkerScheme(True, True, "punct", entity_types([example]))
    marked = mark(example, scheme)
    return Passage(marked.text, (marked.subject.inner, marked.object.inner))


def _columns_of_pieces(path: Path) -> Iterator[Passage]:
    """Passages of a file with a piece a line before a tab, ended by an empty line."""
    pieces: list[str] = []
    for line, text in iter_lines(path):
        if text.startswith(_COMMENT) and not pieces:
            continue
        if text.strip(" "):  # a line of spaces ends a sentence as an empty one does
            piece, tab, _ = text.partition("\t")
            if not tab:
                raise UserError(f"{path}:{line}: no tab, expected a piece of text, a tab and a tag")
            pieces.append(piece)
        elif pieces:
            yield Passage("".join(pieces))
            pieces = []
    if pieces:
        yield Passage("".join(pieces))
