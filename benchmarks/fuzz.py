"""Mutated files and bodies into everything that reads: always an answer or one sentence.

    python benchmarks/fuzz.py --seconds 600

Every reader gets valid content that is then broken in a few random places (bytes changed, cut,
doubled, moved; numbers, brackets, quotes, encodings exchanged), and hostile content: pickles and
cells that would run a command. It has to return or to raise `UserError`, within `--limit` seconds;
anything else is printed with the smallest content that Hypothesis finds, which stays in
`--keep_dir`, and the exit status is 1. The readers take turns until the time is over. `--seed`
gives the same mutations again.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import pickle
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pyarrow import parquet

import _path  # noqa: F401
from kore.common.errors import UserError
from kore.conversion.formats import Reading, convert
from kore.data.emotion import read_judged
from kore.data.inverses import read_inverses
from kore.data.label_files import load_label_map, read_label_names
from kore.data.ner import read_tagged
from kore.data.rows import check_records, read_examples
from kore.data.texts import iter_texts
from kore.network.checkpoint import load_model
from kore.network.hf_folder import load_folder
from kore.network.shipped import RELATION_MODEL, resolve
from kore.prediction.predictions import read_submission

REPOSITORY = Path(__file__).parents[1]
CHECKPOINT = REPOSITORY / "tests" / "assets" / "kore_0_5_1.pth"
LABELS = load_label_map("dict_label_to_num.pkl")

Read = Callable[[Path], object]


class Reader(NamedTuple):
    """What reads files of a suffix, and valid content of such a file."""

    suffix: str
    content: bytes
    read: Read


class Runs:
    """Pickled, it is a command that makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return open, (str(self.canary), "w")


ENTITY = {"word": "비틀즈", "start_idx": 0, "end_idx": 2, "type": "ORG"}
OTHER = {"word": "조지 해리슨", "start_idx": 5, "end_idx": 10, "type": "PER"}
ROW = {
    "id": "1",
    "sentence": "비틀즈의 조지 해리슨은 가수다.",
    "subject_entity": ENTITY,
    "object_entity": OTHER,
    "label": "org:members",
}
TACRED = {
    "id": "1", "token": ["비틀즈", "의", "가수"], "subj_start": 0, "subj_end": 0, "obj_start": 2,
    "obj_end": 2, "subj_type": "ORG", "obj_type": "POH", "relation": "a",
}  # fmt: skip
DOCCANO = {
    "id": 1,
    "text": "비틀즈의 조지",
    "entities": [
        {"id": 0, "label": "ORG", "start_offset": 0, "end_offset": 3},
        {"id": 1, "label": "PER", "start_offset": 5, "end_offset": 7},
    ],
    "relations": [{"from_id": 0, "to_id": 1, "type": "members"}],
}


TOKENS = ["비틀즈", "의", "조지"]
SPERT = {
    "tokens": TOKENS,
    "entities": [{"type": "ORG", "start": 0, "end": 1}, {"type": "PER", "start": 2, "end": 3}],
    "relations": [{"type": "members", "head": 0, "tail": 1}],
}
SCIERC = {
    "doc_key": "d",
    "sentences": [TOKENS],
    "ner": [[[0, 0, "ORG"], [2, 2, "PER"]]],
    "relations": [[[0, 0, 2, 2, "members"]]],
}
DOCRED = {
    "title": "d",
    "sents": [TOKENS],
    "vertexSet": [
        [{"name": "비틀즈", "pos": [0, 1], "sent_id": 0, "type": "ORG"}],
        [{"name": "조지", "pos": [2, 3], "sent_id": 0, "type": "PER"}],
    ],
    "labels": [{"h": 0, "t": 1, "r": "members"}],
}
LABEL_STUDIO = {
    "id": 1,
    "data": {"text": "비틀즈의 조지"},
    "annotations": [
        {
            "result": [
                {"id": "a", "type": "labels", "value": {"start": 0, "end": 3, "labels": ["ORG"]}},
                {"id": "b", "type": "labels", "value": {"start": 5, "end": 7, "labels": ["PER"]}},
                {"type": "relation", "from_id": "a", "to_id": "b", "labels": ["members"]},
            ]
        }
    ],
}
MARKED = "id,text,label\n1,<e1>비틀즈</e1>의 <e2>조지</e2>,members\n"


def as_json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=1).encode()


def as_lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    import csv

    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def as_parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows)), file)
    return file.getvalue()


def converted(path: Path) -> object:
    _, records = convert(path, reading=Reading("no_relation"))
    return check_records(str(path), records, need_labels=True)


