"""KoRE from Python: `import kore` and what it offers, quiet and safe from threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.builders import EXAMPLES, LABELS, make_example, make_trained

import kore
from kore.data.records import write_examples
from kore.network.checkpoint import save_model
from kore.network.hf_folder import save_folder
from kore.prediction.predictor import ComputeOn, predict_examples

REPOSITORY = Path(__file__).parents[1]
CPU = torch.device("cpu")
SENTENCE = "김도율은 해담전자의 사원이다."  # subject (0, 3), object (5, 9)
FILLERS = (
    "",
    "그리고 지난해 ",
    "1998년 3월에 열린 행사에서 ",
    "부산에서 별빛과 박하늘을 보았다는 ",
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "run.pth"
    save_model(path, make_trained())
    return path


@pytest.fixture(scope="module")
def model(path: Path) -> kore.Model:
    return kore.load(path, device="cpu")


def refusal(call: Callable[[], object]) -> str:
    """The message, which names no flag and no script."""
    with pytest.raises(kore.UserError) as caught:
        call()
    message = str(caught.value)
    assert "--" not in message
    assert ".py" not in message
    return message


def test_what_is_offered():
    assert set(kore.__all__) <= set(dir(kore))
    assert all(getattr(kore, name) is not None for name in kore.__all__)
    assert kore.Example is type(EXAMPLES[0])
    with pytest.raises(AttributeError, match="module 'kore' has no attribute 'extract_all'"):
        _ = kore.extract_all
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert kore.__version__ == project["project"]["version"]


def test_a_prediction(model):
    found = model.predict(SENTENCE, subject=(0, 3, "PER"), object=(5, 9, "ORG"))
    assert SENTENCE[0:3] == "김도율"
    assert SENTENCE[5:9] == "해담전자"
    expected = predict_examples(make_trained(), EXAMPLES[:1], ComputeOn(CPU))[0]
    assert list(found.probs) == list(model.labels) == list(LABELS.names)
    assert list(found.probs.values()) == pytest.approx(expected.tolist(), abs=1e-7)
    assert found.relation == LABELS.names[expected.argmax()]
    assert found.probability == found.probs[found.relation] == max(found.probs.values())
    assert model.no_relation == "no_relation"
    with pytest.raises(AttributeError):
        found.relation = "other"


def test_offsets_in_every_form(model):
    entity = kore.Entity("김도율", kore.Span(0, 3), "PER")
    found = [
        model.predict(SENTENCE, subject=subject, object=(5, 9, "ORG"))
        for subject in ((0, 3, "PER"), entity, (np.int64(0), np.int64(3), "PER"))
    ]
    assert found[0] == found[1] == found[2]
    untyped = model.predict(SENTENCE, subject=(0, 3), object=(5, 9))
    unknown = model.predict(SENTENCE, subject=(0, 3, "ALIEN"), object=(5, 9, "GALAXY"))
    assert untyped == unknown != found[0]


def test_many_examples_in_batches(model):
    examples = [EXAMPLES[number % 4]._replace(id=str(number)) for number in range(11)]
    found = model.predict_many(examples)
    expected = predict_examples(make_trained(), examples, ComputeOn(CPU))
    assert [list(one.probs.values()) for one in found] == pytest.approx(expected, abs=1e-6)
    assert np.array([list(one.probs.values()) for one in found]).sum(axis=1) == pytest.approx(1)
    assert model.probs(examples) == pytest.approx(expected, abs=1e-6)
    assert model.predict_many([]) == []
    assert model.probs([]).shape == (0, 3)


def test_an_exported_folder_predicts_the_same(model, tmp_path):
    save_folder(tmp_path / "run_hf", make_trained())
    loaded = kore.load(str(tmp_path / "run_hf"), device="cpu")
    assert loaded.probs(EXAMPLES).tolist() == model.probs(EXAMPLES).tolist()


def test_an_onnx_file_predicts_the_same(model, tmp_path):
    pytest.importorskip("onnxscript")
    from kore.network.onnx_export import onnx_bytes

    (tmp_path / "run.onnx").write_bytes(onnx_bytes(make_trained()))
    loaded = kore.load(tmp_path / "run.onnx")
    assert loaded.probs(EXAMPLES) == pytest.approx(model.probs(EXAMPLES), abs=1e-4)


@pytest.mark.parametrize(
    ("sentence", "subject", "object_", "part"),
    [
        ("", (0, 3), (5, 9), "the sentence is ''"),
        ("  ", (0, 1), (1, 2), "the sentence is '  '"),
        (None, (0, 3), (5, 9), "the sentence is None"),
        ("가\ud800나", (0, 1), (2, 3), "half of a character"),
        (SENTENCE, (0, 3), (5, 99), "the object (5, 99) lies outside the sentence of 16 char"),
        (SENTENCE, (-1, 3), (5, 9), "the subject (-1, 3) lies outside"),
        (SENTENCE, (3, 3), (5, 9), "the subject (3, 3) lies outside"),
        (SENTENCE, (3, 0), (5, 9), "the subject (3, 0) lies outside"),
        (SENTENCE, (0, 6), (5, 9), "the object '해담전자' overlaps the subject '김도율은 해'"),
        (SENTENCE, (0, 3), (0, 3), "overlaps"),
        (SENTENCE, (0, 3.5), (5, 9), "subject (0, 3.5): expected (start, end)"),
        (SENTENCE, (0, True), (5, 9), "subject (0, True): expected (start, end)"),
        (SENTENCE, (0, 3), (5, 9, 1), "object (5, 9, 1): expected (start, end)"),
        (SENTENCE, (0,), (5, 9), "subject (0,): expected (start, end)"),
        (
            SENTENCE,
            kore.Entity("이도율", kore.Span(0, 3), "PER"),
            (5, 9),
            "its offsets cut '김도율'",
        ),
    ],
)
def test_entities_that_cannot_be(model, sentence: Any, subject: Any, object_: Any, part: str):
    message = refusal(lambda: model.predict(sentence, subject=subject, object=object_))
    assert part in message
    assert "\n" not in message


def test_all_faulty_examples_are_named(model):
    beyond = EXAMPLES[0].subject._replace(span=kore.Span(90, 93))
    examples = [
        EXAMPLES[0],
        EXAMPLES[1]._replace(sentence=""),
        EXAMPLES[0]._replace(id="x", subject=beyond),
    ]
    first, second = refusal(lambda: model.predict_many(examples)).split("\n")
    assert first.startswith("example 1 ('b'): the sentence is ''")
    assert second.startswith("example 2 ('x'): the subject (90, 93) lies outside")


def test_models_that_are_none(tmp_path, path, monkeypatch):
    assert refusal(lambda: kore.load(tmp_path / "gone.pth")).endswith("no such checkpoint")
    (tmp_path / "empty").mkdir()
    assert "a folder without kore.json" in refusal(lambda: kore.load(tmp_path / "empty"))
    assert "no such device" in refusal(lambda: kore.load(path, device="abacus"))
    assert "expected auto, fp32" in refusal(lambda: kore.load(path, precision="int4"))
    assert "needs a GPU" in refusal(lambda: kore.load(path, device="cpu", precision="fp16"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no CUDA GPU answers" in refusal(lambda: kore.load(path, device="cuda"))
    absent = "xpu" if torch.backends.mps.is_available() else "mps"
    assert "has no such device" in refusal(lambda: kore.load(path, device=absent))
    assert kore.load(path).predict_many(EXAMPLES)  # on the CPU, where there is no GPU


def test_reading(tmp_path):
    write_examples(tmp_path / "rows.csv", EXAMPLES)
    assert kore.read(str(tmp_path / "rows.csv")) == list(EXAMPLES)
    unlabelled = [example._replace(label=None) for example in EXAMPLES]
    write_examples(tmp_path / "blind.csv", unlabelled)
    assert kore.read(tmp_path / "blind.csv") == unlabelled
    message = refusal(lambda: kore.read(tmp_path / "blind.csv", need_labels=True))
    assert message.count("label: found") == 4
    assert refusal(lambda: kore.read(tmp_path / "gone.csv")).startswith(str(tmp_path / "gone.csv"))


def test_all_faults_of_a_file_are_named(tmp_path):
    examples = [EXAMPLES[0]._replace(id=str(number), sentence="") for number in range(30)]
    write_examples(tmp_path / "rows.csv", [EXAMPLES[1], *examples])
    lines = refusal(lambda: kore.read(tmp_path / "rows.csv")).split("\n")
    assert len(lines) == 31
    assert lines[0].startswith(f"{tmp_path / 'rows.csv'}:3 sentence: found ''")
    assert lines[-1] == f"30 faulty examples in {tmp_path / 'rows.csv'}"


# Of 4 gold labels A, A, B, no: A is right, A is missed as no, B is right, no is taken for A.
GOLD = ["A", "A", "B", "no"]
PROBS = np.array([[0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.3, 0.6, 0.1]])
NAMES = ("no", "A", "B")


def test_scores_by_hand():
    """Relations A and B: 2 of the 3 predicted and 2 of the 3 gold ones are right."""
    scores = kore.evaluate(GOLD, PROBS, NAMES, no_relation="no")
    assert scores.micro_f1 == pytest.approx(100 * 2 / 3)
    assert scores.accuracy == pytest.approx(50)
    examples = [EXAMPLES[0]._replace(label=label) for label in GOLD]
    predictions = [
        kore.Prediction(NAMES[row.argmax()], row.max(), dict(zip(NAMES, row.tolist(), strict=True)))
        for row in PROBS
    ]
    assert kore.evaluate(examples, predictions, no_relation="no") == scores
    shuffled = kore.evaluate(examples, predictions, ("B", "no", "A"), no_relation="no")
    assert shuffled.micro_f1 == scores.micro_f1
    assert shuffled.auprc == pytest.approx(scores.auprc)
    without = kore.evaluate(GOLD, PROBS, NAMES, no_relation=None)
    assert without.micro_f1 == pytest.approx(50)  # all relations count
    twice = refusal(lambda: kore.evaluate(GOLD, PROBS, ("no", "A", "A"), no_relation="no"))
    assert "names a relation twice" in twice


def test_a_model_is_scored(model):
    scores = kore.evaluate(EXAMPLES, model.predict_many(EXAMPLES))
    assert scores == kore.evaluate(EXAMPLES, model.probs(EXAMPLES), model.labels)
    assert 0 <= scores.accuracy <= 100


@pytest.mark.parametrize(
    ("gold", "predicted", "labels", "part"),
    [
        (GOLD, PROBS, None, "`labels` is missing"),
        (GOLD[:3], PROBS, NAMES, "3 gold labels, but 4 predictions"),
        ([], np.empty((0, 3)), NAMES, "0 gold labels"),
        (["A", "C", "D", "no"], PROBS, NAMES, "2 gold labels are not among the 3 relations, 'C'"),
        ([EXAMPLES[0]._replace(label=None)], PROBS[:1], NAMES, "None for example"),
        (GOLD, PROBS, NAMES[:2], "probabilities of shape (4, 3), expected (N, 2)"),
        (GOLD, PROBS[0], NAMES, "probabilities of shape (3,)"),
        (GOLD, PROBS * 9, NAMES, "apply a softmax first"),
        (GOLD, PROBS * np.nan, NAMES, "apply a softmax first"),
    ],
)
def test_scores_that_cannot_be(gold: Any, predicted: Any, labels: Any, part: str):
    call = lambda: kore.evaluate(gold, predicted, labels, no_relation="no")  # noqa: E731
    assert part in refusal(call)
    message = refusal(lambda: kore.evaluate(GOLD, PROBS, NAMES))
    assert "'no_relation' is not among the relations" in message


def sentences_of_many_lengths() -> list[kore.Example]:
    return [
        make_example(str(number), f"{filler * number}{SENTENCE}", "김도율", "해담전자")
        for number in range(1, 5)
        for filler in FILLERS
    ]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_eight_threads_share_a_model(path, precision):
    """Each starts with an example of its own, all at once; every result is the lone one's."""
    model = kore.load(path, device="cpu", precision=precision)
    examples = sentences_of_many_lengths()
    expected = [model.probs([example]).tolist() for example in examples]
    assert len({str(probs) for probs in expected}) > 8
    start = threading.Barrier(8)

    def predict(first: int) -> None:
        start.wait(timeout=60)
        for number in range(first, first + 2 * len(examples)):
            place = number % len(examples)
            assert model.probs([examples[place]]).tolist() == expected[place]
        everything = model.probs(examples)
        assert np.abs(everything - np.concatenate(expected)).max() < 0.02

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(predict, range(8)))


