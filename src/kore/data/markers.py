"""Example -> marked text: where the entities are, said in the text itself. Pure functions.

To add a style, write a function `(role, type_name) -> (opening, closing)` and name it in
`_STYLES`; `--marker_style` offers it once it is among that option's choices.

Typed punctuation markers follow Zhou and Chen, "An Improved Baseline for Sentence-level Relation
Extraction" (2022); marker tokens follow Baldini Soares et al., "Matching the Blanks" (2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kore.data.schema import TYPE_WORDS, Entity, Example, Role, Span

LEVITATED = "levitated"  # markers stand behind the text, see levitated.py
_WIDE_BRACKET = "［"  # U+FF3B, which stands for "[" and begins no marker token


@dataclass(frozen=True)
class MarkerScheme:
    """How entities are marked. A checkpoint carries it, so inference marks as training did.

    `types` are the entity types seen in training, sorted; an entity of any other type is marked
    without a type, which no encoder or embedding has to know. `cue`: a sentence that names both
    entities stands before the text.
    """

    use_markers: bool
    use_types: bool
    style: str
    types: tuple[str, ...]
    cue: bool = False


class MarkedEntity(NamedTuple):
    """Character spans in the marked text: `outer` holds the markers as well, `inner` does not."""

    outer: Span
    inner: Span


class MarkedText(NamedTuple):
    """What an encoder reads: each of `lead` as a segment of its own, then `text`.

    Only `text` holds the entities that the spans point to.
    """

    lead: tuple[str, ...]
    text: str
    subject: MarkedEntity
    object: MarkedEntity


def mark(example: Example, scheme: MarkerScheme) -> MarkedText:
    """Marks both entities; without markers, the words of both lead the sentence.

    Levitated markers leave the text as it is; `levitated_markers` names them.

    The entities of `example` must not overlap; reading has made sure of that. What looks like a
    marker token in the example itself does not become one.
    """
    example = _without_marker_tokens(example, scheme)
    subject, object_ = example.subject, example.object
    if not scheme.use_markers or scheme.style == LEVITATED:
        return MarkedText(
            () if scheme.use_markers else (subject.word, object_.word),
            example.sentence,
            MarkedEntity(subject.span, subject.span),
            MarkedEntity(object_.span, object_.span),
        )
    parts: list[str] = []
    spans: dict[Role, MarkedEntity] = {}
    roles: list[tuple[Role, Entity]] = [("subject", subject), ("object", object_)]
    roles.sort(key=lambda pair: pair[1].span)
    position = 0  # in the sentence
    length = 0  # of the marked text so far
    for role, entity in roles:
        before = example.sentence[position : entity.span.start]
        word = example.sentence[entity.span.start : entity.span.end]
        opening, closing = _STYLES[scheme.style](role, _type_name(entity, scheme))
        start = length + len(before)
        inner = Span(start + len(opening), start + len(opening) + len(word))
        spans[role] = MarkedEntity(Span(start, inner.end + len(closing)), inner)
        parts += [before, opening, word, closing]
        length = spans[role].outer.end
        position = entity.span.end
    text = "".join([*parts, example.sentence[position:]])
    lead = (_cue(example, scheme),) if scheme.cue else ()
    return MarkedText(lead, text, spans["subject"], spans["object"])


def mark_target(text: str, target: Span) -> tuple[str, MarkedEntity]:
    """A text with its one target marked as a subject of no type, and where that then is."""
    opening, closing = _punctuation_markers("subject", None)
    word = text[target.start : target.end]
    marked = f"{text[: target.start]}{opening}{word}{closing}{text[target.end :]}"
    inner = Span(target.start + len(opening), target.end + len(opening))
    return marked, MarkedEntity(Span(target.start, inner.end + len(closing)), inner)


def _without_marker_tokens(example: Example, scheme: MarkerScheme) -> Example:
    """The example with a wide bracket in place of the first of each "[E1-PER]" it holds.

    The length stays the same, so that the entities' spans do as well.
    """
    found = [token for token in marker_tokens(scheme) if token in example.sentence]
    for token in found:
        text = f"{_WIDE_BRACKET}{token[1:]}"
        subject, object_ = (
            entity._replace(word=entity.word.replace(token, text))
            for entity in (example.subject, example.object)
        )
        sentence = example.sentence.replace(token, text)
        example = example._replace(sentence=sentence, subject=subject, object=object_)
    return example


def _cue(example: Example, scheme: MarkerScheme) -> str:
    """`@ * 단체 * 비틀즈 @ 와 # ^ 사람 ^ 조지 해리슨 # 의 관계`: what is asked, in words."""
    roles: list[tuple[Role, Entity]] = [("subject", example.subject), ("object", example.object)]
    marked = []
    for role, entity in roles:
        opening, closing = _STYLES[scheme.style](role, _type_name(entity, scheme))
        marked.append(f"{opening}{entity.word}{closing}")
    return f"{marked[0]} 와 {marked[1]} 의 관계"


def marker_tokens(scheme: MarkerScheme) -> list[str]:
    """The tokens that `scheme` adds to a vocabulary, in a fixed order; none for `punct`."""
    if not scheme.use_markers or scheme.style not in ("special", LEVITATED):
        return []
    names: list[str | None] = [None, *(scheme.types if scheme.use_types else ())]
    roles: tuple[Role, Role] = ("subject", "object")
    return [token for role in roles for name in names for token in _special_markers(role, name)]


def levitated_markers(example: Example, scheme: MarkerScheme) -> tuple[str, ...]:
    """The opening and the closing marker of the subject, then those of the object."""
    roles: list[tuple[Role, Entity]] = [("subject", example.subject), ("object", example.object)]
    return tuple(
        token
        for role, entity in roles
        for token in _special_markers(role, _type_name(entity, scheme))
    )


def marker_meanings(scheme: MarkerScheme) -> dict[str, str]:
    """For each levitated marker the punctuation marker of its role and type, as a text.

    An encoder knows those words; the marker's embedding begins as their mean.
    """
    names: list[str | None] = [None, *(scheme.types if scheme.use_types else ())]
    roles: tuple[Role, Role] = ("subject", "object")
    return {
        token: text
        for role in roles
        for name in names
        for token, text in zip(
            _special_markers(role, name), _punctuation_markers(role, name), strict=True
        )
    }


def marker_text() -> str:
    """All that punctuation markers may hold, so that a vocabulary can be made to know it."""
    roles: tuple[Role, Role] = ("subject", "object")
    return " ".join(
        "".join(_punctuation_markers(role, name)) for role in roles for name in TYPE_WORDS
    )


def _type_name(entity: Entity, scheme: MarkerScheme) -> str | None:
    return entity.type if scheme.use_types and entity.type in scheme.types else None


def _punctuation_markers(role: Role, type_name: str | None) -> tuple[str, str]:
    """`@ * 단체 * ` and ` @` around a subject, `# ^ 사람 ^ ` and ` #` around an object."""
    outer, inner = ("@", "*") if role == "subject" else ("#", "^")
    if type_name is None:
        return f"{outer} ", f" {outer}"
    return f"{outer} {inner} {TYPE_WORDS.get(type_name, type_name)} {inner} ", f" {outer}"


def _special_markers(role: Role, type_name: str | None) -> tuple[str, str]:
    """`[E1-ORG]` and `[/E1-ORG]` around a subject, `[E2-PER]` and `[/E2-PER]` around an object."""
    name = "E1" if role == "subject" else "E2"
    if type_name is not None:
        name = f"{name}-{type_name}"
    return f"[{name}]", f"[/{name}]"


_STYLES = {"punct": _punctuation_markers, "special": _special_markers}
