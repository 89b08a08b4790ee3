"""Where the errors are: kinds of error, scores by kind of row, the most confident mistakes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kore.common.arrays import Floats, Ints
from kore.data.schema import Example, LabelMap, entity_distance, entity_pair, type_pair
from kore.scoring.metrics import micro_f1

_LENGTHS = (0, 50, 100, 150, 200, 300)  # characters of a sentence
_DISTANCES = (0, 5, 10, 20, 40, 80)  # characters between the entities
BY_PAIR, SEEN, NEW = "pair of entities", "stands in training", "is new"


class ErrorKinds(NamedTuple):
    """Rows by what went wrong. The split by no_relation shows where a model should improve."""

    right: int
    false_relations: int  # no_relation, but a relation was predicted
    missed_relations: int  # a relation, but no_relation was predicted
    mix_ups: int  # one relation taken for another


def error_kinds(gold: Ints, predicted: Ints, labels: LabelMap) -> ErrorKinds:
    """Counts of each kind; gold and predicted (N,)."""
    kinds = pd.Series(row_kinds(gold, predicted, labels)).value_counts()
    return ErrorKinds(*(int(kinds.get(name, 0)) for name in ErrorKinds._fields))


def row_kinds(gold: Ints, predicted: Ints, labels: LabelMap) -> list[str]:
    """For each row the field of `ErrorKinds` that counts it."""
    none = labels.names.index(labels.no_relation) if labels.no_relation else -1
    conditions = [gold == predicted, gold == none, predicted == none]
    names = ["right", "false_relations", "missed_relations"]
    return [str(kind) for kind in np.select(conditions, names, default="mix_ups")]


def slices(
    examples: Sequence[Example],
    gold: Ints,
    predicted: Ints,
    labels: LabelMap,
    train_examples: Sequence[Example] = (),
) -> pd.DataFrame:
    """Scores by kind of row: a line for each value of each of `_SLICINGS`.

    With the rows of training also by whether the pair of entities stands in them.

    Columns: by, value, rows, micro_f1, accuracy, false_relations, missed_relations, mix_ups.
    """
    slicings = dict(_SLICINGS)
    if train_examples:
        seen = {entity_pair(row) for row in train_examples}
        slicings[BY_PAIR] = lambda row: (0, SEEN) if entity_pair(row) in seen else (1, NEW)
    lines: list[dict[str, Any]] = []
    for name, place_of in slicings.items():
        rows_at: dict[Place, list[int]] = {}
        for row, example in enumerate(examples):
            rows_at.setdefault(place_of(example), []).append(row)
        for place, rows in sorted(rows_at.items()):
            kinds = error_kinds(gold[rows], predicted[rows], labels)
            lines.append(
                {
                    "by": name,
                    "value": place[1],
                    "rows": len(rows),
                    "micro_f1": micro_f1(gold[rows], predicted[rows], labels.positive),
                    "accuracy": 100 * kinds.right / len(rows),
                    **{field: getattr(kinds, field) for field in ErrorKinds._fields[1:]},
                }
            )
    return pd.DataFrame(lines)


def confident_errors(
    examples: Sequence[Example], gold: Ints, probs: Floats, labels: LabelMap
) -> pd.DataFrame:
    """All wrong rows, the one the model was surest of first.

    Columns: id, kind, gold, predicted, probability, gold_probability, subject, subject_type,
    object, object_type, sentence.
    """
    predicted = probs.argmax(axis=1)
    kinds = row_kinds(gold, predicted, labels)
    wrong = np.flatnonzero(gold != predicted)
    order = wrong[np.argsort(-probs[wrong].max(axis=1), kind="stable")].tolist()
    lines = [
        {
            "id": examples[row].id,
            "kind": kinds[row],
            "gold": labels.names[gold[row]],
            "predicted": labels.names[predicted[row]],
            "probability": round(float(probs[row].max()), 4),
            "gold_probability": round(float(probs[row, gold[row]]), 4),
            **_row_cells(examples[row]),
        }
        for row in order
    ]
    return pd.DataFrame(lines, columns=[*_ERROR_COLUMNS, *_ROW_COLUMNS])


def changed_rows(
    examples: Sequence[Example], gold: Ints, first: Ints, second: Ints, labels: LabelMap
) -> pd.DataFrame:
    """Rows that two files give different relations.

    Columns: id, gold, first, second, change (won = only the first is right, lost = only the second
    is, both wrong), then the row as in `confident_errors`.
    """
    lines = []
    for row in np.flatnonzero(first != second).tolist():
        change = "both wrong"
        if gold[row] in (first[row], second[row]):
            change = "won" if gold[row] == first[row] else "lost"
        lines.append(
            {
                "id": examples[row].id,
                "gold": labels.names[gold[row]],
                "first": labels.names[first[row]],
                "second": labels.names[second[row]],
                "change": change,
                **_row_cells(examples[row]),
            }
        )
    return pd.DataFrame(lines, columns=[*_CHANGE_COLUMNS, *_ROW_COLUMNS])


_ERROR_COLUMNS = ["id", "kind", "gold", "predicted", "probability", "gold_probability"]
_CHANGE_COLUMNS = ["id", "gold", "first", "second", "change"]
_ROW_COLUMNS = ["subject", "subject_type", "object", "object_type", "sentence"]


def _row_cells(example: Example) -> dict[str, str]:
    subject, object_ = example.subject, example.object
    cells = (subject.word, subject.type, object_.word, object_.type, example.sentence)
    return dict(zip(_ROW_COLUMNS, cells, strict=True))


Place = tuple[int, str]  # where a value stands among the others, and how it is shown


def _named(value: str) -> Place:
    return 0, value


def _in_bins(edges: Sequence[int], value: int) -> Place:
    """(1, "50-99") for 70, where the edges are 0, 50, 100."""
    place = bisect_right(edges, value) - 1
    if place + 1 == len(edges):
        return place, f"{edges[place]}+"
    return place, f"{edges[place]}-{edges[place + 1] - 1}"


_SLICINGS: dict[str, Callable[[Example], Place]] = {
    "entity types": lambda row: _named(type_pair(row)),
    "source": lambda row: _named(row.source or "(none)"),
    "characters of the sentence": lambda row: _in_bins(_LENGTHS, len(row.sentence)),
    "characters between the entities": lambda row: _in_bins(_DISTANCES, entity_distance(row)),
}
