"""`kore serve` as a process: its port, its end under load, its models."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.builders import EXAMPLES
from tests.extraction.test_run import write_models
from tests.processes import Forked, start_command
from tests.runs import as_flags, assert_one_sentence, command

from kore.common.errors import UserError
from kore.serve.run import bound_socket, url_of


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


def flags(models: Path, **changed: Any) -> list[str]:
    chosen = {
        "ner_model": models / "tagger.pth",
        "model_file": models / "relations.pth",
        "inverses": "",
        "sentences": "line",
        "precision": "fp32",
        "port": 0,
        **changed,
    }
    return as_flags(**chosen)


def started(models: Path, folder: Path, name: str, **changed: Any) -> tuple[Forked, str]:
    """A service that listens, and its address."""
    served = start_command("serve.py", flags(models, **changed), folder / f"{name}.log")
    while True:
        match = re.search(r"Listening on (\S+)", served.output() if served.log.exists() else "")
        if match:
            return served, match[1]
        assert served.returncode is None, served.output()
        time.sleep(0.05)


def test_two_services_share_their_models(models: Path, tmp_path: Path) -> None:
    one, first = started(models, tmp_path, "one")
    other, second = started(models, tmp_path, "other")
    form = {"text": EXAMPLES[0].sentence}
    answers = [httpx.post(f"{address}/infer", json=form).json() for address in (first, second)]
    assert answers[0] == answers[1]
    assert answers[0]["result"]
    for served in (one, other):
        served.send_signal(signal.SIGINT)
        assert served.wait() in (0, 130, -signal.SIGINT)
        assert "Traceback" not in served.output()


def test_what_was_taken_is_answered_after_sigterm(models: Path, tmp_path: Path) -> None:
    served, address = started(models, tmp_path, "served", batch_size=1)
    text = "\n".join(row.sentence for row in EXAMPLES * 4)

    async def main() -> list[int | str]:
        async with httpx.AsyncClient(base_url=address, timeout=120) as client:
            asked = [
                asyncio.create_task(client.post("/extract", json={"text": f"{text} {number}"}))
                for number in range(12)
            ]
            while not any(task.done() for task in asked):
                await asyncio.sleep(0.001)
            assert not all(task.done() for task in asked)
            served.send_signal(signal.SIGTERM)
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(main()) == [200] * 12
    assert served.wait() in (143, -signal.SIGTERM)
    assert "Traceback" not in served.output()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/health")


def test_a_port_in_use_is_named(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = command("serve.py", *flags(models, port=port))
    assert_one_sentence(result, f"port {port} of 127.0.0.1: Address already in use", "--port")


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"host": "no.such.host.invalid"}, ["--host no.such.host.invalid"]),
        ({"host": "a..b"}, ["--host a..b: not the name of a host"]),
        ({"host": "192.0.2.1"}, ["192.0.2.1", "another --port"]),
        ({"model_file": "missing.pth"}, ["missing.pth"]),
        ({"port": 70000}, ["--port is 70000"]),
        ({"max_characters": 0}, ["--max_characters is 0"]),
    ],
)
def test_what_cannot_be_served_has_one_sentence(
    models: Path,
    changed: dict[str, Any],
    parts: list[str],
) -> None:
    assert_one_sentence(command("serve.py", *flags(models, **changed)), *parts)


def test_types_that_do_not_meet(models: Path) -> None:
    result = command("serve.py", *flags(models, ner_model=models / "other.pth"))
    assert_one_sentence(result, "the tagger finds PS, LC")


def test_a_socket_of_ipv6_has_brackets() -> None:
    try:
        bound = bound_socket("::1", 0)
    except UserError:
        pytest.skip("no IPv6 here")
    with bound:
        assert re.fullmatch(r"http://\[::1\]:\d+", url_of(bound))
