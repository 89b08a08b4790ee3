"""Training rows -> more, or fewer, training rows. Pure functions; validation rows never pass here.

In the order in which `augmented` applies them: conflicts out, subject and object swapped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from kore.common.errors import UserError, nearest
from kore.common.files import read_json
from kore.common.resources import find_file
from kore.data.duplicates import Row, find_duplicates
from kore.data.schema import Example, LabelMap, type_pair
from kore.training.options import TrainOptions

_LOGGER = logging.getLogger(__name__)


def augmented(
    examples: Sequence[Example], options: TrainOptions, labels: LabelMap
) -> list[Example]:
    """The training rows that the flags ask for; what was done is told on stderr.

    Raises:
        UserError: the table of inverse relations is faulty.
    """
    rows = list(examples)
    steps: list[str] = []
    if options.drop_conflicts:
        rows = without_conflicts(rows)
        steps.append(f"{len(examples) - len(rows)} repeated or conflicting rows left out")
    before = len(rows)
    if options.swap_entities:
        inverses = read_inverses(find_file(options.swap_entities), labels)
        rows += swapped(rows, inverses)
        steps.append(f"{len(rows) - before} rows swapped")
    if steps:
        _LOGGER.info(f"Training rows: {', '.join(steps)}; {len(rows)} in all")
    return rows


def without_conflicts(examples: Sequence[Example]) -> list[Example]:
    """Of rows with the same sentence and entities the first with the commonest label, or none.

    It is what `--fix` of src/tools/check_data.py does with them.
    """
    rows = [Row(number, example) for number, example in enumerate(examples)]
    gone = {row.line for row in find_duplicates(rows, [])}
    return [row.example for row in rows if row.line not in gone]


def read_inverses(path: Path, labels: LabelMap) -> dict[str, str]:
    """{"per:parents": "per:children", …} in both directions, from a table that names one of them.

    Raises:
        UserError: it is missing or damaged, names an unknown relation or contradicts itself.
    """
    table = read_json(path)
    if not isinstance(table, dict):
        raise UserError(f'{path}: expected an object such as {{"per:parents": "per:children"}}')
    inverses: dict[str, str] = {}
    for pair in table.items():
        for name in pair:
            if name not in labels.names:
                raise UserError(
                    f"{path}: {name!r} is not one of the {len(labels)} relations; did you mean "
                    f"{nearest(str(name), labels.names)}?"
                )
        for name, inverse in (pair, pair[::-1]):
            if inverses.setdefault(name, inverse) != inverse:
                raise UserError(
                    f"{path}: contradicts itself: the inverse of {name} is {inverses[name]} and "
                    f"{inverse}; leave one of them out"
                )
    return inverses


def swapped(examples: Sequence[Example], inverses: Mapping[str, str]) -> list[Example]:
    """New rows: subject and object swapped, with the inverse relation.

    A row is swapped only where some row has the inverse relation between entities of such types,
    and where the swapped question is not asked already.
    """
    seen = {(row.label, type_pair(row)) for row in examples}
    asked = {(row.sentence, row.subject.span, row.object.span) for row in examples}
    rows = []
    for row in examples:
        inverse = inverses.get(str(row.label))
        if inverse is None:
            continue
        new = row._replace(
            id=f"{row.id}-swapped", subject=row.object, object=row.subject, label=inverse
        )
        question = (new.sentence, new.subject.span, new.object.span)
        if (inverse, type_pair(new)) in seen and question not in asked:
            rows.append(new)
    return rows