def test_eight_threads_load_at_once(path, model):
    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(lambda _: kore.load(path, device="cpu"), range(8)))
    expected = model.probs(EXAMPLES).tolist()
    assert all(one.probs(EXAMPLES).tolist() == expected for one in models)


def in_a_process(code: str, *arguments: str) -> Any:
    """What `code` prints as JSON, all else that it prints being a fault."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_import_loads_nothing_heavy():
    code = """
import json, sys
before = set(sys.modules)
import kore
dir(kore), kore.__version__
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""
    loaded = set(in_a_process(code))
    assert "kore" in loaded
    assert not loaded & {"torch", "transformers", "numpy", "pandas", "sklearn", "matplotlib"}


# What belongs to the process: a library leaves it as the host program has set it.
LEAVES_THE_PROCESS_ALONE = """
import json, logging, os, signal, sys, warnings
import torch, transformers, numpy

def state():
    umask = os.umask(0o27)
    os.umask(umask)
    handlers = [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    return {
        "umask": umask,
        "signals": handlers,
        "filters": [str(one) for one in warnings.filters],
        "logging": [len(logging.root.handlers), logging.root.level, logging.root.manager.disable],
        "transformers": transformers.logging.get_verbosity(),
        "progress": transformers.logging.is_progress_bar_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "random": torch.get_rng_state().sum().item(),
        "dtype": str(torch.get_default_dtype()),
        "grad": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "environment": dict(os.environ),
    }

import sklearn.metrics  # imported by scores; what it registers is its own
import kore, kore.prediction.api, kore.prediction.evaluate
before = state()
model = kore.load(sys.argv[1])
examples = kore.read(sys.argv[2])
predictions = model.predict_many(examples)
with warnings.catch_warnings(action="ignore"):  # of relations without a gold example
    kore.evaluate(examples, predictions)
after = state()
changed = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
from accelerate.state import PartialState
changed["accelerate"] = bool(PartialState._shared_state)
changed["matplotlib"] = "matplotlib" in sys.modules
print(json.dumps(changed))
"""


