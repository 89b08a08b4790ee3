"""A service over small random models, for the tests of routes, limits and the page."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import uvicorn
from starlette.types import ASGIApp
from tests.builders import ENCODERS, make_bert_tokenizer, make_trained
from tests.extraction.test_run import tagger_of

from kore.common.flags import AUTO
from kore.data.targets import TargetEncoder
from kore.extraction.assembly import make_extractor
from kore.network.emotion import EmotionClassifier
from kore.network.emotion_file import TrainedEmotions
from kore.prediction.api import Model, compute_on
from kore.prediction.judging import Judge
from kore.serve.app import make_app
from kore.serve.options import LimitOptions
from kore.serve.reader import Reader

CPU = compute_on("cpu", AUTO)


def make_reader(judge: Judge | None = None) -> Reader:
    tagger, relations = tagger_of(("PER", "ORG")), make_trained("modernbert")
    extractor = make_extractor(tagger, relations, CPU, inverses="")
    names = ("tagger.pth", "relations.pth")
    return Reader(tagger, extractor, Model(relations, CPU), names, judge)


def make_judge() -> Judge:
    tokenizer = make_bert_tokenizer()
    torch.manual_seed(4)
    encoder = ENCODERS["bert"](len(tokenizer))
    model = EmotionClassifier(encoder, 2, "mean", 0.0)
    trained = TrainedEmotions(model, TargetEncoder(tokenizer, 64), ("joy", "fear"), {}, {})
    return Judge({"emotions": trained}, CPU)


def make_service(reader: Reader | None = None, **bounds: Any) -> ASGIApp:
    return make_app(reader or make_reader(), LimitOptions(**bounds), min_probability=0.0)


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """The address at which the app answers, in a thread of this process."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        (port,) = {one.getsockname()[1] for own in server.servers for one in own.sockets}
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(60)


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        yield connection


def response_of(connection: socket.socket) -> str:
    """All that comes until the service closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts).decode("utf-8")


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
