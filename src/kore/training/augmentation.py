"""Training examples -> more, or fewer, training examples; never those of validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kore.data.duplicates import Row, find_duplicates
from kore.data.schema import Example, type_pair


def without_conflicts(examples: Sequence[Example]) -> list[Example]:
    """Of examples with the same sentence and entities the first with the commonest label, or none.

    It is what the fix of the check-data command does with them.
    """
    rows = [Row(number, example) for number, example in enumerate(examples)]
    dropped = {row.line for row in find_duplicates(rows, [])}
    return [row.example for row in rows if row.line not in dropped]


def swapped(examples: Sequence[Example], inverses: Mapping[str, str]) -> list[Example]:
    """New examples: subject and object swapped, with the inverse relation.

    An example is swapped only where some example has the inverse relation between entities of such
    types, and where the swapped question is not asked already.
    """
    seen = {(example.label, type_pair(example)) for example in examples}
    asked = {(example.sentence, example.subject.span, example.object.span) for example in examples}
    made = []
    for example in examples:
        inverse = inverses.get(str(example.label))
        if inverse is None:
            continue
        new = example._replace(
            id=f"{example.id}-swapped",
            subject=example.object,
            object=example.subject,
            label=inverse,
        )
        question = (new.sentence, new.subject.span, new.object.span)
        if (inverse, type_pair(new)) in seen and question not in asked:
            made.append(new)
    return made
