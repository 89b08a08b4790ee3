"""What the service takes and gives, as JSON; FastAPI describes it at /docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from kore.common.files import read_json
from kore.common.resources import find_file
from kore.data.text_files import has_half_character


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")  # a misspelled key is no silence


def _whole(text: str) -> str:
    if has_half_character(text):
        raise ValueError("holds half of a character (a lone surrogate)")
    return text


Text = Annotated[str, AfterValidator(_whole)]


class TextIn(_Form):
    text: Text = Field(examples=["이순신은 1545년 서울에서 태어났다."])


class ExtractIn(TextIn):
    min_probability: float | None = Field(
        None, ge=0, le=1, description="less probable triples are left out; null = as served"
    )


class EntityIn(_Form):
    start: int = Field(ge=0)
    end: int = Field(gt=0, description="exclusive")
    type: str = ""


class PairIn(_Form):
    sentence: Text
    subject: EntityIn
    object: EntityIn


class TargetIn(_Form):
    begin: int = Field(ge=0)
    end: int = Field(gt=0, description="exclusive")


class JudgeIn(TextIn):
    target: TargetIn | None = None


class LabelOut(_Form):
    label: str
    is_true: bool
    probability: float


class JudgeOut(_Form):
    labels: list[LabelOut]


class Group(_Form):
    """An entity in KLUE-NER's groups."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int


class InferOut(_Form):
    input: str
    result: list[Group]


class EntityOut(_Form):
    word: str
    type: str
    start: int
    end: int
    score: float | None = None


class TripleOut(_Form):
    subject: EntityOut
    relation: str
    object: EntityOut
    probability: float


class SentenceOut(_Form):
    """Offsets are in characters of the whole text."""

    start: int
    sentence: str
    entities: list[EntityOut]
    triples: list[TripleOut]


class ExtractOut(_Form):
    sentences: list[SentenceOut]


class RelationOut(_Form):
    relation: str
    probability: float
    probs: dict[str, float]


class HealthOut(_Form):
    status: str
    version: str
    ner_model: str
    model: str
    entity_types: list[str]
    relations: list[str]
    emotions: list[str]
    min_probability: float
    max_characters: int


def klue_groups(types: Sequence[str]) -> Mapping[str, str]:
    """KLUE-NER's group for each type of a tagger; a type that KLUE-NER lacks keeps its name.

    PER -> PS, DAT -> DT (a tagger of KLUE-RE's types does not tell TI from DT); POH has no group.
    """
    groups: dict[str, str] = {}
    for group, kind in read_json(find_file("klue_types.json")).items():
        groups.setdefault(kind, group)
    return {kind: groups.get(kind, kind) for kind in types}