def test_the_process_is_left_alone(path, tmp_path):
    write_examples(tmp_path / "rows.csv", EXAMPLES)
    changed = in_a_process(LEAVES_THE_PROCESS_ALONE, str(path), str(tmp_path / "rows.csv"))
    assert changed == {"accelerate": False, "matplotlib": False}


def test_triples_of_a_text_by_the_models_that_ship() -> None:
    """The function stays what it is after the first call has loaded the modules behind it."""
    text = "이순신은 1545년 서울에서 태어난 조선의 무신이다."
    for _ in range(2):
        found = kore.extract(text, min_probability=0.0)
        assert any(hit.entity.word == "이순신" for hit in found.entities)
        for triple in found.triples:
            for entity in (triple.subject, triple.object):
                assert text[entity.span.start : entity.span.end] == entity.word
            assert triple.relation in kore.load().labels
    assert found.triples
    with pytest.raises(kore.UserError, match="expected a text that is not empty"):
        kore.extract(" ")


def test_models_are_loaded_once_whatever_is_asked_of_them(monkeypatch) -> None:
    text = "이순신은 1545년 서울에서 태어난 조선의 무신이다."
    everything = kore.extract(text, min_probability=0.0, sentences="line")
    monkeypatch.setattr("kore.extraction.api.load_model", None)  # cannot be called once more
    bound = sorted(one.probability for one in everything.triples)[-1]
    found = kore.extract(text, min_probability=bound, sentences="line")
    assert found.triples == [one for one in everything.triples if one.probability >= bound]
    assert found.triples != everything.triples
    assert kore.extract(text, min_probability=1.0).entities == everything.entities
