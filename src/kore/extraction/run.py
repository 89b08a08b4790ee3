"""Triples of texts: `kore extract`, from its options to its files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate import Accelerator

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import AUTO
from kore.common.manifest import Manifest
from kore.common.resources import find_file
from kore.data.faults import RowFault
from kore.data.records import iter_records
from kore.data.rows import iter_rows
from kore.data.schema import Example
from kore.data.text_files import has_half_character, without_compression
from kore.data.texts import TextRow
from kore.extraction.assembly import make_extractor
from kore.extraction.options import ExtractOptions
from kore.extraction.output import TripleLines
from kore.extraction.pipeline import Extractor, PairReader, RelationAsker, records_of
from kore.extraction.sentences import chosen, splitter_of
from kore.extraction.triples import Triple
from kore.network.checkpoint import load_model
from kore.network.locate import find_model, find_tagger
from kore.network.tagger_file import load_tagger
from kore.prediction.parts import FREE_OPTIONS, is_finished
from kore.prediction.text_stream import (
    Source,
    json_lines_output,
    text_manifest,
    texts_of,
    write_stream,
)

if TYPE_CHECKING:
    import networkx

_STANDARD_INPUT = "-"
_LINES_AT_ONCE = 32  # of standard input
# Of what was computed already a graph or a picture can be made at any time.
_FREE_OPTIONS = {*FREE_OPTIONS, "graph", "figure", "text"}


def extract(options: ExtractOptions) -> Path | None:
    """Prints the triples of `text`, or writes those of a file and returns the path.

    Raises:
        UserError: anything the user can fix; an earlier output is then unchanged.
        KeyboardInterrupt: with a message that says how to continue.
    """
    if sum(map(bool, (options.text, options.input_file, options.pairs))) != 1:
        raise UserError("name one of a `text`, an `input_file`, or a file of `pairs`")
    accelerator = make_accelerator(options)
    if accelerator.num_processes > 1:
        raise UserError("texts are read by one process; leave accelerate launch out")
    model_file = find_model(options.model_file, options.model_dir)
    if options.pairs:
        return _ask_about_pairs(options, model_file, accelerator)
    tagger_file = find_tagger(options.ner_model, options.model_dir)
    if options.text or options.input_file == _STANDARD_INPUT:
        if options.graph or options.figure:
            raise UserError("`graph` and `figure` are made of a file: pass an `input_file`")
        _print_triples(options, tagger_file, model_file, accelerator)
        return None
    return _extract_file(options, tagger_file, model_file, accelerator)


def _print_triples(
    options: ExtractOptions, tagger_file: Path, model_file: Path, accelerator: Accelerator
) -> None:
    texts = iter([_checked(options.text, "`text`")]) if options.text else _lines_of_input()
    extractor = _extractor(options, tagger_file, model_file, accelerator)
    while chunk := list(islice(texts, _LINES_AT_ONCE)):
        for found in extractor(chunk):
            for triple in found.triples:
                print(sentence_of(triple))
            if options.text and not found.triples:
                words = ", ".join(
                    f"{hit.entity.word} ({hit.entity.type})" for hit in found.entities
                )
                print(
                    f"no triple of at least --min_probability {options.min_probability}; "
                    f"entities: {words or 'none'}"
                )
        sys.stdout.flush()


def _checked(text: str, name: str) -> str:
    if has_half_character(text) or not text.strip():
        raise UserError(f"{name} {text!r}: expected a text that is not empty")
    return text


def _lines_of_input() -> Iterator[str]:
    """The lines of standard input that are not empty."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise UserError(f"standard input:{number}: not UTF-8; convert it before") from None
        if text:
            yield text


def sentence_of(triple: Triple) -> str:
    """A triple as a line of text."""
    subject, relation, object_, probability = triple
    return (
        f"{subject.word} ({subject.type})  {relation}  {object_.word} ({object_.type})  "
        f"{probability:.2f}"
    )


