"""The service: routes over a `Reader`, one queue for each kind of question, and the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
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
from kore.serve.reader import Reader

PAGE = Path(__file__).with_name("page")


@dataclass(frozen=True)
class Bounds:
    """What the service takes; see `LimitOptions`."""

    max_characters: int = 10_000
    max_body: int = 1_000_000
    body_seconds: float = 10.0
    queue_size: int = 256
    batch_size: int = 32


def make_app(reader: Reader, bounds: Bounds, min_probability: float = 0.5) -> ASGIApp:
    """The service over loaded models.

    Args:
        min_probability: of the triples of requests that name none.
    """
    metrics = Metrics()
    # One thread: torch spreads a batch over all cores itself, and two batches would only wait for
    # each other.
    executor = ThreadPoolExecutor(1, thread_name_prefix="kore-model")

    def batcher(kind: str, compute: Any) -> Batcher[Any, Any]:
        made: Batcher[Any, Any] = Batcher(
            compute,
            executor,
            most=bounds.batch_size,
            queue_size=bounds.queue_size,
            observe=metrics.batches_of(kind),
        )
        metrics.watch(kind, lambda: made.waiting)
        return made

    infer = batcher("infer", reader.infer)
    extract = batcher("extract", reader.extract)
    predict = batcher("predict", reader.predict)
    batchers = [infer, extract, predict]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(one.run()) for one in batchers]
        yield  # uvicorn comes back when the last request that was taken has its answer
        for task in tasks:
            task.cancel()
        executor.shutdown()

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

    def checked(text: str) -> str:
        if len(text) > bounds.max_characters:
            raise HTTPException(
                413,
                f"the text has {len(text)} characters; at most {bounds.max_characters} are taken, "
                "so send it in pieces",
            )
        return text

    @app.post("/infer", response_model=InferOut)
    async def infer_route(form: TextIn) -> Any:
        """The named entities of a text, in KLUE-NER's groups."""
        return await infer.ask(checked(form.text))

    @app.post("/extract", response_model=ExtractOut, response_model_exclude_none=True)
    async def extract_route(form: ExtractIn) -> Any:
        """The entities and triples of a text, sentence by sentence."""
        found = await extract.ask(checked(form.text))
        least = min_probability if form.min_probability is None else form.min_probability
        records = records_of("", found)
        for record in records:
            del record["document"]
            record["triples"] = [
                triple for triple in record["triples"] if triple["probability"] >= least
            ]
        return {"sentences": records}

    @app.post("/predict", response_model=RelationOut)
    async def predict_route(form: PairIn) -> Any:
        """The relation that the subject has to the object, both marked by offsets."""
        sentence = checked(form.sentence)
        pair = (_entity(sentence, form.subject), _entity(sentence, form.object))
        example = Example("", sentence, *pair)
        if fault := fault_of(example):
            raise HTTPException(422, fault)
        prediction = await predict.ask(example)
        return {
            "relation": prediction.relation,
            "probability": prediction.probability,
            "probs": prediction.probs,
        }

    if reader.emotions:
        judge = batcher("emotion", reader.judge)
        batchers.append(judge)

        @app.post("/emotion", response_model=JudgeOut)
        async def emotion_route(form: JudgeIn) -> Any:
            """Which emotions the text has toward its target, or by itself."""
            text = checked(form.text)
            target = None if form.target is None else Span(form.target.begin, form.target.end)
            if not text.strip():
                raise HTTPException(422, "text: is empty, expected a text")
            if target and not 0 <= target.start < target.end <= len(text):
                raise HTTPException(
                    422,
                    f"target: ({target.start}, {target.end}) lies outside the text of {len(text)} "
                    "characters",
                )
            return {"labels": await judge.ask(JudgedText("", text, target, None, {}))}

    @app.get("/health", response_model=HealthOut)
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
            "max_characters": bounds.max_characters,
        }

    @app.get("/metrics", response_class=Response)
    async def metrics_route() -> Response:
        """Counts and times, in the text form of Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/", include_in_schema=False)
    async def page_route() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return ServiceMiddleware(app, bounds.max_body, bounds.body_seconds, metrics)


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
