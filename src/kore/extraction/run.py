"""Triples of texts: `kore extract`, from its options to its files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.files import atomic_write, csv_writer
from kore.common.flags import AUTO
from kore.common.manifest import Manifest
from kore.common.resources import find_file
from kore.data.inverses import read_inverses
from kore.data.schema import LabelMap
from kore.data.text_files import has_half_character, open_text, without_compression
from kore.data.texts import TextRow
from kore.extraction.options import ExtractOptions
from kore.extraction.pipeline import Extractor, records_of
from kore.extraction.sentences import splitter_of
from kore.extraction.triples import Triple
from kore.extraction.types import check_types, known_inverses
from kore.network.checkpoint import load_model
from kore.network.locate import find_model, find_tagger
from kore.network.tagger_file import load_tagger
from kore.prediction.parts import is_finished
from kore.prediction.text_stream import (
    CHUNK_TEXTS,
    FREE_OPTIONS,
    JsonLines,
    json_lines_output,
    write_stream,
)

_COLUMNS = (
    *("document", "subject", "subject_type", "subject_start", "subject_end", "relation"),
    *("object", "object_type", "object_start", "object_end", "probability", "sentence"),
)


def extract(options: ExtractOptions) -> Path | None:
    """Prints the triples of `text`, or writes those of `input_file` and returns the path.

    Raises:
        UserError: anything the user can fix; an earlier output is then unchanged.
        KeyboardInterrupt: with a message that says how to continue.
    """
    if bool(options.text) == bool(options.input_file):
        raise UserError("name either a `text` or an `input_file`")
    accelerator = make_accelerator(options)
    if accelerator.num_processes > 1:
        raise UserError("texts are read by one process; leave accelerate launch out")
    tagger_file = find_tagger(options.ner_model, options.model_dir)
    model_file = find_model(options.model_file, options.model_dir)
    if options.text:
        _print_triples(options, tagger_file, model_file, accelerator)
        return None
    return _extract_file(options, tagger_file, model_file, accelerator)


def _print_triples(
    options: ExtractOptions, tagger_file: Path, model_file: Path, accelerator: Accelerator
) -> None:
    if has_half_character(options.text) or not options.text.strip():
        raise UserError(f"`text` {options.text!r}: expected a text that is not empty")
    extractor = _extractor(options, tagger_file, model_file, accelerator)
    (found,) = extractor([options.text])
    for triple in found.triples:
        print(sentence_of(triple))
    if not found.triples:
        words = ", ".join(f"{hit.entity.word} ({hit.entity.type})" for hit in found.entities)
        print(
            f"no triple of at least `min_probability` {options.min_probability}; entities: "
            f"{words or 'none'}".replace("`min_probability`", "--min_probability")
        )


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
    default = f"{without_compression(path).stem}_triples.jsonl"
    output = json_lines_output(options.output_dir, options.output_name, default, path)
    manifest = Manifest.of(
        options,
        free=FREE_OPTIONS,
        files={"ner_model": tagger_file, "model_file": model_file, "input_file": path},
        mixed_precision=accelerator.mixed_precision,
        chunk_texts=CHUNK_TEXTS,
    )
    table = table_path(output)
    if options.resume and is_finished(output, manifest, [table]):
        print(f"Nothing to resume, all is extracted: {output}")
        return output
    extractor = _extractor(options, tagger_file, model_file, accelerator)

    def extracted(rows: Sequence[TextRow]) -> list[dict[str, Any]]:
        results = extractor([row.text for row in rows])
        return [
            record
            for row, result in zip(rows, results, strict=True)
            for record in records_of(row.id, result)
        ]

    models = f"--ner_model {tagger_file} --model_file {model_file}"
    content = TripleLines(output)
    texts = write_stream(path, options, output, content, manifest, extracted, models)
    print(f"{texts} texts read with {tagger_file} and {model_file}: {output}, {table}")
    return output


class TripleLines(JsonLines):
    """Lines of sentences, and a table of their triples beside them."""

    def write_beside(self, output: Path) -> None:
        """The CSV of all triples."""
        with atomic_write(table_path(output)) as file, open_text(output) as lines:
            writer = csv_writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows(_cells(one) for line in lines for one in _triples_of(line))


def table_path(output: Path) -> Path:
    """The CSV beside a file of triples."""
    return without_compression(output).with_suffix(".csv")


def _triples_of(line: str) -> Iterable[dict[str, Any]]:
    record = json.loads(line)
    for triple in record["triples"]:
        yield {**triple, "document": record["document"], "sentence": record["sentence"]}


def _cells(triple: dict[str, Any]) -> list[Any]:
    entities = [
        [side["word"], side["type"], side["start"], side["end"]]
        for side in (triple["subject"], triple["object"])
    ]
    return [
        *(triple["document"], *entities[0], triple["relation"], *entities[1]),
        *(triple["probability"], triple["sentence"]),
    ]


def _extractor(
    options: ExtractOptions, tagger_file: Path, model_file: Path, accelerator: Accelerator
) -> Extractor:
    tagger, relations = load_tagger(tagger_file), load_model(model_file)
    check_types(tagger, relations)
    if options.compile:
        tagger.tagger.run_encoder(compiled=True)
        relations.classifier.run_encoder(compiled=True)
    return Extractor(
        tagger,
        relations,
        accelerator,
        inverses=_inverses(options.inverses, relations.labels),
        split=splitter_of(options.sentences),
        min_probability=options.min_probability,
        batch_tokens=options.batch_tokens,
    )


def _inverses(path: str, labels: LabelMap) -> dict[str, str]:
    if path == AUTO:
        return known_inverses(labels)
    return read_inverses(find_file(path), labels) if path else {}
