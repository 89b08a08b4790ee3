"""Prometheus metrics of the service."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Those of one service; several may live in a process."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "kore_requests", "Requests that are over", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "kore_request_seconds",
            "From the head of a request to the last byte of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._batches = Histogram(
            "kore_batch_size",
            "Requests computed together",
            ["kind"],
            buckets=_SIZES,
            registry=registry,
        )
        self._waiting = Gauge(
            "kore_waiting", "Requests that wait for the model", ["kind"], registry=registry
        )

    def count(self, route: str, status: int, seconds: float) -> None:
        """Counts a request that is over."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batches_of(self, kind: str) -> Callable[[int], None]:
        """A function to call with the size of each batch."""
        return self._batches.labels(kind).observe

    def watch(self, kind: str, waiting: Callable[[], int]) -> None:
        """Asks for the length of a queue whenever the metrics are read."""
        self._waiting.labels(kind).set_function(waiting)

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self._registry)
