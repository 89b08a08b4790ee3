"""The checks of a data set, one pure function each: rows without faults -> findings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kore.data.characters import SuspiciousCharacter, find_suspicious
from kore.data.duplicates import Row, groups_of_rows
from kore.data.particles import choose_particle
from kore.data.schema import TYPE_WORDS, Example, Span

# An entity type pair is unusual for a relation where it holds less than this share of its rows.
# So a relation of 200 rows or fewer has none. In KLUE's training rows this names 77 of 32,470,
# nearly all with a wrong type or label: the person 호찌민 as a place, "모델" as a date.
UNUSUAL_SHARE = 0.005

_SUBJECT_TYPES = {"per": "PER", "org": "ORG"}  # by what stands before the colon of a relation
_OBJECT_TYPES = {
    "per:date_of_birth": "DAT",
    "per:date_of_death": "DAT",
    "org:founded": "DAT",
    "org:dissolved": "DAT",
    "org:number_of_employees/members": "NOH",
}

# Particles and their pairs. 도 and 만 are left out: too many names end so (경기도, 이수만).
_TWO_FORMS = ("은/는", "이/가", "을/를", "과/와", "으로/로")
_ONE_FORM = ("의", "에", "에서", "에게", "께서", "까지", "부터")
_PARTICLES = dict.fromkeys(_ONE_FORM, "")
_PARTICLES |= {form: pair for pair in _TWO_FORMS for form in pair.split("/")}
_SHORTEST_NAME = 3  # letters before the particle: 신정이 is a whole name, though 신정 is one, too


class Finding(NamedTuple):
    """One problem. `lines` are those of the rows concerned, that of the row `id` first."""

    lines: tuple[int, ...]
    id: str
    column: str
    message: str


def duplicates(rows: Sequence[Row]) -> tuple[list[Finding], list[Finding]]:
    """Rows that repeat an earlier one, and groups of such rows with different labels.

    Rows are alike in sentence, subject and object. Rows without a label conflict with none.

    Returns:
        (a finding for every repeated row, one for every group with several labels).
    """
    repeats, conflicts = [], []
    for group in groups_of_rows(rows):
        first = group[0]
        shown = f"{_named(first.example)} in {_shortened(first.example.sentence)}"
        repeats += [
            Finding((row.line, first.line), row.example.id, "row", shown) for row in group[1:]
        ]
        labels = Counter(row.example.label for row in group if row.example.label is not None)
        if len(labels) > 1:
            votes = ", ".join(f"{label} ({count})" for label, count in labels.most_common())
            lines = tuple(row.line for row in group)
            conflicts.append(Finding(lines, first.example.id, "label", f"{votes}: {shown}"))
    return sorted(repeats), conflicts


def clashes(rows: Sequence[Row]) -> list[Finding]:
    """Rows whose entity types contradict the name of their relation, in KLUE's schema.

    per:… expects a person as its subject, org:… an organization, some relations a type of object.
    Only KLUE's own types are judged, so that the same names with other types (TACRED's PERSON)
    are not judged.
    """
    found = []
    for line, example in rows:
        label = example.label or ""
        expected = {
            "subject_entity": (example.subject, _SUBJECT_TYPES.get(label.partition(":")[0])),
            "object_entity": (example.object, _OBJECT_TYPES.get(label)),
        }
        for column, (entity, type_name) in expected.items():
            if type_name and entity.type in TYPE_WORDS and entity.type != type_name:
                message = (
                    f"{label} expects {type_name}, found {entity.type} {entity.word!r} in "
                    f"{_shortened(example.sentence, entity.span)}"
                )
                found.append(Finding((line,), example.id, column, message))
    return found


def unusual_types(rows: Sequence[Row], exclude: Iterable[Finding] = ()) -> list[Finding]:
    """Rows whose types are rare for their relation, in any schema; see UNUSUAL_SHARE.

    Args:
        exclude: rows of these findings are left out.
    """
    pairs: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for _, example in rows:
        if example.label is not None:
            pairs[example.label][example.subject.type, example.object.type] += 1
    totals = {label: counts.total() for label, counts in pairs.items()}
    excluded = {(finding.lines[0], finding.id) for finding in exclude}
    found = []
    for line, example in rows:
        if example.label is None or (line, example.id) in excluded:
            continue
        types = example.subject.type, example.object.type
        count, total = pairs[example.label][types], totals[example.label]
        if count < UNUSUAL_SHARE * total:
            message = (
                f"{example.label} between {types[0]} and {types[1]} ({count} of {total} rows): "
                f"{_named(example)} in {_shortened(example.sentence, example.object.span)}"
            )
            found.append(Finding((line,), example.id, "label", message))
    return found


def particle_endings(rows: Sequence[Row]) -> list[Finding]:
    """Entities that seem to include the particle behind them: 이하늘이, where 이하늘 is known.

    Of 500 subjects in KLUE lengthened by the particle that follows them, 400 are found; of the
    four found in its training rows as they are, three are right (서양화가 is a word).

    The evidence asked for: the particle's form fits the sound before it, the word without it is
    an entity of the same type in another row, and white space, a comma or a full stop follows, as
    after a particle (a bracket follows a name).
    """
    known = {(e.word, e.type) for _, row in rows for e in (row.subject, row.object)}
    found = []
    for line, example in rows:
        roles = (("subject_entity", example.subject), ("object_entity", example.object))
        for column, entity in roles:
            after = example.sentence[entity.span.end : entity.span.end + 1]
            if after not in ("", " ", ",", "."):
                continue
            for name in _without_particle(entity.word):
                if (name, entity.type) in known:
                    message = (
                        f"{entity.word!r} ends in {entity.word[len(name) :]}, and {name!r} is an "
                        f"entity elsewhere: {_shortened(example.sentence, entity.span)}"
                    )
                    found.append(Finding((line,), example.id, column, message))
                    break
    return found


def suspicious_characters(rows: Sequence[Row]) -> list[Finding]:
    """A finding for every suspicious character, the most frequent first.

    And one for all entities that begin or end in white space.
    """
    places: defaultdict[str, list[Row]] = defaultdict(list)
    kinds: dict[str, SuspiciousCharacter] = {}
    edges: list[Row] = []
    for row in rows:
        for character in find_suspicious(row.example.sentence):
            places[character.name].append(row)
            kinds[character.name] = character
        words = row.example.subject.word, row.example.object.word
        if any(word != word.strip() for word in words):
            edges.append(row)
    found = [
        _counted(at, "sentence", f"{name}, {kinds[name].kind}")
        for name, at in sorted(places.items(), key=lambda pair: -len(pair[1]))
    ]
    if edges:
        found.append(_counted(edges, "entity", "the entity's word begins or ends with white space"))
    return found


def _counted(at: Sequence[Row], column: str, what: str) -> Finding:
    lines = tuple(dict.fromkeys(row.line for row in at))
    times = "once" if len(at) == 1 else f"{len(at)} times"
    return Finding(lines, at[0].example.id, column, f"{what}: {times}")


def _without_particle(word: str) -> list[str]:
    """The word without each particle that it may end in."""
    names = ((word.removesuffix(form), form, pair) for form, pair in _PARTICLES.items())
    return [
        name
        for name, form, pair in names
        if len(name) >= _SHORTEST_NAME
        and name != word
        and not name[-1].isspace()
        and (not pair or choose_particle(name, pair) == form)
    ]


def _named(example: Example) -> str:
    return f"subject {example.subject.word!r}, object {example.object.word!r}"


def _shortened(sentence: str, around: Span | None = None) -> str:
    """At most 60 characters of a sentence, of its beginning or around a span."""
    middle = 0 if around is None else (around.start + around.end) // 2
    start = max(0, min(middle - 30, len(sentence) - 60))
    piece = sentence[start : start + 60]
    piece = "".join(c if c.isprintable() else " " for c in piece)
    return f"{'…' if start else ''}{piece}{'…' if start + 60 < len(sentence) else ''}"
