"""Chunks of a file, read and encoded ahead of the model.

A chunk is 2048 examples, identified by its number. What it holds depends on the file alone, so that
several processes and resumed runs compute the very same batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from kore.common.errors import UserError
from kore.data.dataset import EncodedExample, InputEncoder
from kore.data.options import RowOptions
from kore.data.records import Record, iter_records
from kore.data.rows import iter_checked, parse_record
from kore.data.schema import Example
from kore.prediction.predictor import CHUNK_ROWS

_CHANGED = "the file has changed while it was being read; give the same command once more"


@dataclass(frozen=True)
class FileSurvey:
    """What a first reading of a file found. `rejected` are the numbers of its faulty rows."""

    rows: int
    rejected: frozenset[int]
    types: frozenset[str]

    @property
    def chunks(self) -> int:
        return -(-(self.rows + len(self.rejected)) // CHUNK_ROWS)

    def records_of(self, chunk: int) -> int:
        """How many rows of the file a chunk covers, the faulty ones among them."""
        return min(CHUNK_ROWS, self.rows + len(self.rejected) - chunk * CHUNK_ROWS)


def survey(path: Path, options: RowOptions) -> FileSurvey:
    """Checks every example before the first is predicted, in memory that does not grow with them.

    Raises:
        UserError: there are faulty rows and `on_bad_row` is "stop", or no rows.
    """
    rejected: set[int] = set()
    types: set[str] = set()
    rows, expected, total = 0, 0, 0

    def counted() -> Iterator[tuple[int, Record]]:
        nonlocal total
        for numbered in iter_records(path):
            total += 1
            yield numbered

    checked = iter_checked(
        str(path), counted(), on_bad_row=options.on_bad_row, output_dir=options.output_dir
    )
    for number, example in checked:
        rejected.update(range(expected, number))
        types.update((example.subject.type, example.object.type))
        rows, expected = rows + 1, number + 1
    rejected.update(range(expected, total))
    return FileSurvey(rows, frozenset(rejected), frozenset(types))


@dataclass(frozen=True)
class Chunk:
    """Encoded examples of one chunk and their ids, in the order of the file."""

    number: int
    ids: list[str]
    rows: list[EncodedExample]


class _Chunks(IterableDataset[Chunk | UserError]):
    """The wanted chunks of a file; each of several workers makes its share of them.

    An error is returned as a value: DataLoader would wrap it into a page of traceback.
    """

    def __init__(
        self,
        path: Path,
        encoder: InputEncoder,
        found: FileSurvey,
        wanted: Sequence[int],
    ) -> None:
        self.path = path
        self.encoder = encoder
        self.found = found
        self.wanted = wanted

    def __iter__(self) -> Iterator[Chunk | UserError]:
        worker = get_worker_info()
        share = slice(worker.id, None, worker.num_workers) if worker else slice(None)
        wanted = set(self.wanted[share])
        try:
            if wanted:
                yield from self._wanted_chunks(wanted)
        except UserError as error:
            yield error

    def _wanted_chunks(self, wanted: set[int]) -> Iterator[Chunk]:
        numbered = enumerate(iter_records(self.path))
        for chunk, group in groupby(numbered, key=lambda item: item[0] // CHUNK_ROWS):
            if chunk in wanted:
                wanted.remove(chunk)
                yield self._chunk(chunk, list(group))
            if not wanted:
                return
        raise UserError(f"{self.path}: {_CHANGED}")

    def _chunk(self, number: int, records: list[tuple[int, tuple[int, Record]]]) -> Chunk:
        if len(records) != self.found.records_of(number):
            raise UserError(f"{self.path}: {_CHANGED}")
        kept = [row for n, row in records if n not in self.found.rejected]
        examples = [self._example(line, record) for line, record in kept]
        ids = [example.id for example in examples]
        return Chunk(number, ids, self.encoder.encode(examples, quiet=True))

    def _example(self, line: int, record: Record) -> Example:
        example, faults = parse_record(line, record)
        if example is None or faults:
            raise UserError(f"{self.path}:{line}: {_CHANGED}")
        return example


def stream_chunks(
    path: Path,
    encoder: InputEncoder,
    found: FileSurvey,
    wanted: Sequence[int],
    num_workers: int,
) -> Iterator[Chunk]:
    """The chunks of `path` whose numbers are `wanted` (ascending), in that order.

    Args:
        found: what `survey` returned.
        num_workers: processes that read and encode while the caller computes; 0 = this one.

    Raises:
        UserError: the file has changed, or a worker died.
    """
    loader = DataLoader(
        _Chunks(path, encoder, found, wanted),
        batch_size=None,
        num_workers=num_workers,
        # A forked process would share the locks of the tokenizer's and of torch's threads.
        multiprocessing_context="spawn" if num_workers else None,
    )
    chunks = iter(loader)
    while True:
        try:
            with worker_death_as_user_error():
                chunk = next(chunks)
        except StopIteration:
            return
        if isinstance(chunk, UserError):
            raise chunk
        yield chunk


@contextmanager
def worker_death_as_user_error() -> Iterator[None]:
    """Reports a killed worker in a sentence: torch raises wherever the main process then is.

    An error inside a worker names "DataLoader worker process" instead, and keeps its traceback.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):
            raise
        raise UserError(
            "a process that read ahead was killed, perhaps because memory was full; what is "
            "predicted is kept: give the same command with `resume` (and `num_workers` 0)"
        ) from error
