"""Makes examples in the form of KLUE-RE out of invented names and our own sentence patterns.

The examples serve to try every command before real data is at hand, and to test them. They are far
easier than real text: a score reached on them says nothing about quality.

pattern -> words chosen -> names drawn and written in, spans noted on the way -> example -> files
"""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kore.common.errors import UserError
from kore.common.files import atomic_write
from kore.data.emotion_sample import emotion_rows
from kore.data.ner import TaggedText, write_klue
from kore.data.options import SampleOptions
from kore.data.particles import choose_particle
from kore.data.records import write_examples
from kore.data.sample_templates import KINDS, LEAD_INS, PATTERNS, SPELLINGS, TRAILS, PatternSet
from kore.data.schema import BLIND_LABEL, Entity, Example, Span

SOURCE = "synthetic"
NER_FILE = "ner_data.tsv"
EMOTION_FILE = "emotion_data.jsonl"
NUM_EMOTION_ROWS = 400
NO_RELATION = "no_relation"
NUM_TEST_ROWS = 200
VALID_SHARE = 0.2
NO_RELATION_SHARE = 1 / 3
LEAD_IN_SHARE = 0.4
TRAIL_SHARE = 0.3
LENGTHS = range(20, 121)  # characters of a sentence
MAX_TRIES = 1000

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{([a-z_]*)(?::([^{}]+))?\}")


@dataclass(frozen=True)
class Name:
    """A drawn name with the parts it was put together from."""

    text: str
    entity_type: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    train: list[Example]
    valid: list[Example]
    test: list[Example]


def make_sample(num_rows: int, seed: int) -> Sample:
    """Examples of all relations: `num_rows` with 80 % for training, and 200 more for the test.

    About a third is no_relation, the rest is dealt evenly. No sentence occurs twice. The same
    `num_rows` and `seed` give the same examples.

    Raises:
        ValueError: `num_rows` is too small for every relation to be in both labelled parts.
    """
    num_valid = round(num_rows * VALID_SHARE)
    rng = random.Random(seed)
    seen: set[str] = set()
    train = _make_rows(num_rows - num_valid, rng, seen)
    valid = _make_rows(num_valid, rng, seen)
    return Sample(train, valid, _make_rows(NUM_TEST_ROWS, rng, seen))


def fill_pattern(
    pattern: str, subject_kind: str, object_kind: str, rng: random.Random
) -> tuple[str, Entity, Entity]:
    """The sentence a pattern becomes, with its subject and object.

    Their spans are noted as the sentence grows: searching for a name afterwards could find the
    wrong place.
    """
    pattern = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), pattern)
    subject = draw_name(subject_kind, rng)
    names = {"subject": subject, "object": draw_name(object_kind, rng, subject)}
    marked: dict[str, Entity] = {}
    taken = [name.text for name in names.values()]
    sentence, done = "", 0
    for slot in _SLOT.finditer(pattern):
        sentence += pattern[done : slot.start()]
        done = slot.end()
        key, pair = slot[1], slot[2]
        if key in names:
            start = len(sentence)
            sentence += names[key].text
            marked[key] = Entity(
                names[key].text, Span(start, len(sentence)), names[key].entity_type
            )
        elif key:
            sentence += _draw_other(key, rng, taken)
        if pair:
            sentence += choose_particle(sentence, pair)
    return sentence + pattern[done:], marked["subject"], marked["object"]


def draw_name(kind_name: str, rng: random.Random, subject: Name | None = None) -> Name:
    """A name of a kind; of a derived kind, one made from the subject's parts."""
    kind = KINDS[kind_name]
    if kind.derived:
        assert subject is not None, f"{kind_name} is derived from the subject"
        derive = {"alias": _draw_alias, "relative": _draw_relative}[kind.derived]
        return derive(subject, rng)
    while True:
        form = rng.choices(kind.forms, [form.weight for form in kind.forms])[0]
        parts = tuple(rng.choice(choices) for choices in form.parts)
        if len(parts) == 1 or not parts[1].startswith(parts[0]):  # no stuttering 민민하
            return Name("".join(parts), kind.entity_type, parts)


def label_counts(num_rows: int, rng: random.Random) -> dict[str, int]:
    """How many examples each relation gets; which ones get one more than others is drawn.

    Raises:
        ValueError: there are fewer examples than relations.
    """
    relations = [label for label in PATTERNS if label != NO_RELATION]
    num_negative = max(1, round(num_rows * NO_RELATION_SHARE))
    each, rest = divmod(num_rows - num_negative, len(relations))
    if each < 1:
        raise ValueError(f"{num_rows} rows are too few for {len(PATTERNS)} relations")
    favoured = rng.sample(relations, rest)
    return {label: each + (label in favoured) for label in relations} | {NO_RELATION: num_negative}


def _make_rows(num_rows: int, rng: random.Random, seen: set[str]) -> list[Example]:
    """Examples in random order whose sentences are not in `seen`, to which they are added."""
    rows = []
    for label, count in label_counts(num_rows, rng).items():
        rows += [_make_row(label, rng, seen) for _ in range(count)]
    rng.shuffle(rows)
    return [row._replace(id=str(number)) for number, row in enumerate(rows)]


