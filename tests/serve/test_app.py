"""The routes against the models themselves, and everything a client may do wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.types import ASGIApp
from tests.builders import EXAMPLES, make_trained
from tests.extraction.test_run import tagger_of
from tests.serve.service import (
    CPU,
    connected,
    listening,
    make_judge,
    make_reader,
    make_service,
    response_of,
)

from kore.data.emotion import JudgedText
from kore.data.schema import Span
from kore.prediction.api import Model
from kore.prediction.tagging import EntityFinder
from kore.serve.forms import klue_groups
from kore.serve.reader import Reader

TEXTS = [row.sentence for row in EXAMPLES]


@pytest.fixture(scope="module")
def app() -> ASGIApp:
    return make_service(max_characters=300, max_body=3000)


@pytest.fixture(scope="module")
def client(app: ASGIApp) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def test_infer_answers_what_the_tagger_finds_in_klues_groups(client: TestClient) -> None:
    expected = EntityFinder(tagger_of(("PER", "ORG")), CPU)(TEXTS)
    assert any(expected)
    for text, hits in zip(TEXTS, expected, strict=True):
        answer = client.post("/infer", json={"text": text}).json()
        assert answer["input"] == text
        assert [
            (one["entity_group"], one["word"], one["start"], one["end"]) for one in answer["result"]
        ] == [
            ({"PER": "PS", "ORG": "OG"}[hit.entity.type], hit.entity.word, *hit.entity.span)
            for hit in hits
        ]
        assert [set(one) for one in answer["result"]] == [
            {"entity_group", "score", "word", "start", "end"} for _ in hits
        ]


def test_groups_are_those_of_klue_ner() -> None:
    types = ("PER", "LOC", "ORG", "DAT", "NOH", "POH", "TI")
    assert list(klue_groups(types).values()) == ["PS", "LC", "OG", "DT", "QT", "POH", "TI"]


def test_predict_answers_what_the_model_says(client: TestClient) -> None:
    model = Model(make_trained("modernbert"), CPU)
    for example in EXAMPLES:
        subject, object_ = (
            {"start": one.span.start, "end": one.span.end, "type": one.type}
            for one in (example.subject, example.object)
        )
        form = {"sentence": example.sentence, "subject": subject, "object": object_}
        answer = client.post("/predict", json=form).json()
        (expected,) = model.predict_many([example])
        assert answer["relation"] == expected.relation
        assert answer["probs"] == pytest.approx(expected.probs, abs=1e-5)


def test_extract_keeps_offsets_and_the_threshold_of_the_request(client: TestClient) -> None:
    text = f"  {TEXTS[0]}\n{TEXTS[1]}"
    sentences = client.post("/extract", json={"text": text}).json()["sentences"]
    assert [row["sentence"] for row in sentences] == TEXTS[:2]
    triples = [one for row in sentences for one in row["triples"]]
    assert triples
    for entity in [side for one in triples for side in (one["subject"], one["object"])]:
        assert text[entity["start"] : entity["end"]] == entity["word"]
    middle = sorted(one["probability"] for one in triples)[len(triples) // 2]
    fewer = client.post("/extract", json={"text": text, "min_probability": middle}).json()
    assert [one for row in fewer["sentences"] for one in row["triples"]] == [
        one for one in triples if one["probability"] >= middle
    ]


@pytest.mark.parametrize("text", ["", " \n", "가" * 60, "\U0001f600" * 150])
def test_any_text_has_an_answer(client: TestClient, text: str) -> None:
    assert client.post("/infer", json={"text": text}).status_code == 200
    assert client.post("/extract", json={"text": text}).status_code == 200


JSON = {"Content-Type": "application/json"}
PAIR = {"sentence": "가 나", "subject": {"start": 0, "end": 1}, "object": {"start": 2, "end": 3}}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 422, "body: Field required"),
        (b'{"text": broken', 422, "character 9 of the body: no JSON (Expecting value)"),
        (b'{"text": "\xff"}', 400, "parsing the body"),
        (b'{"text": "\\ud800"}', 422, "text: Value error, holds half of a character"),
        (b'{"text": 1}', 422, "text: Input should be a valid string"),
        (b'{"texts": "a"}', 422, "text: Field required; texts: Extra inputs"),
        (b"[]", 422, "body: Input should be a valid dictionary"),
        (b'{"text": "%s"}' % (b"a" * 301), 413, "301 characters; at most 300 are taken"),
        (b'{"text": "%s"}' % (b"a" * 3000), 413, "the body has 3012 bytes; at most 3000"),
    ],
)
def test_a_faulty_body_has_one_sentence(
    client: TestClient, body: bytes, status: int, words: str
) -> None:
    answer = client.post("/infer", content=body, headers=JSON)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"subject": {"start": 0, "end": 9}}, "subject (0, 9) lies outside the sentence of 3"),
        ({"subject": {"start": 2, "end": 1}}, "subject (2, 1) lies outside"),
        ({"object": {"start": 0, "end": 1}}, "overlaps the subject"),
        ({"sentence": ""}, "not empty"),
        ({"object": {"start": -1, "end": 1}}, "object.start: Input should be greater than"),
        ({"object": {"start": 10**30, "end": 10**31}}, "object (1000"),
    ],
)
def test_a_faulty_pair_has_one_sentence(
    client: TestClient, changed: dict[str, Any], words: str
) -> None:
    answer = client.post("/predict", json=PAIR | changed)
    assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.text


def test_a_body_that_is_not_called_json_is_told_the_header(client: TestClient) -> None:
    answer = client.post("/infer", content=b'{"text": "a"}', headers={"Content-Type": "text/plain"})
    assert (answer.status_code, "Content-Type: application/json" in answer.text) == (422, True)


def test_other_methods_and_paths(client: TestClient) -> None:
    assert client.get("/infer").status_code == 405
    assert client.post("/nowhere").status_code == 404
    assert client.get("/page/..%2fapp.py").status_code == 404


def test_health_metrics_page_and_headers(client: TestClient) -> None:
    client.post("/infer", json={"text": "가"})
    health = client.get("/health").json()
    assert (health["status"], health["entity_types"]) == ("ok", ["PER", "ORG"])
    metrics = client.get("/metrics").text
    assert 'kore_requests_total{route="/infer",status="200"}' in metrics
    assert 'kore_batch_size_count{kind="infer"}' in metrics
    page = client.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src")
    for name in ("page.js", "page.css", "icon.svg"):
        assert f"/page/{name}" in page.text
        assert client.get(f"/page/{name}").status_code == 200
    assert {"/infer", "/extract", "/predict"} <= client.get("/openapi.json").json()["paths"].keys()


class Held(Reader):
    """A reader that answers when it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.__dict__.update(make_reader().__dict__)

    def infer(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        assert self.go.wait(60)
        return [{"input": text, "result": []} for text in texts]


def test_a_full_queue_answers_503_and_what_was_taken_is_answered() -> None:
    reader = Held()

    async def main(address: str) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            asked = [
                asyncio.create_task(client.post("/infer", json={"text": str(number)}))
                for number in range(20)
            ]
            while not any(task.done() for task in asked):
                await asyncio.sleep(0.01)
            reader.go.set()
            return await asyncio.gather(*asked)

    with listening(make_service(reader, queue_size=4, batch_size=2)) as address:
        answers = asyncio.run(main(address))
    refused = [one for one in answers if one.status_code == 503]
    assert refused
    assert {one.headers["retry-after"] for one in refused} == {"1"}
    for number, answer in enumerate(answers):
        if answer.status_code != 503:
            assert answer.json() == {"input": str(number), "result": []}


def test_a_slow_client_is_let_go_and_others_are_answered_meanwhile() -> None:
    head = b"POST /infer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    with listening(make_service(body_seconds=0.5)) as address:
        with connected(address) as slow:
            slow.sendall(head + b'Content-Length: 100\r\n\r\n{"te')
            assert httpx.post(f"{address}/infer", json={"text": "가"}).status_code == 200
            answer = response_of(slow)  # the service closes
        assert answer.startswith("HTTP/1.1 408")
        assert "no whole body within 0.5 seconds" in answer


def test_a_body_without_end_is_cut_off() -> None:
    head = b"POST /infer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    with listening(make_service(max_body=1000)) as address, connected(address) as greedy:
        greedy.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        greedy.sendall(b"400\r\n" + b"a" * 1024 + b"\r\n")
        assert greedy.recv(100).startswith(b"HTTP/1.1 413")


def test_two_hundred_connections_at_once() -> None:
    async def main(address: str) -> list[int]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
            asked = [client.post("/infer", json={"text": f"가 {n}"}) for n in range(200)]
            return [one.status_code for one in await asyncio.gather(*asked)]

    with listening(make_service()) as address:
        assert asyncio.run(main(address)) == [200] * 200


def test_a_defect_is_the_services_own_fault_and_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Reader):
        def __init__(self) -> None:
            self.__dict__.update(make_reader().__dict__)

        def infer(self, texts: Sequence[str]) -> list[dict[str, Any]]:
            raise ZeroDivisionError

    with TestClient(make_service(Broken()), raise_server_exceptions=False) as client:
        answer = client.post("/infer", json={"text": "가"})
        assert (answer.status_code, answer.json()["detail"][:8]) == (500, "a defect")
        assert 'kore_requests_total{route="/infer",status="500"} 1.0' in client.get("/metrics").text
        assert client.post("/extract", json={"text": "가"}).status_code == 200
    assert "ZeroDivisionError" in caplog.text


def test_emotions_are_answered_where_a_model_of_them_is_given(client: TestClient) -> None:
    assert client.post("/emotion", json={"text": "가"}).status_code == 404
    judge = make_judge()
    text = "비틀즈를 좋아한다."
    with TestClient(make_service(make_reader(judge))) as other:
        assert other.get("/health").json()["emotions"] == ["joy", "fear"]
        for target in (None, Span(0, 3)):
            form = target and {"begin": target.start, "end": target.end}
            answer = other.post("/emotion", json={"text": text, "target": form}).json()
            (probs,) = judge([JudgedText("", text, target, None, {})]).probs
            assert [one["probability"] for one in answer["labels"]] == pytest.approx(
                probs.tolist(), abs=1e-5
            )
            assert [one["is_true"] for one in answer["labels"]] == (probs >= 0.5).tolist()
        for body, words in (
            ({"text": text, "target": {"begin": 0, "end": 99}}, "target: (0, 99) lies outside"),
            ({"text": " "}, "text: is empty"),
        ):
            answer = other.post("/emotion", json=body)
            assert (answer.status_code, words in answer.text) == (422, True)
