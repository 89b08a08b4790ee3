"""Texts of a file in chunks -> JSON lines, a part a chunk: streamed, resumable, flat in memory."""

from __future__ import annotations

import functools
import gzip
import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from typing import IO, Any, Generic, NamedTuple, TypeVar

from kore.common.errors import UserError
from kore.common.files import checksum
from kore.common.manifest import Manifest
from kore.common.progress import progress_bar
from kore.data.faults import RowFault, stop_or_reject
from kore.data.texts import TextRow, iter_texts, text_files
from kore.prediction.options import StreamOptions
from kore.prediction.parts import Content, Parts

CHUNK_TEXTS = 512

Record = dict[str, Any]
RowT = TypeVar("RowT")


class Source(NamedTuple, Generic[RowT]):
    """Where rows come from: texts with ids, or whatever else is computed one by one.

    rows: reads all of them from the beginning, or what is wrong with one.
    """

    name: str
    rows: Callable[[], Iterator[RowT | RowFault]]


def texts_of(path: Path, column: str) -> Source[TextRow]:
    """The texts of a file or of a folder, see `texts.iter_texts`."""
    return Source(str(path), functools.partial(iter_texts, path, column))


def text_manifest(
    options: StreamOptions, name: str, free: Collection[str], files: Mapping[str, Path], **more: Any
) -> Manifest:
    """What results depend on; of a folder of texts only these.

    Args:
        name: of the option that holds the path of the texts.
        free, files, more: as of `Manifest.of`.
    """
    path = Path(getattr(options, name))
    if path.is_dir():
        content = {str(one.relative_to(path)): checksum(one) for one in text_files(path)}
        free, more = {*free, name}, {**more, f"the content of `{name}`": content}
    else:
        files = {**files, name: path}
    return Manifest.of(options, free=free, files=files, chunk_texts=CHUNK_TEXTS, **more)


class TextSurvey(NamedTuple):
    """What a first reading found: texts that can be used, and those with faults."""

    texts: int
    faulty: int

    @property
    def chunks(self) -> int:
        """Numbered by the rows of the file, the faulty ones among them."""
        return -(-(self.texts + self.faulty) // CHUNK_TEXTS)


def survey_texts(source: Source[Any], on_bad_row: str, output_dir: str) -> TextSurvey:
    """Checks every text before the first is computed.

    Raises:
        UserError: there are faulty texts and `on_bad_row` is "stop", or none that can be used.
    """
    texts = 0
    faults: list[RowFault] = []
    for row in source.rows():
        if isinstance(row, RowFault):
            faults.append(row)
        else:
            texts += 1
    if faults:
        stop_or_reject(source.name, faults, on_bad_row, Path(output_dir))
    if not texts:
        raise UserError(f"{source.name}: holds no text{' that can be used' if faults else ''}")
    return TextSurvey(texts, len(faults))


class JsonLines:
    """Lines of JSON; a part is a list of records."""

    def __init__(self, output: Path) -> None:
        self._is_zipped = output.suffix == ".gz"

    def write_part(self, file: IO[bytes], part: Iterable[Record]) -> None:
        """A line for each record."""
        for record in part:
            file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")

    def join(self, parts: Iterable[Path], file: IO[bytes]) -> None:
        """All lines, zipped where the name of the output says so."""
        if self._is_zipped:  # without name and time, so that equal results give equal bytes
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as zipped:
                _copy(parts, zipped)
        else:
            _copy(parts, file)

    def write_beside(self, output: Path) -> None:
        """Nothing."""


def _copy(parts: Iterable[Path], file: Any) -> None:
    for part in parts:
        with part.open("rb") as opened:
            shutil.copyfileobj(opened, file)


def json_lines_output(output_dir: str, output_name: str, default: str, test_file: Path) -> Path:
    """The file to write.

    Raises:
        UserError: its name is not one of JSON lines, or it is the input itself.
    """
    output = Path(output_dir) / (output_name or default)
    if not output.name.endswith((".jsonl", ".jsonl.gz")):
        raise UserError(f"{output}: expected a name that ends in .jsonl or .jsonl.gz")
    if output.resolve() == test_file.resolve():
        raise UserError(f"{output} is the input itself; pass another `output_name`")
    return output


def write_stream(
    source: Source[RowT],
    options: StreamOptions,
    output: Path,
    content: Content,
    manifest: Manifest,
    compute: Callable[[Sequence[RowT]], list[Record]],
    models: str,
) -> int:
    """Computes the texts of a file, writes the output, and returns how many texts there are.

    Args:
        models: flags that name the models, for whoever continues.

    Raises:
        UserError: texts are faulty, or the file changes meanwhile.
        KeyboardInterrupt: with a message that says how to continue.
    """
    found = survey_texts(source, options.on_bad_row, options.output_dir)
    parts = Parts(output, content, found.chunks, manifest)
    parts.open(resume=options.resume)
    try:
        _compute_missing(source, found, parts, compute)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Stopped; what is computed so far is kept in {parts.folder}. To continue, give the "
            f"same command with {models} --resume"
        ) from None
    parts.join()
    return found.texts


def _compute_missing(
    source: Source[RowT],
    found: TextSurvey,
    parts: Parts,
    compute: Callable[[Sequence[RowT]], list[Record]],
) -> None:
    """Computes the chunks whose parts are missing.

    Raises:
        UserError: the file has changed since the survey.
    """
    missing = set(parts.missing())
    done = found.chunks - len(missing)
    with progress_bar(
        total=found.texts,
        initial=min(found.texts, done * CHUNK_TEXTS),
        desc="reading texts",
        unit=" texts",
    ) as progress:
        texts = faulty = 0
        for number, chunk in _chunks(source):
            rows = [row for row in chunk if not isinstance(row, RowFault)]
            texts, faulty = texts + len(rows), faulty + len(chunk) - len(rows)
            if number in missing:
                parts.write(number, compute(rows))
                progress.update(len(rows))
    if (texts, faulty) != found:
        raise UserError(
            f"{source.name}: the file has changed while it was read; give the command again"
        )


def _chunks(source: Source[RowT]) -> Iterator[tuple[int, list[RowT | RowFault]]]:
    rows = source.rows()
    for number in count():
        chunk = list(islice(rows, CHUNK_TEXTS))
        if not chunk:
            return
        yield number, chunk
