"""`kore tag`: texts of every form in, JSON lines out; offsets are the input's, a run resumes."""

from __future__ import annotations

import gzip
import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from tests.builders import EXAMPLES, make_trained
from tests.network.test_tagger import make_tagger
from tests.runs import as_flags

import export
import inference_ner
from kore.common.errors import UserError
from kore.data.ner import TaggedText, read_tagged, write_klue
from kore.data.schema import Entity, Span
from kore.data.tagging import composed
from kore.network.checkpoint import load_model, save_model, save_payload
from kore.network.tagger_file import TAGGER_KIND, load_tagger, tagger_payload
from kore.prediction import tag_run, text_stream
from kore.prediction.tagging import find_entities

TEXTS = [row.sentence for row in EXAMPLES]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tagger.pth"
    save_payload(path, TAGGER_KIND, tagger_payload(make_tagger("modernbert", max_length=24)))
    return path


def tag(model: Path, folder: Path, test_file: Path, **flags: Any) -> list[dict[str, Any]]:
    chosen = {
        "model_file": model,
        "test_file": test_file,
        "output_dir": folder / "outputs",
        "output_name": "out.jsonl",
        "precision": "fp32",
        **flags,
    }
    inference_ner.main(as_flags(**chosen))
    output = folder / "outputs" / str(chosen["output_name"])
    raw = output.read_bytes()
    text = gzip.decompress(raw) if output.suffix == ".gz" else raw
    return [json.loads(line) for line in text.decode().splitlines()]


