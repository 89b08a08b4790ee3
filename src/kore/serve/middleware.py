"""What stands before every route: a deadline for bodies, security headers, counts and times."""

from __future__ import annotations

import asyncio
import time

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kore.serve.metrics import Metrics

# The page loads its own files and talks to its own service, and nothing else.
_HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; "
    b"img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}
_OWN_POLICY = ("/docs", "/redoc")  # FastAPI's pages, which load scripts from elsewhere
CLIENT_GONE = 499  # counted for a request that ended without an answer


class ServiceMiddleware:
    """See the ASGI specification.

    It stands before the app as a whole, so that what the app itself refuses, or fails at, is
    counted and has the headers as well.

    Args:
        max_body: bytes; a larger body is refused by its head where that says so, and by the app
            where it does not.
        body_seconds: from a request's head to the last byte of its body.
    """

    def __init__(self, app: ASGIApp, max_body: int, body_seconds: float, metrics: Metrics) -> None:
        self._app = app
        self._max_body = max_body
        self._body_seconds = body_seconds
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on a request that is watched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = CLIENT_GONE

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not scope["path"].startswith(_OWN_POLICY):
                    message["headers"] = [*message.get("headers", ()), *_HEADERS.items()]
            await send(message)

        length = dict(scope["headers"]).get(b"content-length", b"")
        try:
            if length.isdigit() and int(length) > self._max_body:
                detail = f"the body has {int(length)} bytes; at most {self._max_body} are taken"
                refusal = JSONResponse({"detail": detail}, 413, {"Connection": "close"})
                await refusal(scope, receive, watched_send)
            else:
                await self._app(scope, timely(receive, self._body_seconds), watched_send)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.count(route, status, time.perf_counter() - started)


def timely(receive: Receive, seconds: float) -> Receive:
    """`receive` that gives up on a body which is not there in time.

    Raises:
        HTTPException: 408, where a message is awaited.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    is_complete = False

    async def timed_receive() -> Message:
        nonlocal is_complete
        if is_complete:  # what comes now is that the client goes, which may take its time
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(
                408, f"no whole body within {seconds:g} seconds", {"Connection": "close"}
            ) from None
        is_complete = not message.get("more_body", False)
        return message

    return timed_receive
