"""Training rows -> more, or fewer, training rows. Pure functions; validation rows never pass here.

In the order in which `augmented` applies them: conflicts out, subject and object swapped, entities
replaced, rare relations repeated.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kore.common.errors import UserError, nearest
from kore.common.files import read_json
from kore.common.resources import find_file
from kore.data.duplicates import Row, find_duplicates
from kore.data.particles import choose_particle
from kore.data.schema import Entity, Example, LabelMap, Span, type_pair
from kore.training.options import TrainOptions

_LOGGER = logging.getLogger(__name__)

_PARTICLE_PAIRS = ("은/는", "이/가", "을/를", "과/와", "으로/로", "이나/나", "이라/라", "이다/다")
_FORMS = {form: pair for pair in _PARTICLE_PAIRS for form in pair.split("/")}
# A particle ends its word: what follows is no Hangul.
_PARTICLE = re.compile(rf"({'|'.join(sorted(_FORMS, key=len, reverse=True))})(?![가-힣])")


def augmented(
    examples: Sequence[Example], options: TrainOptions, labels: LabelMap
) -> list[Example]:
    """The training rows that the flags ask for; what was done is told on stderr.

    Raises:
        UserError: the table of inverse relations is faulty.
    """
    rows = list(examples)
    generator = np.random.default_rng(options.seed)
    steps: list[str] = []
    if options.drop_conflicts:
        rows = without_conflicts(rows)
        steps.append(f"{len(examples) - len(rows)} repeated or conflicting rows left out")
    before = len(rows)
    if options.swap_entities:
        inverses = read_inverses(find_file(options.swap_entities), labels)
        rows += swapped(rows, inverses)
        steps.append(f"{len(rows) - before} rows swapped")
    before = len(rows)
    if options.replace_entities:
        rows += replaced(rows, round(options.replace_entities * before), generator)
        steps.append(f"{len(rows) - before} rows with replaced entities")
    before = len(rows)
    if options.oversample_to:
        rows += repeated(rows, options.oversample_to, generator)
        steps.append(f"{len(rows) - before} rows repeated")
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


def replaced(
    examples: Sequence[Example], count: int, generator: np.random.Generator
) -> list[Example]:
    """`count` new rows, each with one entity replaced by another of its role and type.

    A particle that follows takes the form that fits the new word.
    """
    words: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for row in examples:
        words["subject", row.subject.type].append(row.subject.word)
        words["object", row.object.type].append(row.object.word)
    rows = []
    for number, chosen in enumerate(generator.integers(len(examples), size=count)):
        row = examples[chosen]
        role = ("subject", "object")[generator.integers(2)]
        candidates = words[role, getattr(row, role).type]
        word = candidates[generator.integers(len(candidates))]
        rows.append(with_word(row, role, word)._replace(id=f"{row.id}-replaced{number}"))
    return rows


def with_word(example: Example, role: str, word: str) -> Example:
    """The row with another word in place of its subject or object; both spans still fit."""
    old: Entity = getattr(example, role)
    other_role = "object" if role == "subject" else "subject"
    other: Entity = getattr(example, other_role)
    start, end = old.span
    rest = example.sentence[end:]
    particle = _PARTICLE.match(rest)
    # Not over the other entity: its word must stay what it is.
    if particle and not other.span.overlaps(Span(end, end + particle.end())):
        fitting = choose_particle(word, _FORMS[particle[1]])
        if "(" not in fitting:
            rest = fitting + rest[particle.end() :]
    sentence = f"{example.sentence[:start]}{word}{rest}"
    shift = len(sentence) - len(example.sentence) if other.span.start >= end else 0
    moved = Span(other.span.start + shift, other.span.end + shift)
    entities = {
        role: Entity(word, Span(start, start + len(word)), old.type),
        other_role: other._replace(span=moved),
    }
    return example._replace(sentence=sentence, **entities)  # type: ignore[arg-type]


def repeated(
    examples: Sequence[Example], rows_wanted: int, generator: np.random.Generator
) -> list[Example]:
    """More copies of rows, until every relation has `rows_wanted`; those that have are left alone.

    No row is repeated once more often than another of its relation.
    """
    of_relation: defaultdict[str, list[Example]] = defaultdict(list)
    for row in examples:
        of_relation[str(row.label)].append(row)
    rows: list[Example] = []
    for group in of_relation.values():
        missing = max(0, rows_wanted - len(group))
        whole, part = divmod(missing, len(group))
        rows += group * whole
        rows += [group[i] for i in generator.permutation(len(group))[:part]]
    copies: Counter[str] = Counter()
    for number, row in enumerate(rows):
        copies[row.id] += 1
        rows[number] = row._replace(id=f"{row.id}-copy{copies[row.id]}")
    return rows