def write_lines(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def test_every_form_of_file_gives_the_same_entities(model: Path, tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "a.txt", [TEXTS[0], "", *TEXTS[1:]])
    found = tag(model, tmp_path, lines)
    assert [row["input"] for row in found] == TEXTS
    assert [row["id"] for row in found] == ["1", *map(str, range(3, len(TEXTS) + 2))]
    assert any(row["result"] for row in found)
    for row in found:
        end = 0
        for entity in row["result"]:
            assert entity["word"] == row["input"][entity["start"] : entity["end"]]
            assert end <= entity["start"] < entity["end"]
            assert 0 < entity["score"] <= 1
            assert entity["entity_group"] in ("PS", "LC")
            end = entity["end"]
    as_json = tmp_path / "a.jsonl"
    write_lines(as_json, [json.dumps({"id": f"r{i}", "text": t}) for i, t in enumerate(TEXTS)])
    table = pyarrow.table({"body": TEXTS, "id": [f"r{i}" for i in range(len(TEXTS))]})
    parquet.write_table(table, tmp_path / "a.parquet")
    results = [row["result"] for row in found]
    write_klue(tmp_path / "a.tsv", [TaggedText(f"t{i}", t, ()) for i, t in enumerate(TEXTS)])
    tagged = tag(model, tmp_path, tmp_path / "a.tsv")
    assert [(row["id"], row["result"]) for row in tagged] == [
        (f"t{number}", result) for number, result in enumerate(results)
    ]
    again = tag(model, tmp_path, as_json, output_name="b.jsonl.gz")
    assert [row["result"] for row in again] == results
    assert again[0]["id"] == "r0"
    columns = tag(model, tmp_path, tmp_path / "a.parquet", text_column="body")
    assert [row["result"] for row in columns] == results


def test_an_entity_has_no_space_at_its_ends() -> None:
    tags = ("O", "B-PS", "I-PS")
    text = " 가 나 "
    probs = np.full((5, 3), 0.1)
    probs[[0, 1, 2, 3, 4], [1, 2, 2, 2, 2]] = 0.8
    (hit,) = find_entities(text, composed(text), probs, tags)
    assert hit.entity == Entity("가 나", Span(1, 4), "PS")
    assert find_entities("  ", composed("  "), probs[:2], tags) == []


@pytest.mark.parametrize(("text", "words"), [(",*", []), ("½", ["½"]), ("&B", ["&B"])])
def test_mere_punctuation_is_no_entity(text: str, words: list[str]) -> None:
    probs = np.tile([0.1, 0.1, 0.8], (len(text), 1))
    probs[0] = [0.1, 0.8, 0.1]
    found = find_entities(text, composed(text), probs, ("O", "B-PS", "I-PS"))
    assert [hit.entity.word for hit in found] == words


def test_offsets_are_those_of_the_text_as_it_is(model: Path, tmp_path: Path) -> None:
    """Decomposed, as macOS writes it: the same entities, cut out of the text that was given."""
    composed = tag(model, tmp_path, write_lines(tmp_path / "a.txt", TEXTS))
    decomposed = [unicodedata.normalize("NFD", text) for text in TEXTS]
    found = tag(model, tmp_path, write_lines(tmp_path / "b.txt", decomposed))
    assert decomposed != TEXTS
    for text, one, other in zip(decomposed, composed, found, strict=True):
        words = [entity["word"] for entity in other["result"]]
        assert [unicodedata.normalize("NFC", word) for word in words] == [
            entity["word"] for entity in one["result"]
        ]
        assert all(text[e["start"] : e["end"]] == e["word"] for e in other["result"])


def test_results_can_be_read_as_labelled_texts(model: Path, tmp_path: Path) -> None:
    found = tag(model, tmp_path, write_lines(tmp_path / "a.txt", TEXTS))
    texts = read_tagged(tmp_path / "outputs" / "out.jsonl")
    assert [(row.id, row.text) for row in texts] == [(row["id"], row["input"]) for row in found]
    assert [len(row.entities) for row in texts] == [len(row["result"]) for row in found]


def test_a_killed_run_resumes_to_the_identical_file(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_stream, "CHUNK_TEXTS", 2)
    path = write_lines(tmp_path / "a.txt", TEXTS * 3)
    whole = tag(model, tmp_path, path, output_name="whole.jsonl")
    original = tag_run.record_of
    calls = 0

    def killed(*arguments: Any) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(tag_run, "record_of", killed)
        with pytest.raises(KeyboardInterrupt, match=r"--model_file .*tagger.pth --resume"):
            tag(model, tmp_path, path)
    parts = tmp_path / "outputs" / "out.jsonl.parts"
    assert len(list(parts.glob("*.part"))) == 2
    computed: list[str] = []

    def noted(row_id: str, *rest: Any) -> dict[str, Any]:
        computed.append(row_id)
        return original(row_id, *rest)

    monkeypatch.setattr(tag_run, "record_of", noted)
    assert tag(model, tmp_path, path, resume=True) == whole
    assert computed[0] == "5"  # of the third chunk
    assert not parts.exists()
    computed.clear()
    assert tag(model, tmp_path, path, resume=True) == whole
    assert computed == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "\n \n", "a.txt: holds no text"),
        ("a.csv", "words\n가\n", "no column text, sentence, input, document, content, found words"),
        ("a.csv", 'text\n가\n""\n', "a.csv:3 text: found '', expected a text"),
        ("a.jsonl", '{"text": "가"}\n{"txt": 1}\n', "a.jsonl:2 text: is missing"),
        ("a.jsonl", '{"text": 5}\n', "a.jsonl:1 text: found 5, expected a text"),
        ("a.jsonl", '{"text": "\\ud83d"}\n', "holds half of a character"),
        ("a.jsonl", '{"text": "가", "id": "\\ud83d"}\n', "a.jsonl:1 id: "),
        ("a.docx", "", "expected a file that ends in"),
        ("a.txt", "가\0나\n", "a.txt:1: holds a zero byte"),
    ],
)
def test_faulty_files(model: Path, tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        tag(model, tmp_path, tmp_path / name)
    assert message in str(caught.value)
    assert not (tmp_path / "outputs").exists()


def test_a_file_that_changes_meanwhile_is_not_cut_short(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(tmp_path / "a.txt", TEXTS)
    original = text_stream.survey_texts

    def grown(*arguments: Any) -> Any:
        found = original(*arguments)
        write_lines(path, [*TEXTS, "하나 더"])
        return found

    monkeypatch.setattr(text_stream, "survey_texts", grown)
    with pytest.raises(UserError, match="the file has changed while it was read"):
        tag(model, tmp_path, path)
    assert not (tmp_path / "outputs" / "out.jsonl").exists()


def test_tagged_files_with_faults(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("가\tO\n\n나\tX\n\n다\tO\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"a.tsv:3 tag: the tag is 'X'"):
        tag(model, tmp_path, tmp_path / "a.tsv")
    found = tag(model, tmp_path, tmp_path / "a.tsv", on_bad_row="skip")
    assert [row["input"] for row in found] == ["가", "다"]


def rounded(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entities of a text; another runtime adds in another order."""
    return [{**one, "score": pytest.approx(one["score"], abs=1e-4)} for one in entities]


@pytest.mark.parametrize("buckets", [0, 50])
def test_an_export_finds_the_same_entities(tmp_path: Path, buckets: int) -> None:
    model = tmp_path / "tagger.pth"
    trained = make_tagger("modernbert", max_length=24, buckets=buckets)
    save_payload(model, TAGGER_KIND, tagger_payload(trained))
    path = write_lines(tmp_path / "a.txt", TEXTS)
    expected = [rounded(row["result"]) for row in tag(model, tmp_path, path)]
    folder = tmp_path / "exported"
    export.main(as_flags(model_file=model, output_file=folder))
    assert [rounded(row["result"]) for row in tag(folder, tmp_path, path)] == expected
    for form, source in (("onnx", folder), ("onnx-int8", model)):
        exported = tmp_path / f"{form}.onnx"
        export.main(as_flags(model_file=source, output_file=exported, format=form))
        again = [rounded(row["result"]) for row in tag(exported, tmp_path, path)]
        assert (again == expected) or form == "onnx-int8"
    with pytest.raises(UserError, match=r"a tagger from an \.onnx file only predicts"):
        load_tagger(exported).tagger  # noqa: B018
    with pytest.raises(UserError, match=r"is a tagger, whose exports are compared by"):
        export.main(as_flags(model_file=model, output_file=folder, valid_file=path))
    with pytest.raises(UserError, match="not a kore-onnx but a kore-tagger-onnx"):
        load_model(exported)


def test_faulty_rows_are_set_aside(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "가"}\n{"text": ""}\n{"text": "나"}\n')
    found = tag(model, tmp_path, tmp_path / "a.jsonl", on_bad_row="skip")
    assert [row["input"] for row in found] == ["가", "나"]
    rejected = tmp_path / "outputs" / "a.jsonl.rejected.csv"
    assert "expected a text" in rejected.read_text(encoding="utf-8")


def test_the_newest_tagger_is_taken_and_no_relation_model(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    path = write_lines(tmp_path / "a.txt", TEXTS)
    inference_ner.main(as_flags(model_dir=models, test_file=path, output_dir=tmp_path / "outputs"))
    assert (tmp_path / "outputs" / "kore-mini-ner_a.jsonl").is_file()  # which ships
    save_payload(models / "mine.pth", TAGGER_KIND, tagger_payload(make_tagger()))
    save_model(models / "relations.pth", make_trained())
    inference_ner.main(
        as_flags(model_dir=models, test_file=tmp_path / "a.txt", output_dir=tmp_path / "outputs")
    )
    assert (tmp_path / "outputs" / "mine_a.jsonl").is_file()