def _make_row(label: str, rng: random.Random, seen: set[str]) -> Example:
    for _ in range(MAX_TRIES):
        pattern_set, text = rng.choice(list(patterns_of(label)))
        lead_in = rng.choice(LEAD_INS) if rng.random() < LEAD_IN_SHARE else ""
        trail = rng.choice(TRAILS) if rng.random() < TRAIL_SHARE else ""
        kinds = rng.choice(pattern_set.subject), rng.choice(pattern_set.object)
        sentence, subject, object_ = fill_pattern(lead_in + text + trail, *kinds, rng)
        distinct = KINDS[kinds[1]].derived == "alias" or not _overlap(subject.word, [object_.word])
        if distinct and len(sentence) in LENGTHS and sentence not in seen:
            seen.add(sentence)
            return Example("", sentence, subject, object_, label, SOURCE)
    raise RuntimeError(f"no new sentence for {label} in {MAX_TRIES} tries")


def patterns_of(label: str) -> Iterator[tuple[PatternSet, str]]:
    """Every pattern of a relation with the set it belongs to."""
    for pattern_set in PATTERNS[label]:
        for text in pattern_set.texts:
            yield pattern_set, text


def _draw_other(kind_name: str, rng: random.Random, taken: list[str]) -> str:
    """An unmarked name that neither contains a name in `taken` nor is part of one; added to it."""
    while True:
        text = draw_name(kind_name, rng).text
        if not _overlap(text, taken):
            taken.append(text)
            return text


def _overlap(text: str, others: Sequence[str]) -> bool:
    return any(text in other or other in text for other in others)


def _draw_relative(subject: Name, rng: random.Random) -> Name:
    """Another person with the subject's family name."""
    while True:
        name = draw_name("korean", rng)
        relative = (subject.parts[0], name.parts[1])
        if name.parts[1] not in subject.parts and not relative[1].startswith(relative[0]):
            return Name("".join(relative), name.entity_type, relative)


def _draw_alias(subject: Name, rng: random.Random) -> Name:
    """Another spelling of the subject, part by part."""
    aliases = [
        separator.join(spelling[part] for part in subject.parts)
        for separator, spelling in SPELLINGS
        if all(part in spelling for part in subject.parts)
    ]
    return Name(rng.choice(aliases), subject.entity_type, subject.parts)


def write_sample(options: SampleOptions) -> None:
    """Writes the files and prints what they hold.

    Raises:
        UserError: other data stands in their place, or they cannot be written.
    """
    folder = Path(options.data_dir)
    names = ("train_data.csv", "valid_data.csv", "test_data.csv", "test_gold.csv", NER_FILE)
    _refuse_foreign_files([folder / name for name in (*names, EMOTION_FILE)])
    sample = make_sample(options.num_rows, options.seed)
    blind = [row._replace(label=BLIND_LABEL) for row in sample.test]
    for name, rows in zip(names, (sample.train, sample.valid, blind, sample.test), strict=False):
        write_examples(folder / name, rows)
    write_klue(folder / NER_FILE, (tagged_row(row) for row in sample.train))
    people = sorted({row.subject.word for row in sample.train if row.subject.type == "PER"})
    with atomic_write(folder / EMOTION_FILE) as file:
        for row in emotion_rows(NUM_EMOTION_ROWS, people, random.Random(options.seed)):
            file.write(f"{json.dumps(row, ensure_ascii=False)}\n")
    print(
        f"{folder}: train_data.csv ({len(sample.train)} rows), valid_data.csv "
        f"({len(sample.valid)}), test_data.csv ({len(sample.test)}, labels hidden), test_gold.csv "
        f"(the same rows, labels shown), {NER_FILE} (the sentences of train_data.csv with the tags "
        f"of their two entities), {EMOTION_FILE} ({NUM_EMOTION_ROWS} sentences, emotions toward "
        "a person)\n"
        "All rows are synthetic: invented names in our own sentence patterns. Scores on them say "
        "nothing about quality on real text."
    )


def _refuse_foreign_files(paths: Sequence[Path]) -> None:
    """Stops before somebody's real data is replaced: only files made here may be.

    Raises:
        UserError: a file is there whose first example is not one of ours.
    """
    foreign = [str(path) for path in paths if path.exists() and not _is_ours(path)]
    if foreign:
        raise UserError(
            f"{', '.join(foreign)} would be replaced, but does not look like sample data; "
            "name another folder with `data_dir`"
        )


def tagged_row(row: Example) -> TaggedText:
    """The sentence of an example with its two entities."""
    entities = sorted((row.subject, row.object), key=lambda entity: entity.span)
    return TaggedText(f"{SOURCE}-{row.id}", row.sentence, tuple(entities))


def _is_ours(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        if path.name == NER_FILE:
            return file.readline().startswith(f"## {SOURCE}-")
        if path.name == EMOTION_FILE:
            return file.readline().startswith(f'{{"id": "{SOURCE}-')
        try:
            first_row = next(csv.DictReader(file), None)
        except csv.Error:
            return False
    return first_row is not None and first_row.get("source") == SOURCE
