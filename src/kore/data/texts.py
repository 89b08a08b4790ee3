"""Files of raw text -> texts with ids, checked one by one.

    .txt                           a text a line; empty lines are passed over
    .csv .json .jsonl .parquet     a column of texts, and `id` where there is one
    .tsv .conll .bio               the texts of a file with tags, see ner.py
    a folder                       a text each .txt in it, named by its path

All but .parquet may be gzipped, .txt compressed with xz as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kore.common.errors import UserError
from kore.data.entity_cells import shortened
from kore.data.faults import RowFault
from kore.data.ner import TAGGED_SUFFIXES, Faulty, iter_tagged
from kore.data.records import Record, iter_records
from kore.data.rows import PlacesOfIds
from kore.data.text_files import has_half_character, iter_lines, without_compression

TEXT_COLUMNS = ("text", "sentence", "input", "document", "content")


class TextRow(NamedTuple):
    """A text of a file; `id` is that of its row, or the row's number."""

    id: str
    text: str


def iter_texts(path: Path, column: str = "") -> Iterator[TextRow | RowFault]:
    """Every text of a file in order, or what is wrong with it.

    Args:
        column: that holds the texts; "" = the first of TEXT_COLUMNS that the file has.

    Raises:
        UserError: the file is missing, is not UTF-8, has no such column, or is damaged.
    """
    if path.is_dir():
        yield from _documents(path)
        return
    suffix = without_compression(path).suffix
    if suffix in TAGGED_SUFFIXES:
        for found in iter_tagged(path):
            if isinstance(found, Faulty):
                yield found.faults[0]
            else:
                yield TextRow(found.text.id, found.text.text)
        return
    if suffix == ".txt":
        for line, text in iter_lines(path):
            if text.strip():
                yield TextRow(str(line), text)
        return
    places = PlacesOfIds()
    for number, (line, record) in enumerate(iter_records(path, needed=()), start=1):
        column = column or _text_column(path, record)
        row = _text_row(line, record, column, number)
        if isinstance(row, TextRow):
            earlier = places.earlier(row.id, line)
            if earlier is not None:
                message = f"{row.id!r} is also the id of the row at {earlier}, expected it once"
                yield RowFault(line, "id", message, record)
                continue
        yield row


def text_files(folder: Path) -> list[Path]:
    """The .txt files of a folder and of the folders in it, in the order of their paths."""
    return sorted(path for path in folder.rglob("*.txt") if path.is_file())


def _documents(folder: Path) -> Iterator[TextRow]:
    """The texts of a folder's files.

    Raises:
        UserError: there is no .txt in it, or one is not UTF-8 text.
    """
    paths = text_files(folder)
    if not paths:
        raise UserError(f"{folder}: holds no file that ends in .txt")
    for path in paths:
        row = document_of(path)
        if row.text.strip():
            yield row._replace(id=path.relative_to(folder).as_posix())


def document_of(path: Path) -> TextRow:
    """A text file as one text, named as the file.

    Raises:
        UserError: it is not UTF-8 text.
    """
    return TextRow(path.name, "\n".join(line for _, line in iter_lines(path)))


def _text_column(path: Path, record: Record) -> str:
    for name in TEXT_COLUMNS:
        if name in record:
            return name
    raise UserError(
        f"{path}: no column {', '.join(TEXT_COLUMNS)}, found {', '.join(map(str, record))}; name "
        "the column of the texts with `text_column`"
    )


def _text_row(line: int, record: Record, column: str, number: int) -> TextRow | RowFault:
    if column not in record:
        found = ", ".join(map(str, record))
        return RowFault(line, column, f"is missing, found the columns {found}", record)
    text = record[column]
    if not isinstance(text, str) or not text.strip():
        return RowFault(line, column, f"found {shortened(text)}, expected a text", record)
    if has_half_character(text):
        message = f"{shortened(text)} holds half of a character, expected whole ones"
        return RowFault(line, column, message, record)
    row_id = record.get("id", record.get("guid"))
    if has_half_character(str(row_id)):
        message = f"{shortened(row_id)} holds half of a character, expected whole ones"
        return RowFault(line, "id", message, record)
    return TextRow(str(number) if row_id in (None, "") else str(row_id), text)
