"""From texts to triples with small random models: the same as asking about each pair by itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
import torch
from tests.builders import EXAMPLES, LABELS, make_trained
from tests.network.test_levitated import make_levitated
from tests.network.test_shared_encoder import tagger_over
from tests.network.test_tagger import make_tagger
from tests.runs import as_flags

import extract
from kore.common.devices import make_accelerator
from kore.common.errors import UserError
from kore.common.flags import DeviceOptions
from kore.data.records import write_examples
from kore.data.schema import Entity, Example, Span
from kore.extraction import run as extract_run
from kore.network.checkpoint import save_model, save_payload
from kore.network.tagger import Tagger, tags_for
from kore.network.tagger_file import TAGGER_KIND, TrainedTagger, tagger_payload
from kore.prediction import text_stream
from kore.prediction.predictor import predict_examples

TEXTS = [row.sentence for row in EXAMPLES]


def tagger_of(types: tuple[str, ...]) -> TrainedTagger:
    """A random tagger that finds many entities."""
    trained = make_tagger("modernbert")
    tags = tags_for(types)
    torch.manual_seed(5)
    trained.model = Tagger(trained.tagger.encoder, len(tags), 0.0).eval()
    trained.tags = tags
    return trained


def write_models(folder: Path) -> Path:
    save_payload(folder / "tagger.pth", TAGGER_KIND, tagger_payload(tagger_of(("PER", "ORG"))))
    save_payload(folder / "other.pth", TAGGER_KIND, tagger_payload(tagger_of(("PS", "LC"))))
    save_model(folder / "relations.pth", make_trained("modernbert"))
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


def flags(models: Path, folder: Path, **changed: Any) -> list[str]:
    chosen = {
        "ner_model": models / "tagger.pth",
        "model_file": models / "relations.pth",
        "output_dir": folder / "outputs",
        "sentences": "line",
        "min_probability": 0.0,
        "inverses": "",
        "precision": "fp32",
        **changed,
    }
    return as_flags(**chosen)


def extracted(models: Path, folder: Path, path: Path, **changed: Any) -> list[dict[str, Any]]:
    extract.main(flags(models, folder, input_file=path, output_name="out.jsonl", **changed))
    lines = (folder / "outputs" / "out.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def write_lines(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def test_triples_are_what_the_relation_model_says_of_each_pair(
    models: Path, tmp_path: Path
) -> None:
    """Asked about by the way that `kore predict` takes."""
    found = extracted(models, tmp_path, write_lines(tmp_path / "a.txt", TEXTS))
    assert [row["sentence"] for row in found] == TEXTS
    assert [row["document"] for row in found] == [str(n + 1) for n in range(len(TEXTS))]
    trained = make_trained("modernbert")
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    expected = []
    for row in found:
        entities = [
            Entity(one["word"], Span(one["start"], one["end"]), one["type"])
            for one in row["entities"]
        ]
        for number, first in enumerate(entities):
            for second in entities[number + 1 :]:
                asked = [
                    Example("", row["sentence"], first, second),
                    Example("", row["sentence"], second, first),
                ]
                probs = predict_examples(trained, asked, accelerator)
                sides = [
                    (row["document"], one.subject.word, trained.labels.names[best], own[best])
                    for one, best, own in zip(asked, probs.argmax(axis=1), probs, strict=True)
                    if best != trained.labels.index(["no_relation"])[0]
                ]
                expected += sorted(sides, key=lambda side: -side[3])[:1]
    triples = [
        (row["document"], one["subject"]["word"], one["relation"], one["probability"])
        for row in found
        for one in row["triples"]
    ]
    assert len(triples) > 5
    assert [one[:3] for one in triples] == [one[:3] for one in expected]
    np.testing.assert_allclose([one[3] for one in triples], [one[3] for one in expected], atol=1e-5)


def test_the_table_has_every_triple_with_its_evidence(models: Path, tmp_path: Path) -> None:
    document = f"{TEXTS[0]}\n\n  {TEXTS[2]}"
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"id": "문서", "text": document}), encoding="utf-8")
    found = extracted(models, tmp_path, path)
    assert [(row["document"], row["start"]) for row in found] == [
        ("문서", 0),
        ("문서", document.index(TEXTS[2])),
    ]
    with (tmp_path / "outputs" / "out.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    triples = [one for row in found for one in row["triples"]]
    assert [row["relation"] for row in rows] == [one["relation"] for one in triples]
    for row in rows:
        assert row["document"] == "문서"
        for side in ("subject", "object"):
            cut = document[int(row[f"{side}_start"]) : int(row[f"{side}_end"])]
            assert cut == row[side]
            assert cut in row["sentence"]


def test_a_text_is_printed(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract.main(flags(models, tmp_path, text=TEXTS[2]))
    lines = capsys.readouterr().out.splitlines()
    (row,) = extracted(models, tmp_path, write_lines(tmp_path / "a.txt", [TEXTS[2]]))
    assert len(lines) == len(row["triples"]) > 0
    for line, triple in zip(lines, row["triples"], strict=True):
        assert line.startswith(f"{triple['subject']['word']} ({triple['subject']['type']})  ")
        assert line.endswith(f"{triple['probability']:.2f}")
    extract.main(flags(models, tmp_path, text=TEXTS[2], min_probability=1.0))
    assert "no triple of at least --min_probability 1.0; entities: " in capsys.readouterr().out


def killed_at(text: int) -> Callable[..., list[dict[str, Any]]]:
    """`records_of`, but Ctrl-C is pressed at that text."""
    original = extract_run.records_of
    numbers = count(1)

    def records_of(*arguments: Any) -> list[dict[str, Any]]:
        if next(numbers) == text:
            raise KeyboardInterrupt
        return original(*arguments)

    return records_of


def test_a_killed_run_resumes_to_the_identical_files(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_stream, "CHUNK_TEXTS", 2)
    path = write_lines(tmp_path / "a.txt", TEXTS * 2)
    extract.main(flags(models, tmp_path, input_file=path, output_name="whole.jsonl"))
    with monkeypatch.context() as patched:
        patched.setattr(extract_run, "records_of", killed_at(4))
        with pytest.raises(KeyboardInterrupt, match="--resume"):
            extracted(models, tmp_path, path)
    extracted(models, tmp_path, path, resume=True)
    for suffix in ("jsonl", "csv"):
        whole, resumed = (
            (tmp_path / "outputs" / f"{name}.{suffix}").read_bytes() for name in ("whole", "out")
        )
        assert whole == resumed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "name one of a --text, an --input_file, or a file of --pairs"),
        ({"text": "가", "input_file": "a.txt"}, "name one of a --text, an --input_file"),
        ({"text": "가", "figure": True}, "--graph and --figure are made of a file"),
        ({"text": "  "}, "expected a text that is not empty"),
        ({"input_file": "gone.txt"}, "gone.txt: no such file"),
        ({"text": "가", "inverses": "gone.json"}, "gone.json: no such file"),
    ],
)
def test_faults(models: Path, tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        extract.main(flags(models, tmp_path, **changed))
    assert message in str(caught.value)
    assert not (tmp_path / "outputs").exists()


def test_the_table_does_not_replace_the_input(models: Path, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "outputs.csv", ["text", *TEXTS])
    content = path.read_bytes()
    with pytest.raises(UserError, match=r"outputs\.csv, the table beside .*outputs\.jsonl"):
        extract.main(
            flags(
                models,
                tmp_path,
                input_file=path,
                output_dir=tmp_path,
                output_name="outputs.jsonl",
            )
        )
    assert path.read_bytes() == content


def test_resuming_with_another_splitter_or_other_inverses(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inverses = tmp_path / "inverses.json"
    inverses.write_text("{}")
    path = write_lines(tmp_path / "a.txt", TEXTS)
    monkeypatch.setattr(text_stream, "CHUNK_TEXTS", 2)
    has_kiwi = False
    monkeypatch.setattr("kore.data.morphemes.is_installed", lambda: has_kiwi)
    with monkeypatch.context() as patched:
        patched.setattr(extract_run, "records_of", killed_at(3))
        with pytest.raises(KeyboardInterrupt):
            extracted(models, tmp_path, path, sentences="auto", inverses=inverses)
    again = {"sentences": "auto", "inverses": inverses, "resume": True}
    has_kiwi = True
    with pytest.raises(UserError, match="splitter was line, is kiwi"):
        extracted(models, tmp_path, path, **again)
    has_kiwi = False
    inverses.write_text(json.dumps({LABELS.names[1]: LABELS.names[2]}))
    with pytest.raises(UserError, match="the content of --inverses has changed"):
        extracted(models, tmp_path, path, **again)


def test_models_whose_types_do_not_meet(models: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the tagger finds PS, LC, but the relation model knows"):
        extract.main(flags(models, tmp_path, text="가", ner_model=models / "other.pth"))


def test_a_folder_has_a_document_each_file(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "inner").mkdir(parents=True)
    write_lines(folder / "b.txt", TEXTS[:2])
    write_lines(folder / "inner" / "a.txt", TEXTS[2:])
    (folder / "empty.txt").write_text("\n")
    (folder / "other.md").write_text(TEXTS[0], encoding="utf-8")
    found = extracted(models, tmp_path, folder)
    expected = [("b.txt", text) for text in TEXTS[:2]]
    expected += [("inner/a.txt", text) for text in TEXTS[2:]]
    assert [(row["document"], row["sentence"]) for row in found] == expected
    assert found[1]["start"] == len(TEXTS[0]) + 1
    with pytest.raises(UserError, match=r"models\d*: holds no file that ends in .txt"):
        extracted(models, tmp_path, models)


def test_a_document_id_twice(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"id": name, "text": TEXTS[0]} for name in ("가", "나", "가")]
    write_lines(path, [json.dumps(row) for row in rows])
    with pytest.raises(UserError, match=r"a.jsonl:3 id: '가' is also the id of the row at 1"):
        extracted(models, tmp_path, path)
    found = extracted(models, tmp_path, path, on_bad_row="skip")
    assert [row["document"] for row in found] == ["가", "나"]


def test_standard_input_is_printed(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = f"{TEXTS[2]}\n\n{TEXTS[0]}\n".encode()
    printed = []
    for text in (TEXTS[2], TEXTS[0]):
        extract.main(flags(models, tmp_path, text=text))
        printed.append(capsys.readouterr().out)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    extract.main(flags(models, tmp_path, input_file="-"))
    assert capsys.readouterr().out == "".join(printed)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("가\n나".encode("cp949"))))
    with pytest.raises(UserError, match="standard input:1: not UTF-8"):
        extract.main(flags(models, tmp_path, input_file="-"))


def test_given_pairs_are_asked_about_and_nothing_else(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    write_examples(path, EXAMPLES)
    changed = flags(models, tmp_path, pairs=path, output_name="out.jsonl", ner_model="gone.pth")
    extract.main(changed)
    lines = (tmp_path / "outputs" / "out.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    trained = make_trained("modernbert")
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    probs = predict_examples(trained, EXAMPLES, accelerator)
    assert [row["document"] for row in found] == [example.id for example in EXAMPLES]
    for row, example, own in zip(found, EXAMPLES, probs, strict=True):
        assert [one["word"] for one in row["entities"]] == [
            *(example.subject.word, example.object.word)
        ]
        relation = trained.labels.names[own.argmax()]
        said = [(one["relation"], one["probability"]) for one in row["triples"]]
        assert said == ([] if relation == "no_relation" else [(relation, round(own.max(), 6))])
    assert any(row["triples"] for row in found)


def test_a_graph_of_what_was_extracted_before(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(tmp_path / "a.txt", TEXTS)
    found = extracted(models, tmp_path, path)
    monkeypatch.setattr(extract_run, "load_tagger", None)  # nothing is computed again
    extracted(models, tmp_path, path, resume=True, graph="graphml", figure=True)
    folder = tmp_path / "outputs"
    graph = networkx.read_graphml(folder / "out.graphml", force_multigraph=True)
    triples = [one for row in found for one in row["triples"]]
    facts = {(one["subject"]["word"], one["relation"], one["object"]["word"]) for one in triples}
    edges = graph.edges(data=True)
    assert facts == {
        (graph.nodes[one]["name"], data["relation"], graph.nodes[other]["name"])
        for one, other, data in edges
    }
    assert sum(data["sentences"] for *_, data in edges) == len(triples)
    assert (folder / "out.png").read_bytes().startswith(b"\x89PNG")


def test_levitated_markers_give_the_same_triples_pair_by_pair(models: Path, tmp_path: Path) -> None:
    """A text is read once for all pairs here, and once for each pair by `pairs`."""
    save_model(models / "levitated.pth", make_levitated("modernbert"))
    changed = {"model_file": models / "levitated.pth"}
    found = extracted(models, tmp_path, write_lines(tmp_path / "a.txt", TEXTS), **changed)
    triples = [(row, one) for row in found for one in row["triples"]]
    assert len(triples) > 5
    asked = [_as_example(str(n), row["sentence"], one) for n, (row, one) in enumerate(triples)]
    accelerator = make_accelerator(DeviceOptions(use_cuda="False", precision="fp32"))
    trained = make_levitated("modernbert")
    shuffled = asked[::2] + asked[1::2]  # so that few neighbours have the same text
    probs = predict_examples(trained, shuffled, accelerator)
    by_id = {row.id: own for row, own in zip(shuffled, probs, strict=True)}
    for number, (_, one) in enumerate(triples):
        own = by_id[str(number)]
        assert trained.labels.names[own.argmax()] == one["relation"]
        assert own.max() == pytest.approx(one["probability"], abs=1e-5)


def test_models_of_one_encoder_read_a_text_once(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    relations = make_levitated("modernbert", pair_layers=1)
    save_model(models / "joint.pth", relations)
    payload = tagger_payload(tagger_over(relations))
    save_payload(models / "joint_tagger.pth", TAGGER_KIND, payload)
    changed = {"ner_model": models / "joint_tagger.pth", "model_file": models / "joint.pth"}
    path = write_lines(tmp_path / "a.txt", TEXTS)
    found = extracted(models, tmp_path, path, **changed)
    assert f"{len(TEXTS)} texts read with" in (said := capsys.readouterr().out)
    assert "joint.pth, once for both\n" in said
    assert any(row["triples"] for row in found)
    extracted(models, tmp_path / "apart", path, **{**changed, "ner_model": models / "tagger.pth"})
    assert "once for both" not in capsys.readouterr().out


def _as_example(row_id: str, sentence: str, triple: dict[str, Any]) -> Example:
    subject, object_ = (
        Entity(side["word"], Span(side["start"], side["end"]), side["type"])
        for side in (triple["subject"], triple["object"])
    )
    return Example(row_id, sentence, subject, object_)