def _extract_file(
    options: ExtractOptions, tagger_file: Path, model_file: Path, accelerator: Accelerator
) -> Path:
    path = Path(options.input_file)
    content, output = _output(options, path)
    manifest = text_manifest(
        options,
        "input_file",
        _FREE_OPTIONS,
        {"ner_model": tagger_file, "model_file": model_file, **_inverses_file(options)},
        mixed_precision=accelerator.mixed_precision,
        splitter=chosen(options.sentences),
    )
    models = f"--ner_model {tagger_file} --model_file {model_file}"
    if not _is_done(options, output, content, manifest):
        extractor = _extractor(options, tagger_file, model_file, accelerator)

        def extracted(rows: Sequence[TextRow]) -> list[dict[str, Any]]:
            results = extractor([row.text for row in rows])
            return [
                record
                for row, result in zip(rows, results, strict=True)
                for record in records_of(row.id, result)
            ]

        source = texts_of(path, options.text_column)
        texts = write_stream(source, options, output, content, manifest, extracted, models)
        once = ", once for both" if extractor.shares_encoder else ""
        print(f"{texts} texts read with {tagger_file} and {model_file}{once}")
    print(f"Written: {', '.join(map(str, [output, *content.beside]))}")
    return output


def _inverses_file(options: ExtractOptions) -> dict[str, Path]:
    """The file of inverse relations where one is named."""
    return {} if options.inverses in ("", AUTO) else {"inverses": find_file(options.inverses)}


def _ask_about_pairs(options: ExtractOptions, model_file: Path, accelerator: Accelerator) -> Path:
    path = Path(options.pairs)
    content, output = _output(options, path)
    manifest = text_manifest(
        options,
        "pairs",
        _FREE_OPTIONS,
        {"model_file": model_file},
        mixed_precision=accelerator.mixed_precision,
    )
    if not _is_done(options, output, content, manifest):
        relations = load_model(model_file)
        if options.compile:
            relations.classifier.run_encoder(compiled=True)
        asker = RelationAsker(relations, accelerator, options.batch_tokens)
        reader = PairReader(asker, min_probability=options.min_probability)
        source = Source(str(path), lambda: _examples_of(path))
        models = f"--model_file {model_file}"
        rows = write_stream(source, options, output, content, manifest, reader, models)
        print(f"{rows} pairs read with {model_file}")
    print(f"Written: {', '.join(map(str, [output, *content.beside]))}")
    return output


def _examples_of(path: Path) -> Iterator[Example | RowFault]:
    for row in iter_rows(str(path), iter_records(path)):
        yield row.faults[0] if row.example is None else row.example


def _output(options: ExtractOptions, path: Path) -> tuple[TripleLines, Path]:
    default = f"{without_compression(path).stem}_triples.jsonl"
    output = json_lines_output(options.output_dir, options.output_name, default, path)
    content = TripleLines(output, options.graph, _draw if options.figure else None)
    for written in content.beside:
        if written.resolve() == path.resolve():
            raise UserError(
                f"{written}, the table beside {output}, is the input itself; pass another "
                "`output_name`"
            )
    return content, output


def _draw(graph: networkx.MultiDiGraph[str], path: Path) -> None:
    from kore.evaluation.graph_figure import draw_graph  # matplotlib takes seconds to import

    draw_graph(graph, path)


def _is_done(
    options: ExtractOptions, output: Path, content: TripleLines, manifest: Manifest
) -> bool:
    """Whether an earlier run has computed all; its table, graph and picture are written anew."""
    if not options.resume or not is_finished(output, manifest):
        return False
    content.write_beside(output)
    print(f"Nothing to resume, all is extracted: {output}")
    return True


def _extractor(
    options: ExtractOptions, tagger_file: Path, model_file: Path, accelerator: Accelerator
) -> Extractor:
    return make_extractor(
        load_tagger(tagger_file),
        load_model(model_file),
        accelerator,
        inverses=options.inverses,
        split=splitter_of(options.sentences),
        min_probability=options.min_probability,
        batch_tokens=options.batch_tokens,
        compiled=options.compile,
    )