def readers() -> dict[str, Reader]:
    rows = [{**ROW, "id": str(number)} for number in range(3)]
    labelled = partial(read_examples, need_labels=True)
    probs = [round(1 / 30, 6)] * 30
    submission = [{"id": row["id"], "pred_label": "no_relation", "probs": probs} for row in rows]
    tagged = {"text": "이순신은 서울", "entities": [{"start": 0, "end": 3, "type": "PS"}]}
    judged = {
        "id": "1",
        "input": {"form": "비틀즈가 좋다", "target": {"form": "비틀즈", "begin": 0, "end": 3}},
        "output": {"joy": "True", "fear": "False"},
    }
    numbers = {name: number for number, name in enumerate(LABELS.names)}
    tsv = "## 1\n이\tB-PS\n순\tI-PS\n신\tI-PS\n은\tO\n\n## 2\n가\tO\n".encode()
    return {
        "csv": Reader(".csv", as_csv(rows), labelled),
        "csv.gz": Reader(".csv.gz", gzip.compress(as_csv(rows)), labelled),
        "json": Reader(".json", as_json(rows), labelled),
        "jsonl": Reader(".jsonl", as_lines(*rows), labelled),
        "parquet": Reader(".parquet", as_parquet(rows), labelled),
        "table": Reader(".csv", as_csv(rows).replace(b"subject_entity", b"head"), converted),
        "tacred": Reader(".json", as_json([TACRED]), converted),
        "spert": Reader(".json", as_json([SPERT]), converted),
        "scierc": Reader(".jsonl", as_lines(SCIERC), converted),
        "docred": Reader(".json", as_json([DOCRED]), converted),
        "label studio": Reader(".json", as_json([LABEL_STUDIO]), converted),
        "marked": Reader(".csv", MARKED.encode(), converted),
        "doccano": Reader(".jsonl", as_lines(DOCCANO, {**DOCCANO, "id": 2}), converted),
        "converted parquet": Reader(".parquet", as_parquet(rows), converted),
        "klue-ner": Reader(".tsv", tsv, read_tagged),
        "conll": Reader(".conll", "이순신 B-PS\n은 O\n".encode(), read_tagged),
        "tagged jsonl": Reader(".jsonl", as_lines(tagged, tagged), read_tagged),
        "judged": Reader(".jsonl", as_lines(judged, {**judged, "id": "2"}), read_judged),
        "texts": Reader(".txt", "가나다\n라마바\n".encode(), lambda path: list(iter_texts(path))),
        "text csv": Reader(".csv", b"id,text\n1,a\n", lambda path: list(iter_texts(path))),
        "labels pkl": Reader(".pkl", pickle.dumps(numbers), read_label_names),
        "labels json": Reader(".json", as_json(numbers), read_label_names),
        "inverses": Reader(
            ".json", b'{"org:members": "org:member_of"}', lambda path: read_inverses(path, LABELS)
        ),
        "predictions": Reader(
            ".csv", as_csv(submission), lambda path: read_submission(path, LABELS)
        ),
        "checkpoint": Reader(".pth", CHECKPOINT.read_bytes(), load_model),
        "kore.json": Reader(
            ".json", (Path(resolve(RELATION_MODEL)) / "kore.json").read_bytes(), load_with_kore_json
        ),
        "HTTP": Reader(".body", as_json({"text": "비틀즈의 조지"}), Service()),
    }


def load_with_kore_json(path: Path) -> object:
    """A folder of the model that ships, with another description."""
    with tempfile.TemporaryDirectory() as folder:
        for file in Path(resolve(RELATION_MODEL)).iterdir():
            (Path(folder) / file.name).symlink_to(path if file.name == "kore.json" else file)
        return load_folder(Path(folder))


class Service:
    """Every route gets the bytes as a body, and answers with a status below 500."""

    def __init__(self) -> None:
        self._client: Any = None

    def __call__(self, path: Path) -> object:
        if self._client is None:
            self._client = make_client()
        for route in ("/infer", "/extract", "/predict", "/emotion"):
            answer = self._client.post(
                route, content=path.read_bytes(), headers={"Content-Type": "application/json"}
            )
            if answer.status_code >= 500:
                raise AssertionError(f"{route} answered {answer.status_code}: {answer.text}")
            answer.json()
        return None


def make_client() -> Any:
    from fastapi.testclient import TestClient

    from kore.common.flags import AUTO
    from kore.extraction.assembly import make_extractor
    from kore.network.shipped import TAGGER
    from kore.network.tagger_file import load_tagger
    from kore.prediction.api import Model, compute_on
    from kore.serve.app import make_app
    from kore.serve.options import LimitOptions
    from kore.serve.reader import Reader as Models

    cpu = compute_on("cpu", AUTO)
    tagger, relations = (
        load_tagger(Path(resolve(TAGGER))),
        load_model(Path(resolve(RELATION_MODEL))),
    )
    models = Models(
        tagger, make_extractor(tagger, relations, cpu), Model(relations, cpu), ("tagger", "model")
    )
    client = TestClient(
        make_app(models, LimitOptions(max_characters=300)), raise_server_exceptions=False
    )
    return client.__enter__()


