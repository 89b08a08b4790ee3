"""How much of what examples state comes out of raw text, and where the rest is lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kore.common.errors import UserError
from kore.common.files import atomic_write, write_table
from kore.common.resources import find_file
from kore.data.inverses import KLUE_INVERSES, read_inverses
from kore.data.rows import read_examples
from kore.data.schema import Entity, Example
from kore.data.text_files import iter_lines
from kore.evaluation.options import EvaluationOptions

_SCORES = (
    ("entities", "both entities are found, with exact borders and types"),
    ("relations", "the relation is found as well: the triple is right"),
    ("of_found", "  of those whose entities are found"),
    ("other_relation", "another relation is found between the same two words"),
    ("invented", "no_relation, but a relation is found"),
)

Place = tuple[int, int, str]  # start, end and type of an entity
Pair = tuple[Place, Place]


class Found(NamedTuple):
    """What was found in a document: entities, and the relation of each ordered pair of them."""

    entities: set[Place]
    triples: dict[Pair, str]


def evaluate_extraction(options: EvaluationOptions) -> dict[str, dict[str, float]]:
    """Scores, x 100, of what extraction wrote, and of another one's beside it; printed and written.

    Raises:
        UserError: a file is faulty, or a document of the gold file was not read.
    """
    examples = read_examples(
        Path(options.gold_file),
        need_labels=True,
        on_bad_row=options.on_bad_row,
        output_dir=options.output_dir,
    )
    inverses = read_inverses(find_file(KLUE_INVERSES), None)
    rows = []
    scores = {}
    for file in filter(None, (options.prediction_file, options.compare)):
        found = read_found(Path(file))
        lacking = [row.id for row in examples if row.id not in found]
        if lacking:
            raise UserError(
                f"{file}: lacks {len(lacking)} documents of {options.gold_file}, {lacking[0]!r} "
                "among them; extract from the same file"
            )
        scores[file] = extraction_scores(examples, found, options.no_relation_label, inverses)
        rows += relation_rows(file, examples, found, options.no_relation_label, inverses)
    print(_text(examples, scores, options.no_relation_label))
    folder = Path(options.output_dir)
    path, table = folder / "scores.json", folder / "relations.csv"
    with atomic_write(path) as opened:
        json.dump(scores, opened, indent=2, ensure_ascii=False)
        opened.write("\n")
    write_table(table, rows)
    print(f"\nWritten: {path}, {table}")
    return scores


def read_found(path: Path) -> dict[str, Found]:
    """What was found in each document of a file that extraction wrote.

    Raises:
        UserError: it is missing or of another form.
    """
    found: dict[str, Found] = {}
    for line, text in iter_lines(path):
        try:
            record = json.loads(text)
            own = found.setdefault(record["document"], Found(set(), {}))
            own.entities.update(map(_place, record["entities"]))
            for triple in record["triples"]:
                pair = (_place(triple["subject"]), _place(triple["object"]))
                own.triples[pair] = triple["relation"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}:{line}: expected a line that extract wrote (document, entities, triples), "
                f"found {text[:80]!r}"
            ) from error
    return found


def _place(entity: Mapping[str, Any]) -> Place:
    return int(entity["start"]), int(entity["end"]), str(entity["type"])


def _place_of(entity: Entity) -> Place:
    return entity.span.start, entity.span.end, entity.type


def extraction_scores(
    examples: Sequence[Example],
    found: Mapping[str, Found],
    no_relation: str,
    inverses: Mapping[str, str],
) -> dict[str, float]:
    """The shares, x 100; a relation stated in the other direction by its inverse is the same.

    entities: of all examples. relations, of_found, other_relation: of those with a relation;
    invented: of those without one, whichever types the two words were given.
    """
    counts: Counter[str] = Counter()
    for example in examples:
        own = found[example.id]
        is_there = {_place_of(example.subject), _place_of(example.object)} <= own.entities
        said = _said(example, own, inverses)
        counts["entities"] += is_there
        if example.label == no_relation:
            counts["negatives"] += 1
            counts["invented"] += bool(_between(example, own))
        else:
            counts["positives"] += 1
            counts["positives_there"] += is_there
            is_right = example.label in said
            counts["relations"] += is_right
            counts["other_relation"] += not is_right and bool(_between(example, own))
    totals = {
        "entities": len(examples),
        "relations": counts["positives"],
        "of_found": counts["positives_there"],
        "other_relation": counts["positives"],
        "invented": counts["negatives"],
    }
    counts["of_found"] = counts["relations"]
    shares = {name: 100 * counts[name] / max(1, total) for name, total in totals.items()}
    return {**shares, "triples": float(sum(len(own.triples) for own in found.values()))}


def _said(example: Example, found: Found, inverses: Mapping[str, str]) -> set[str]:
    """The relations that were found from subject to object, of exactly these two entities."""
    subject, object_ = _place_of(example.subject), _place_of(example.object)
    forward = found.triples.get((subject, object_))
    backward = inverses.get(found.triples.get((object_, subject), ""))
    return {relation for relation in (forward, backward) if relation}


def _between(example: Example, found: Found) -> list[str]:
    """All relations between two words, whatever their types and the direction."""
    wanted = {example.subject.span, example.object.span}
    return [
        relation
        for (one, other), relation in found.triples.items()
        if {one[:2], other[:2]} == wanted
    ]


def relation_rows(
    file: str,
    examples: Sequence[Example],
    found: Mapping[str, Found],
    no_relation: str,
    inverses: Mapping[str, str],
) -> list[dict[str, Any]]:
    """A row for each relation: how many examples have it, and how many of them were found."""
    gold: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for example in examples:
        label = str(example.label)
        gold[label] += 1
        own = found[example.id]
        is_right = label in _said(example, own, inverses)
        right[label] += not _between(example, own) if label == no_relation else is_right
    return [
        {"file": file, "relation": name, "examples": count, "right": right[name]}
        for name, count in gold.most_common()
    ]


def _text(
    examples: Sequence[Example], scores: Mapping[str, Mapping[str, float]], no_relation: str
) -> str:
    positives = sum(example.label != no_relation for example in examples)
    columns = [f"({number})" for number in range(1, len(scores) + 1)]
    lines = [
        f"{len(examples)} examples, {positives} with a relation",
        *(f"{column} {file}" for column, file in zip(columns, scores, strict=True)),
        "",
        _row("share of the examples, %", columns),
        *(_row(about, _cells(scores, name, "{:.2f}")) for name, about in _SCORES),
        _row("triples in all", _cells(scores, "triples", "{:.0f}")),
    ]
    return "\n".join(lines)


def _cells(scores: Mapping[str, Mapping[str, float]], name: str, form: str) -> list[str]:
    return [form.format(own[name]) for own in scores.values()]


def _row(about: str, cells: Iterable[str]) -> str:
    return about.ljust(58) + "".join(cell.rjust(10) for cell in cells)
