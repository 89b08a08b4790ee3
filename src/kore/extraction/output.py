"""What extraction writes: lines of sentences, a table of triples, and a graph."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kore.common.files import atomic_write, csv_writer
from kore.data.text_files import open_text, without_compression
from kore.extraction.graph import build_graph, graph_files, write_graph
from kore.prediction.text_stream import JsonLines

if TYPE_CHECKING:
    import networkx

COLUMNS = (
    *("document", "subject", "subject_type", "subject_start", "subject_end", "relation"),
    *("object", "object_type", "object_start", "object_end", "probability", "sentence"),
)


class TripleLines(JsonLines):
    """Lines of sentences, and beside them a table of their triples and what else is asked for.

    Args:
        output: the lines.
        graph: format of a graph, see graph.py; "" = none.
        draw: makes a picture of the graph; None = none.
    """

    def __init__(
        self,
        output: Path,
        graph: str = "",
        draw: Callable[[networkx.MultiDiGraph[str], Path], None] | None = None,
    ) -> None:
        super().__init__(output)
        self._stem = without_compression(output).with_suffix("")
        self._graph = graph
        self._draw = draw

    @property
    def beside(self) -> list[Path]:
        """The files that `write_beside` writes."""
        files = [self._stem.with_name(f"{self._stem.name}.csv")]
        if self._graph:
            files += graph_files(self._stem, self._graph)
        return files if self._draw is None else [*files, self._picture]

    @property
    def _picture(self) -> Path:
        return self._stem.with_name(f"{self._stem.name}.png")

    def write_beside(self, output: Path) -> None:
        """Table, graph and picture of the triples in the lines."""
        with atomic_write(self.beside[0]) as file:
            writer = csv_writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(map(cells_of, read_triples(output)))
        if self._graph or self._draw is not None:
            graph = build_graph(read_triples(output))
            if self._graph:
                write_graph(graph, self._stem, self._graph)
            if self._draw is not None:
                self._draw(graph, self._picture)


def read_triples(lines: Path) -> Iterator[dict[str, Any]]:
    """The triples in lines of sentences, each with its document and sentence."""
    with open_text(lines) as file:
        for line in file:
            record = json.loads(line)
            for triple in record["triples"]:
                yield {**triple, "document": record["document"], "sentence": record["sentence"]}


def cells_of(triple: dict[str, Any]) -> list[Any]:
    """A triple of `read_triples` as a row of `COLUMNS`."""
    entities = [
        [side["word"], side["type"], side["start"], side["end"]]
        for side in (triple["subject"], triple["object"])
    ]
    return [
        *(triple["document"], *entities[0], triple["relation"], *entities[1]),
        *(triple["probability"], triple["sentence"]),
    ]