# What is put in place of some bytes, or between them.
PIECES = [
    *(b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"\r", b"\t", b'"', b"'", b","),
    *(b"{", b"}", b"[", b"]", b":", b"-1", b"1e999", b"9" * 400, b"NaN", b"null", b"true"),
    *(b"1.5", b"\\ud800", b"\\", b"[" * 2000, "가".encode("cp949"), "\u1100\u1161".encode()),
    *("\U0001f600".encode(), "\u202e".encode(), b"B-", b"I-XX", b"##", b"np.int64(3)"),
    b"__import__('os')",
]
IS_CUT = st.sampled_from([False] * 7 + [True])
MUTATION = st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES), IS_CUT)
MUTATIONS = st.lists(MUTATION, min_size=1, max_size=4)


def mutated(content: bytes, mutations: Sequence[tuple[float, int, bytes, bool]]) -> bytes:
    """Each replaces some bytes at a place by a piece, or cuts off what follows."""
    for place, length, piece, is_cut in mutations:
        at = int(place * len(content))
        content = content[:at] + piece + (b"" if is_cut else content[at + length :])
    return content


class HangError(Exception):
    """A reader took too long."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    def stop(number: int, frame: Any) -> None:
        raise HangError(f"no answer within {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def answer_of(reader: Reader, path: Path, limit: int) -> str:
    """ "read" or "refused"; anything but that is raised."""
    with limited(limit), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            reader.read(path)
        except UserError as error:
            if not str(error).strip():
                raise AssertionError("an empty message") from error
            return "refused"
        except OSError as error:  # of the operating system, which commands report in a sentence
            if error.errno is None:
                raise
            return "refused"
    return "read"


def hostile(canary: Path) -> dict[str, bytes]:
    """Content that would make the canary if anything in it were run."""
    command = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    cell = {**ROW, "subject_entity": command, "label": command}
    pickled = pickle.dumps({"a": Runs(canary), "b": 1})
    return {
        "csv": as_csv([cell]),
        "table": as_csv([cell]).replace(b"subject_entity", b"head"),
        "labels pkl": pickled,
        "checkpoint": pickled,
        "predictions": as_csv([{"id": "1", "pred_label": "a", "probs": command}]),
    }


def fuzz(
    name: str, reader: Reader, folder: Path, examples: int, number: int, limit: int
) -> Counter[str]:
    """Counts of answers to so many mutations; raises what is neither, with the smallest content."""
    counts: Counter[str] = Counter()
    path = folder / f"{name.replace(' ', '_')}{reader.suffix}"

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(MUTATIONS)
    def run(mutations: list[tuple[float, int, bytes, bool]]) -> None:
        path.write_bytes(mutated(reader.content, mutations))
        counts[answer_of(reader, path, limit)] += 1

    run()
    return counts


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--limit", type=int, default=20, help="seconds of one answer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="*", help="some of them alone")
    parser.add_argument("--keep_dir", default="", help="where faulty content stays")
    chosen = parser.parse_args(arguments)
    end = time.monotonic() + chosen.seconds
    folder = Path(chosen.keep_dir or tempfile.mkdtemp(prefix="kore-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    known = {
        name: reader for name, reader in readers().items() if name in (chosen.readers or [name])
    }
    counts: dict[str, Counter[str]] = {name: Counter() for name in known}
    faulty: list[str] = []
    for name, reader in known.items():  # valid content first
        path = folder / f"valid_{name.replace(' ', '_')}{reader.suffix}"
        path.write_bytes(reader.content)
        assert answer_of(reader, path, 60) == "read", name
    canary = folder / "canary"
    for name, content in hostile(canary).items():
        if name in known:
            path = folder / f"hostile_{name.replace(' ', '_')}{known[name].suffix}"
            path.write_bytes(content)
            if answer_of(known[name], path, chosen.limit) == "read" or canary.exists():
                faulty.append(f"{name}: hostile content was taken: {path}")
    rounds = 0
    while time.monotonic() < end and not faulty:
        for name, reader in known.items():
            if time.monotonic() >= end:
                break
            examples = 5 if reader.suffix in (".pth", ".body") or name == "kore.json" else 40
            number = chosen.seed * 1_000_000 + rounds
            try:
                counts[name] += fuzz(name, reader, folder, examples, number, chosen.limit)
            except Exception as error:
                faulty.append(f"{name}, seed {number}: {type(error).__name__}: {error}")
        rounds += 1
    print("| reader | read | refused |\n|---|---|---|")
    for name, count in counts.items():
        print(f"| {name} | {count['read']} | {count['refused']} |")
    print(json.dumps({"counts": counts, "faulty": faulty}))
    if faulty:
        print("\n".join([*faulty, f"the content is in {folder}"]), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
