"""A corpus of texts extracted by two workers of a local Ray: the triples that one process finds."""

# ruff: noqa: E402  # the imports below need Ray

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.builders import EXAMPLES
from tests.extraction.test_run import extracted, models, write_lines

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from tests.runs import as_flags

from extract_on_ray import main
from kore.common.errors import UserError
from kore.data.corpus import read_texts
from kore.extraction import ray_run
from kore.extraction.options import ExtractOnRayOptions
from kore.extraction.ray_run import TRIPLES, RayExtractor, extract_corpus
from kore.network.checkpoint import load_model, model_payload
from kore.network.tagger_file import load_tagger, tagger_payload
from kore.prediction.ray_corpus import MOST_ATTEMPTS
from kore.prediction.ray_session import ray_session

assert models  # the fixture
TEXTS = [row.sentence for row in EXAMPLES]


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    with ray_session("", 2):
        yield


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "inner").mkdir(parents=True)
    write_lines(folder / "a.txt", TEXTS[:2])
    rows = [{"id": f"글{number}", "text": text} for number, text in enumerate(TEXTS * 5)]
    write_lines(folder / "inner" / "b.jsonl", [json.dumps(row) for row in rows])
    return folder


def flags_in(folder: Path, models: Path, **changed: Any) -> dict[str, Any]:
    return {
        "input_file": folder / "corpus",
        "output_dir": folder / "ray",
        "ner_model": models / "tagger.pth",
        "model_file": models / "relations.pth",
        "min_probability": 0.0,
        "inverses": "",
        "sentences": "line",
        "precision": "fp32",
        "num_workers": 2,
        "rows_per_task": 4,
        **changed,
    }


def options_of(flags: dict[str, Any]) -> ExtractOnRayOptions:
    paths = {name: str(value) for name, value in flags.items() if isinstance(value, Path)}
    return ExtractOnRayOptions(**{**flags, **paths})


def rows_of(folder: Path) -> list[tuple[Any, ...]]:
    table = pq.read_table(folder / "ray")
    assert table.schema.remove_metadata() == TRIPLES
    return sorted(
        (
            *(row["document"], row["subject_start"], row["object_start"]),
            *(row["relation"], row["sentence"], round(row["probability"], 4)),
        )
        for row in table.to_pylist()
    )


@pytest.mark.usefixtures("session")
def test_every_triple_once(models: Path, corpus: Path, tmp_path: Path) -> None:
    main(as_flags(**flags_in(tmp_path, models)))
    records = extracted(models, tmp_path, corpus / "inner" / "b.jsonl")
    for record in records:
        record["document"] = f"inner/b.jsonl:{record['document']}"
    records += [
        {**record, "document": "a.txt"} for record in extracted(models, tmp_path, corpus)
    ]  # of a folder, .txt alone
    expected = sorted(
        (
            *(record["document"], one["subject"]["start"], one["object"]["start"]),
            *(one["relation"], record["sentence"], round(one["probability"], 4)),
        )
        for record in records
        for one in record["triples"]
    )
    assert len(expected) > 20
    assert rows_of(tmp_path) == expected


@pytest.mark.usefixtures("session")
def test_faulty_texts(models: Path, corpus: Path, tmp_path: Path) -> None:
    path = corpus / "inner" / "b.jsonl"
    write_lines(path, [json.dumps({"text": TEXTS[0]}), json.dumps({"text": 3})])
    with pytest.raises(UserError, match=r"b.jsonl:2 text: found 3, expected a text"):
        main(as_flags(**flags_in(tmp_path, models)))
    assert not (tmp_path / "ray").exists()
    main(as_flags(**flags_in(tmp_path, models, on_bad_row="skip")))
    assert {row[0] for row in rows_of(tmp_path)} == {"a.txt", "inner/b.jsonl:1"}
    (fault,) = pq.read_table(tmp_path / "ray.rejected.parquet").to_pylist()
    assert (fault["line"], fault["column"], fault["record"]) == (2, "text", '{"text": 3}')


@pytest.mark.usefixtures("session")
def test_a_file_that_changes_meanwhile(
    models: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ray_run.check_rows

    def changed(*arguments: Any) -> Any:
        checked = original(*arguments)
        write_lines(corpus / "a.txt", TEXTS)
        return checked

    monkeypatch.setattr(ray_run, "check_rows", changed)
    with pytest.raises(UserError, match="changed meanwhile; run it again"):
        main(as_flags(**flags_in(tmp_path, models)))
    assert not (tmp_path / "ray").exists()


def test_texts_that_kill_every_worker_end_the_run(
    session: None, models: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options_of(flags_in(tmp_path, models))
    payloads = ray.put(
        (
            tagger_payload(load_tagger(models / "tagger.pth")),
            model_payload(load_model(models / "relations.pth")),
        )
    )
    worker = RayExtractor(options, payloads, tmp_path)
    table = next(read_texts(corpus / "a.txt", corpus, "", 4))

    def die(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(worker, "extract", die)
        for _ in range(MOST_ATTEMPTS):
            with pytest.raises(MemoryError):
                worker(table)
        with pytest.raises(UserError, match=r"a.txt:1: a worker died 5 times over the 1 rows"):
            worker(table)


def test_faults_before_ray_is_started(models: Path, corpus: Path, tmp_path: Path) -> None:
    for changed, message in (
        ({"input_file": tmp_path / "gone.txt"}, "gone.txt: no such file"),
        ({"ner_model": models / "other.pth"}, "the tagger finds PS, LC"),
        ({"inverses": "gone.json"}, "gone.json: no such file"),
        ({"output_dir": corpus}, "is not empty"),
    ):
        with pytest.raises(UserError, match=message):
            extract_corpus(options_of(flags_in(tmp_path, models, **changed)))
