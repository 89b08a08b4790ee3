"""The command that scores found entities against gold ones."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kore.common.errors import UserError
from kore.common.files import atomic_write, csv_writer
from kore.data.ner import OUTSIDE, TaggedText, entity_types_of, read_tagged, tags_of
from kore.data.schema import Entity
from kore.evaluation import figures
from kore.evaluation.entity_errors import NONE, EntityError, entity_errors, type_pairs
from kore.evaluation.options import EvaluationOptions
from kore.evaluation.score_table import aligned
from kore.network.tagger import tags_for
from kore.scoring.ner import EntityScores, score_entities

_COLUMNS = ("id", "kind", "gold", "gold_type", "found", "found_type", "text")


def evaluate_entities(options: EvaluationOptions) -> EntityScores:
    """Scores what `kore tag` wrote against labelled texts, prints and writes the result.

    Raises:
        UserError: a file is faulty, or the files do not hold the same texts.
    """
    gold = read_tagged(
        Path(options.gold_file), on_bad_row=options.on_bad_row, output_dir=options.output_dir
    )
    predicted = read_tagged(Path(options.prediction_file))
    found = _matched(options, gold, predicted)
    types = tuple(sorted({*entity_types_of(gold), *(one.type for own in found for one in own)}))
    scores = _score(gold, found, types)
    errors = [
        error for row, own in zip(gold, found, strict=True) for error in entity_errors(row, own)
    ]
    train = read_tagged(Path(options.train_file)) if options.train_file else []
    rows = _table(scores, gold, train)
    print(_text(scores, rows, errors, len(gold)))
    written = _write(Path(options.output_dir), scores, rows, errors)
    if types:
        written.append(Path(options.output_dir) / "confusion_matrix.png")
        pairs = type_pairs(gold, found, types)
        figures.confusion(*pairs, [*types, NONE], written[-1], of=("type", "entities"))
    print(f"\nWritten: {', '.join(map(str, written))}")
    return scores


def _matched(
    options: EvaluationOptions, gold: Sequence[TaggedText], predicted: Sequence[TaggedText]
) -> list[Sequence[Entity]]:
    """What was found in each gold text; texts are matched by their characters.

    Raises:
        UserError: a gold text is not among the predictions.
    """
    by_text = {row.text: row.entities for row in predicted}
    lacking = [row.id for row in gold if row.text not in by_text]
    if lacking:
        raise UserError(
            f"{options.prediction_file}: lacks {len(lacking)} texts of {options.gold_file}, "
            f"{lacking[0]!r} among them; tag the same texts"
        )
    return [by_text[row.text] for row in gold]


def _score(
    gold: Sequence[TaggedText], found: Sequence[Sequence[Entity]], types: Sequence[str]
) -> EntityScores:
    return score_entities(
        [[(one.span, one.type) for one in row.entities] for row in gold],
        [[(one.span, one.type) for one in own] for own in found],
        [tags_of(row.text, row.entities) for row in gold],
        [tags_of(row.text, own) for row, own in zip(gold, found, strict=True)],
        tags_for(types),
    )


def _table(
    scores: EntityScores, gold: Sequence[TaggedText], train: Sequence[TaggedText]
) -> list[dict[str, Any]]:
    """A row for each type, and the balance of the types in both files."""
    shares = {"gold_share": _shares(gold), **({"train_share": _shares(train)} if train else {})}
    return [
        {
            "type": kind,
            "precision": round(counts.precision, 2),
            "recall": round(counts.recall, 2),
            "f1": round(counts.f1, 2),
            "gold": counts.gold,
            "found": counts.predicted,
            **{name: round(100 * own.get(kind, 0.0), 2) for name, own in shares.items()},
        }
        for kind, counts in scores.by_type.items()
    ]


def _shares(texts: Sequence[TaggedText]) -> dict[str, float]:
    """The share of each type among the entities."""
    counts = Counter(one.type for row in texts for one in row.entities)
    return {kind: count / counts.total() for kind, count in counts.items()}


def _text(
    scores: EntityScores, rows: Sequence[dict[str, Any]], errors: Sequence[EntityError], texts: int
) -> str:
    kinds = Counter(error.kind for error in errors)
    return "\n".join(
        [
            f"{texts} texts, {scores.counts.gold} gold entities, {scores.counts.predicted} found",
            f"entity micro-F1 {scores.micro_f1:.2f} (precision {scores.counts.precision:.2f}, "
            f"recall {scores.counts.recall:.2f}), macro-F1 {scores.macro_f1:.2f}; character "
            f"macro-F1 {scores.character_f1:.2f}, accuracy {scores.accuracy:.2f}",
            f"errors: {', '.join(f'{kind} {count}' for kind, count in kinds.most_common())}",
            "",
            *aligned(rows),
        ]
    )


def _write(
    folder: Path,
    scores: EntityScores,
    rows: Sequence[dict[str, Any]],
    errors: Sequence[EntityError],
) -> list[Path]:
    paths = [folder / name for name in ("scores.json", "types.csv", "errors.csv")]
    with atomic_write(paths[0]) as file:
        content = {**scores.as_dict(), "types": list(rows)}
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")
    with atomic_write(paths[1]) as file:
        table = csv.DictWriter(file, list(rows[0]) if rows else ["type"], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    with atomic_write(paths[2]) as file:
        writer = csv_writer(file)
        writer.writerow(_COLUMNS)
        for error in errors:
            cells = [cell for one in (error.gold, error.found) for cell in _cells(one)]
            writer.writerow([error.id, error.kind, *cells, error.text])
    return paths


def _cells(entity: Entity | None) -> tuple[str, str]:
    return ("", OUTSIDE) if entity is None else (entity.word, entity.type)
