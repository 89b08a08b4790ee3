"""Questions of many requests in few passes: none is lost, none waits for another's fault."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from kore.serve.batcher import Batcher, BusyError


def run(
    compute: Callable[[Sequence[int]], Sequence[int]],
    use: Callable[[Batcher[int, int]], Coroutine[Any, Any, Any]],
    **settings: Any,
) -> Any:
    """What `use` returns with a batcher at work."""

    async def main() -> Any:
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(compute, executor, **{"most": 8, "queue_size": 100, **settings})
            task = asyncio.create_task(batcher.run())
            try:
                return await use(batcher)
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    return asyncio.run(main())


def test_what_waits_is_computed_together_and_answered_in_order() -> None:
    sizes: list[int] = []
    entered, go = threading.Event(), threading.Event()

    def squares(numbers: Sequence[int]) -> list[int]:
        entered.set()
        go.wait(10)
        return [number**2 for number in numbers]

    async def use(batcher: Batcher[int, int]) -> list[int]:
        first = asyncio.create_task(batcher.ask(1))
        await asyncio.to_thread(entered.wait, 10)
        others = [asyncio.create_task(batcher.ask(number)) for number in range(2, 12)]
        await asyncio.sleep(0)
        assert batcher.waiting == 10
        go.set()
        return await asyncio.gather(first, *others)

    assert run(squares, use, observe=sizes.append) == [n**2 for n in range(1, 12)]
    assert sizes == [1, 8, 2]


def test_only_the_question_that_fails_fails() -> None:
    def inverses(numbers: Sequence[int]) -> list[int]:
        return [60 // number for number in numbers]

    async def use(batcher: Batcher[int, int]) -> list[Any]:
        asked = [batcher.ask(number) for number in (3, 0, 4)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = run(inverses, use)
    assert answers[::2] == [20, 15]
    assert isinstance(answers[1], ZeroDivisionError)


def test_a_full_queue_takes_nothing_more() -> None:
    go = threading.Event()

    def same(numbers: Sequence[int]) -> Sequence[int]:
        go.wait(10)
        return numbers

    async def use(batcher: Batcher[int, int]) -> list[int]:
        asked = [asyncio.create_task(batcher.ask(0))]
        while batcher.waiting or not asked:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)  # the first is being computed
        asked += [asyncio.create_task(batcher.ask(number)) for number in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await batcher.ask(3)
        go.set()
        return await asyncio.gather(*asked)

    assert run(same, use, queue_size=2) == [0, 1, 2]


def test_a_request_that_goes_away_holds_nobody_up() -> None:
    go = threading.Event()

    def same(numbers: Sequence[int]) -> Sequence[int]:
        go.wait(10)
        return numbers

    async def use(batcher: Batcher[int, int]) -> int:
        gone = asyncio.create_task(batcher.ask(1))
        await asyncio.sleep(0.05)
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
        go.set()
        return await batcher.ask(2)

    assert run(same, use) == 2
