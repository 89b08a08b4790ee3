"""How many marked entities of examples a tagger finds: what relations from raw text depend on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from kore.common.errors import UserError
from kore.common.files import atomic_write
from kore.data.ner import TaggedText, read_tagged
from kore.data.records import iter_records
from kore.data.rows import read_examples
from kore.data.schema import Entity, Example
from kore.data.text_files import without_compression
from kore.evaluation.options import EvaluationOptions

_TABLES = (".csv", ".json", ".jsonl", ".parquet")


def holds_examples(path: Path) -> bool:
    """Whether a file has rows with two marked entities, and not texts with all of theirs."""
    if without_compression(path).suffix not in _TABLES:
        return False
    _, record = next(iter_records(path, needed=()), (0, {}))
    return "subject_entity" in record


def evaluate_marked(options: EvaluationOptions) -> dict[str, float]:
    """Shares, x 100, of the marked entities that were found; printed, and written as scores.json.

    Raises:
        UserError: a file is faulty, or a sentence was not tagged.
    """
    examples = read_examples(
        Path(options.gold_file), on_bad_row=options.on_bad_row, output_dir=options.output_dir
    )
    by_text = {row.text: row for row in read_tagged(Path(options.prediction_file))}
    lacking = [row.id for row in examples if row.sentence not in by_text]
    if lacking:
        raise UserError(
            f"{options.prediction_file}: lacks the sentences of {len(lacking)} examples of "
            f"{options.gold_file}, {lacking[0]!r} among them; tag the same file"
        )
    scores = marked_scores(examples, by_text)
    print(
        f"{len(examples)} examples; found with exact borders and the right type: both entities "
        f"{scores['both']:.2f} %, the subject {scores['subject']:.2f} %, the object "
        f"{scores['object']:.2f} %; both with exact borders, whatever their types, "
        f"{scores['both_borders']:.2f} %; {scores['entities_per_sentence']:.2f} entities are found "
        "in a sentence"
    )
    path = Path(options.output_dir) / "scores.json"
    with atomic_write(path) as file:
        json.dump(scores, file, indent=2)
        file.write("\n")
    print(f"\nWritten: {path}")
    return scores


def marked_scores(
    examples: Sequence[Example], by_text: Mapping[str, TaggedText]
) -> dict[str, float]:
    """The shares, by name; `by_text` has what was found in each sentence."""
    subjects, objects, both, borders = 0, 0, 0, 0
    for example in examples:
        found = by_text[example.sentence].entities
        pair = (example.subject, example.object)
        is_found = [_is_among(entity, found) for entity in pair]
        spans = {entity.span for entity in found}
        subjects += is_found[0]
        objects += is_found[1]
        both += all(is_found)
        borders += all(entity.span in spans for entity in pair)
    counts = {"both": both, "subject": subjects, "object": objects, "both_borders": borders}
    sentences = {example.sentence for example in examples}
    return {
        **{name: 100 * count / len(examples) for name, count in counts.items()},
        "entities_per_sentence": sum(len(by_text[text].entities) for text in sentences)
        / len(sentences),
    }


def _is_among(entity: Entity, found: Sequence[Entity]) -> bool:
    return any((one.span, one.type) == (entity.span, entity.type) for one in found)
