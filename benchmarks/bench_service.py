"""The service on loopback: requests a second and latencies of 1, 8 and 64 clients.

    python benchmarks/bench_service.py --data_file klue-re-v1.1_dev_half.json

Starts `src/serve.py` with the models that ship, batched and with `--batch_size 1`, each client of
which asks again as soon as it has its answer; ways and numbers of clients take turns, the medians
of the rounds are shown. Then so many requests as `--total` says, of which every answer is compared
with that of the first request of the same text, while the memory of the service is watched. Ends
with a table for people and one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

import _path  # noqa: F401
from kore.data.rows import read_examples

SERVE = Path(__file__).parents[1] / "src" / "serve.py"
CLIENTS = (1, 8, 64)


@contextmanager
def served(*flags: str) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a service and its process; SIGTERM ends it."""
    command = [sys.executable, str(SERVE), "--port", "0", "--queue_size", "100000", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise SystemExit("the service did not start; its message stands above")
        try:
            yield found[0], psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)


async def ask(
    address: str, route: str, texts: Sequence[str], clients: int, seconds: float, total: int
) -> tuple[list[float], list[tuple[str, int, Any]]]:
    """Latencies, and (text, status, answer) of each request, until time or texts are out."""
    times: list[float] = []
    answers: list[tuple[str, int, Any]] = []
    end = time.perf_counter() + seconds
    number = 0

    async def client(session: httpx.AsyncClient) -> None:
        nonlocal number
        while number < total and time.perf_counter() < end:
            text = texts[number % len(texts)]
            number += 1
            began = time.perf_counter()
            answer = await session.post(route, json={"text": text})
            times.append(time.perf_counter() - began)
            answers.append((text, answer.status_code, answer.json()))

    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return times, answers


def measure(
    address: str, route: str, texts: Sequence[str], clients: int, seconds: float
) -> dict[str, float]:
    began = time.perf_counter()
    times, answers = asyncio.run(ask(address, route, texts, clients, seconds, sys.maxsize))
    taken = time.perf_counter() - began
    assert {status for _, status, _ in answers} == {200}
    p50, p95, p99 = np.percentile(times, [50, 95, 99]) * 1000
    return {"rate": len(times) / taken, "p50": p50, "p95": p95, "p99": p99}


def account(address: str, process: psutil.Process, texts: Sequence[str], total: int) -> Any:
    """Asks `total` times; every answer is counted, and the same text has the same answer."""
    memory = []
    counts: Counter[str] = Counter()
    first: dict[str, Any] = {}
    for part in np.array_split(np.arange(total), 10):
        chosen = [texts[number % len(texts)] for number in part]
        _, answers = asyncio.run(ask(address, "/infer", chosen, 32, 3600, len(chosen)))
        for text, status, answer in answers:
            spans = [(one["entity_group"], one["start"], one["end"]) for one in answer["result"]]
            same = first.setdefault(text, spans) == spans and answer["input"] == text
            counts[str(status) if same else "other answer"] += 1
        memory.append(process.memory_info().rss / 2**20)
    return {"answers": dict(counts), "memory_mib": [round(one) for one in memory]}


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_file", required=True)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--total", type=int, default=10_000)
    chosen = parser.parse_args(arguments)
    texts = sorted({row.sentence for row in read_examples(Path(chosen.data_file))})[:500]
    measured: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    with served() as (batched, process), served("--batch_size", "1") as (single, _):
        ways = {"batched": batched, "one by one": single}
        for address in ways.values():
            for route in ("/infer", "/extract"):
                measure(address, route, texts, 8, 2.0)  # warms up
        for _ in range(chosen.rounds):
            for route in ("/infer", "/extract"):
                for clients in CLIENTS:
                    for way, address in ways.items():
                        one = measure(address, route, texts, clients, chosen.seconds)
                        measured.setdefault((route, way, clients), []).append(one)
        accounted = account(batched, process, texts, chosen.total)
    print("| route | clients | way | requests a second | p50, ms | p95, ms | p99, ms |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for (route, way, clients), ones in sorted(measured.items()):
        median = {key: statistics.median(one[key] for one in ones) for key in ones[0]}
        rows.append({"route": route, "way": way, "clients": clients, **median})
        numbers = " | ".join(f"{median[key]:.0f}" for key in ("p50", "p95", "p99"))
        print(f"| `{route}` | {clients} | {way} | {median['rate']:.1f} | {numbers} |")
    print(f"{chosen.total} requests: {accounted['answers']}; MiB: {accounted['memory_mib']}")
    print(json.dumps({"rows": rows, **accounted}))


if __name__ == "__main__":
    main()
