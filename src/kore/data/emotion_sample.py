"""Sentences about invented names with emotions toward them, in our own patterns; for tests alone.

"{target:은/는}" is the target with the particle that fits.
"""

from __future__ import annotations

import random
import re
from typing import Any

from kore.data.particles import choose_particle

EMOTIONS = (
    *("joy", "anticipation", "trust", "surprise"),
    *("disgust", "fear", "anger", "sadness"),
)
_PATTERNS: dict[str, tuple[str, ...]] = {
    "joy": (
        "{target:을/를} 다시 만나서 정말 기뻤다.",
        "{target} 덕분에 하루 종일 웃음이 났다.",
        "{target:이/가} 잘되어 참 행복하다.",
    ),
    "anticipation": (
        "{target:이/가} 다음에는 무엇을 보여 줄지 기다려진다.",
        "{target}의 새 소식을 손꼽아 기다리고 있다.",
        "곧 나올 {target}의 발표가 기대된다.",
    ),
    "trust": (
        "{target:은/는} 약속을 꼭 지키니 믿을 만하다.",
        "{target}에게 맡기면 마음이 놓인다.",
        "나는 {target:을/를} 굳게 믿는다.",
    ),
    "surprise": (
        "{target:이/가} 그럴 줄은 꿈에도 몰랐다.",
        "{target}의 소식에 깜짝 놀랐다.",
        "뜻밖에 {target:이/가} 나타났다.",
    ),
    "disgust": (
        "{target}의 태도는 정말 역겹다.",
        "{target:은/는} 보기만 해도 속이 메스껍다.",
        "{target}의 변명은 지긋지긋하다.",
    ),
    "fear": (
        "{target:이/가} 또 그럴까 봐 무섭다.",
        "{target:을/를} 생각하면 겁이 난다.",
        "{target}의 앞날이 두렵다.",
    ),
    "anger": (
        "{target:이/가} 한 짓에 화가 치민다.",
        "{target:은/는} 왜 사과하지 않는지 분통이 터진다.",
        "{target}의 거짓말에 분노했다.",
    ),
    "sadness": (
        "{target:을/를} 떠나보내고 눈물이 났다.",
        "{target}의 사연이 너무 슬프다.",
        "{target:이/가} 없는 자리가 허전하다.",
    ),
}
_JOINED = (("joy", "trust"), ("anger", "disgust"), ("fear", "sadness"), ("surprise", "joy"))
_PLAIN = ("{target:은/는} 어제 회의에 나왔다.", "{target}의 사무실은 3층에 있다.")
_SLOT = re.compile(r"\{target(?::([^{}]+))?\}")


def emotion_rows(count: int, names: list[str], rng: random.Random) -> list[dict[str, Any]]:
    """So many rows in the form of emotion.py, each sentence with its first name as the target.

    A tenth has no emotion, and a fifth has two.
    """
    rows = []
    for number in range(count):
        name = rng.choice(names)
        emotions: tuple[str, ...] = ()
        share = rng.random()
        if share < 0.1:
            form, begin = _filled(rng.choice(_PLAIN), name)
        else:
            emotions = rng.choice(_JOINED) if share < 0.3 else (rng.choice(EMOTIONS),)
            parts = [_filled(rng.choice(_PATTERNS[emotion]), name) for emotion in emotions]
            form, begin = " ".join(part for part, _ in parts), parts[0][1]
        target = {"form": name, "begin": begin, "end": begin + len(name)}
        output = {emotion: str(emotion in emotions) for emotion in EMOTIONS}
        row_id = f"synthetic-{number}"
        rows.append({"id": row_id, "input": {"form": form, "target": target}, "output": output})
    return rows


def _filled(pattern: str, name: str) -> tuple[str, int]:
    """The sentence, and where the name first stands."""
    begin = pattern.index("{target")

    def put(match: re.Match[str]) -> str:
        return name + (choose_particle(name, match[1]) if match[1] else "")

    return _SLOT.sub(put, pattern), begin
