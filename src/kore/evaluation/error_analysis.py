"""Where a model goes wrong: kinds of error, scores of slices, its most confident errors."""

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
BY_PAIR, SEEN, NEW = "entity pair", "is in the training file", "is new"


class ErrorKinds(NamedTuple):
    """Examples by kind of error, where no_relation is the negative class."""

    right: int
    false_relations: int  # gold no_relation, predicted a relation
    missed_relations: int  # gold a relation, predicted no_relation
    mix_ups: int  # gold a relation, predicted another one


def error_kinds(gold: Ints, predicted: Ints, labels: LabelMap) -> ErrorKinds:
    """Counts of each kind; gold and predicted (N,)."""
    kinds = pd.Series(kinds_of(gold, predicted, labels)).value_counts()
    return ErrorKinds(*(int(kinds.get(name, 0)) for name in ErrorKinds._fields))


def kinds_of(gold: Ints, predicted: Ints, labels: LabelMap) -> list[str]:
    """For each example the field of `ErrorKinds` that counts it."""
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
    """Scores of parts of the examples: a row for each value of each of `_SLICINGS`.

    Given the training examples, also by whether they hold the same pair of entities.

    Columns: by, value, rows (the number of examples), micro_f1, accuracy, false_relations,
    missed_relations, mix_ups.
    """
    slicings = dict(_SLICINGS)
    if train_examples:
        seen = {entity_pair(example) for example in train_examples}
        slicings[BY_PAIR] = lambda row: (0, SEEN) if entity_pair(row) in seen else (1, NEW)
    rows: list[dict[str, Any]] = []
    for name, bin_of in slicings.items():
        numbers_in: dict[Bin, list[int]] = {}
        for number, example in enumerate(examples):
            numbers_in.setdefault(bin_of(example), []).append(number)
        for (_, value), numbers in sorted(numbers_in.items()):
            kinds = error_kinds(gold[numbers], predicted[numbers], labels)
            rows.append(
                {
                    "by": name,
                    "value": value,
                    "rows": len(numbers),
                    "micro_f1": micro_f1(gold[numbers], predicted[numbers], labels.positive),
                    "accuracy": 100 * kinds.right / len(numbers),
                    **{field: getattr(kinds, field) for field in ErrorKinds._fields[1:]},
                }
            )
    return pd.DataFrame(rows)


def confident_errors(
    examples: Sequence[Example], gold: Ints, probs: Floats, labels: LabelMap
) -> pd.DataFrame:
    """All examples predicted wrongly, the most confident error first.

    Columns: id, kind, gold, predicted, probability, gold_probability, subject, subject_type,
    object, object_type, sentence.
    """
    predicted = probs.argmax(axis=1)
    kinds = kinds_of(gold, predicted, labels)
    wrong = np.flatnonzero(gold != predicted)
    order = wrong[np.argsort(-probs[wrong].max(axis=1), kind="stable")].tolist()
    rows = [
        {
            "id": examples[number].id,
            "kind": kinds[number],
            "gold": labels.names[gold[number]],
            "predicted": labels.names[predicted[number]],
            "probability": round(float(probs[number].max()), 4),
            "gold_probability": round(float(probs[number, gold[number]]), 4),
            **_example_cells(examples[number]),
        }
        for number in order
    ]
    return pd.DataFrame(rows, columns=[*_ERROR_COLUMNS, *_EXAMPLE_COLUMNS])


def changed_rows(
    examples: Sequence[Example], gold: Ints, first: Ints, second: Ints, labels: LabelMap
) -> pd.DataFrame:
    """Examples for which two files predict different relations.

    Columns: id, gold, first, second, change (won = only the first is right, lost = only the second
    is, both wrong), then the example as in `confident_errors`.
    """
    rows = []
    for number in np.flatnonzero(first != second).tolist():
        change = "both wrong"
        if gold[number] in (first[number], second[number]):
            change = "won" if gold[number] == first[number] else "lost"
        rows.append(
            {
                "id": examples[number].id,
                "gold": labels.names[gold[number]],
                "first": labels.names[first[number]],
                "second": labels.names[second[number]],
                "change": change,
                **_example_cells(examples[number]),
            }
        )
    return pd.DataFrame(rows, columns=[*_CHANGE_COLUMNS, *_EXAMPLE_COLUMNS])


_ERROR_COLUMNS = ["id", "kind", "gold", "predicted", "probability", "gold_probability"]
_CHANGE_COLUMNS = ["id", "gold", "first", "second", "change"]
_EXAMPLE_COLUMNS = ["subject", "subject_type", "object", "object_type", "sentence"]


def _example_cells(example: Example) -> dict[str, str]:
    subject, object_ = example.subject, example.object
    cells = (subject.word, subject.type, object_.word, object_.type, example.sentence)
    return dict(zip(_EXAMPLE_COLUMNS, cells, strict=True))


Bin = tuple[int, str]  # its place in the order of the bins, and its name


def _named(value: str) -> Bin:
    return 0, value


def _in_bins(edges: Sequence[int], value: int) -> Bin:
    """(1, "50-99") for 70, where the edges are 0, 50, 100."""
    place = bisect_right(edges, value) - 1
    if place + 1 == len(edges):
        return place, f"{edges[place]}+"
    return place, f"{edges[place]}-{edges[place + 1] - 1}"


_SLICINGS: dict[str, Callable[[Example], Bin]] = {
    "entity types": lambda row: _named(type_pair(row)),
    "source": lambda row: _named(row.source or "(none)"),
    "characters of the sentence": lambda row: _in_bins(_LENGTHS, len(row.sentence)),
    "characters between the entities": lambda row: _in_bins(_DISTANCES, entity_distance(row)),
}
