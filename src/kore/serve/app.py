"""The service: routes over a `Reader`, one queue for each kind of question, and the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp

from kore import __version__
from kore.data.emotion import JudgedText
from kore.data.schema import Entity, Example, Span
from kore.extraction.pipeline import records_of
from kore.prediction.api import fault_of
from kore.serve.batcher import Batcher, BusyError
from kore.serve.forms import (
    EntityIn,
    ExtractIn,
    ExtractOut,
    HealthOut,
    InferOut,
    JudgeIn,
    JudgeOut,
    PairIn,
    RelationOut,
    TextIn,
)
from kore.serve.metrics import Metrics
from kore.serve.middleware import ServiceMiddleware
from kore.serve.options import LimitOptions
from kore.serve.reader import Reader

PAGE = Path(__file__).with_name("page")


def make_app(reader: Reader, bounds: LimitOptions, min_probability: float = 0.5) -> ASGIApp:
    """The service over loaded models.

    Args:
        min_probability: of the triples of requests that name none.
    """
    metrics = Metrics()
    queues = Queues(reader, bounds, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(one.run()) for one in queues.all]
        yield  # uvicorn comes back when the last request that was taken has its answer
        for task in tasks:
            task.cancel()
        queues.executor.shutdown()

    app = FastAPI(
        title="KoRE",
        version=__version__,
        summary="Korean entities, relations and triples",
        lifespan=lifespan,
        max_body_size=bounds.max_body,
    )
    app.add_exception_handler(RequestValidationError, _one_sentence)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(Exception, _defect)
    app.include_router(_reading_routes(queues, bounds.max_characters, min_probability))
    if reader.emotions:
        app.include_router(_emotion_routes(queues, bounds.max_characters))
    app.include_router(_other_routes(reader, bounds.max_characters, min_probability, metrics))
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return ServiceMiddleware(app, bounds.max_body, bounds.body_seconds, metrics)


class Queues:
    """A queue for each kind of question."""

    def __init__(self, reader: Reader, bounds: LimitOptions, metrics: Metrics) -> None:
        # One thread: torch spreads a batch over all cores itself, and two batches would only wait
        # for each other.
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="kore-model")
        self.all: list[Batcher[Any, Any]] = []

        def batcher(kind: str, compute: Any) -> Batcher[Any, Any]:
            made: Batcher[Any, Any] = Batcher(
                compute,
                self.executor,
                most=bounds.batch_size,
                queue_size=bounds.queue_size,
                observe=metrics.batches_of(kind),
            )
            metrics.watch(kind, lambda: made.waiting)
            self.all.append(made)
            return made

        self.infer = batcher("infer", reader.infer)
        self.extract = batcher("extract", reader.extract)
        self.predict = batcher("predict", reader.predict)
        if reader.emotions:
            self.emotion = batcher("emotion", reader.judge)


def _reading_routes(queues: Queues, max_characters: int, min_probability: float) -> APIRouter:
    router = APIRouter()

    @router.post("/infer", response_model=InferOut)
    async def infer_route(form: TextIn) -> Any:
        """The named entities of a text, in KLUE-NER's groups."""
        return await queues.infer.ask(_checked(form.text, max_characters))

    @router.post("/extract", response_model=ExtractOut, response_model_exclude_none=True)
    async def extract_route(form: ExtractIn) -> Any:
        """The entities and triples of a text, sentence by sentence."""
        found = await queues.extract.ask(_checked(form.text, max_characters))
        least = min_probability if form.min_probability is None else form.min_probability
        records = records_of("", found)
        for record in records:
            del record["document"]
            record["triples"] = [
                triple for triple in record["triples"] if triple["probability"] >= least
            ]
        return {"sentences": records}

    @router.post("/predict", response_model=RelationOut)
    async def predict_route(form: PairIn) -> Any:
        """The relation that the subject has to the object, both marked by offsets."""
        sentence = _checked(form.sentence, max_characters)
        pair = (_entity(sentence, form.subject), _entity(sentence, form.object))
        example = Example("", sentence, *pair)
        if fault := fault_of(example):
            raise HTTPException(422, fault)
        prediction = await queues.predict.ask(example)
        return {
            "relation": prediction.relation,
            "probability": prediction.probability,
            "probs": prediction.probs,
        }

    return router


def _emotion_routes(queues: Queues, max_characters: int) -> APIRouter:
    router = APIRouter()

    @router.post("/emotion", response_model=JudgeOut)
    async def emotion_route(form: JudgeIn) -> Any:
        """Which emotions the text has toward its target, or by itself."""
        text = _checked(form.text, max_characters)
        target = None if form.target is None else Span(form.target.begin, form.target.end)
        if not text.strip():
            raise HTTPException(422, "text: is empty, expected a text")
        if target and not 0 <= target.start < target.end <= len(text):
            raise HTTPException(
                422,
                f"target: ({target.start}, {target.end}) lies outside the text of {len(text)} "
                "characters",
            )
        return {"labels": await queues.emotion.ask(JudgedText("", text, target, None, {}))}

    return router


def _other_routes(
    reader: Reader, max_characters: int, min_probability: float, metrics: Metrics
) -> APIRouter:
    router = APIRouter()

    @router.get("/health", response_model=HealthOut)
    async def health_route() -> Any:
        """That the service is up, and what it answers with."""
        return {
            "status": "ok",
            "version": __version__,
            "ner_model": reader.names[0],
            "model": reader.names[1],
            "entity_types": reader.entity_types,
            "relations": reader.relations,
            "emotions": reader.emotions,
            "min_probability": min_probability,
            "max_characters": max_characters,
        }

    @router.get("/metrics", response_class=Response)
    async def metrics_route() -> Response:
        """Counts and times, in the text form of Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/", include_in_schema=False)
    async def page_route() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    return router


def _checked(text: str, max_characters: int) -> str:
    if len(text) > max_characters:
        raise HTTPException(
            413,
            f"the text has {len(text)} characters; at most {max_characters} are taken, so send it "
            "in pieces",
        )
    return text


def _entity(sentence: str, given: EntityIn) -> Entity:
    return Entity(sentence[given.start : given.end], Span(given.start, given.end), given.type)


async def _one_sentence(request: Request, error: Exception) -> JSONResponse:
    """422 that names each place and what is wrong with it, in place of FastAPI's list."""
    assert isinstance(error, RequestValidationError)
    faults = []
    for one in error.errors():
        place = ".".join(str(part) for part in one["loc"] if part != "body")
        reason = one["msg"]
        if one["type"] == "json_invalid":
            place, reason = f"character {place} of the body", f"no JSON ({one['ctx']['error']})"
        elif not place and "json" not in request.headers.get("content-type", ""):
            reason = "send a JSON object with the header Content-Type: application/json"
        faults.append(f"{place or 'body'}: {reason}")
    return JSONResponse({"detail": "; ".join(faults)}, 422)


async def _busy(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse(
        {"detail": "too many requests wait; try again in a second"}, 503, {"Retry-After": "1"}
    )


async def _defect(_: Request, __: Exception) -> JSONResponse:
    """The traceback is logged; the client learns that it was not its fault."""
    return JSONResponse({"detail": "a defect of the service; its log says more"}, 500)
