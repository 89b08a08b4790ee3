"""Micro-batching: concurrent requests share the forward passes of one model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

_LOGGER = logging.getLogger(__name__)

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class BusyError(Exception):
    """As many questions wait as may wait."""


class Batcher(Generic[Question, Answer]):
    """Computes what waits together: while one batch is computed, the next one gathers.

    So a single request waits for nobody, and many share the passes of the model. One event loop
    owns a batcher.

    Args:
        compute: the answers to questions, in their order; runs in `executor`.
        most: questions of a batch.
        queue_size: questions that may wait, beside those that are computed.
        observe: called with the size of each batch.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Question]], Sequence[Answer]],
        executor: Executor,
        *,
        most: int,
        queue_size: int,
        observe: Callable[[int], object] = lambda size: None,
    ) -> None:
        self._compute = compute
        self._executor = executor
        self._most = most
        self._observe = observe
        self._waiting: asyncio.Queue[tuple[Question, asyncio.Future[Answer]]] = asyncio.Queue(
            queue_size
        )

    @property
    def waiting(self) -> int:
        """How many questions wait."""
        return self._waiting.qsize()

    async def ask(self, question: Question) -> Answer:
        """The answer to a question.

        Raises:
            BusyError: the queue is full; nothing has been taken.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((question, future))
        except asyncio.QueueFull:
            raise BusyError from None
        return await future

    async def run(self) -> None:
        """Answers until it is cancelled."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < self._most and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            self._observe(len(batch))
            await self._answer(batch)

    async def _answer(self, batch: list[tuple[Question, asyncio.Future[Answer]]]) -> None:
        loop = asyncio.get_running_loop()
        questions = [question for question, _ in batch]
        try:
            answers = await loop.run_in_executor(self._executor, self._compute, questions)
        except Exception as error:
            if len(batch) > 1:  # only the question that fails fails
                for one in batch:
                    await self._answer([one])
                return
            _LOGGER.exception("a question could not be answered")
            if not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():  # else its request has gone
                future.set_result(answer)
