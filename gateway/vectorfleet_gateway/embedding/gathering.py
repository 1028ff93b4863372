"""Gathers texts into requests: an idle embedder is asked at once, and what comes meanwhile goes together.

Queries go before rows, so that a load of rows does not hold them up for longer than the requests in flight
take.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from .. import errors
from .wire import Matrix, Role

MAX_WAITING = 4_000
"""Texts that wait, of one kind: four upserts of the greatest size."""

Send = Callable[[Role, list[str], float], Awaitable[Sequence[Matrix]]]
"""Embeds texts of one kind within so many seconds."""


@dataclass(frozen=True, slots=True)
class _Asked:
    text: str
    deadline: float
    answer: "asyncio.Future[Matrix]"


class Gatherer:
    """The texts that wait for an embedder.

    Args:
        send: embeds a batch.
        batch_size: texts of one batch.
        concurrency: batches in flight.
    """

    def __init__(self, send: Send, batch_size: int, concurrency: int) -> None:
        self._send = send
        self._batch_size = batch_size
        self._concurrency = concurrency
        self._waiting: dict[Role, deque[_Asked]] = {role: deque() for role in Role}
        self._drivers: set[asyncio.Task[None]] = set()

    async def vectors(self, role: Role, texts: Sequence[str], seconds: float) -> list[Matrix]:
        """Return the vector of each text, shape (dimensions,).

        Raises:
            ExhaustedError: too many texts wait already.
            ApiError: what the embedder failed with.
        """
        waiting = self._waiting[role]
        if len(waiting) + len(texts) > MAX_WAITING:
            raise errors.ExhaustedError(
                f"{len(waiting)} texts wait for the embedder already; try again later"
            )
        loop = asyncio.get_running_loop()
        asked = [_Asked(text, loop.time() + seconds, loop.create_future()) for text in texts]
        waiting.extend(asked)
        while len(self._drivers) < min(self._concurrency, self._needed()):
            driver = loop.create_task(self._drive())
            self._drivers.add(driver)
            driver.add_done_callback(self._drivers.discard)
        try:
            return await asyncio.gather(*(one.answer for one in asked))
        finally:  # where one failed, nobody waits for the others
            for one in asked:
                one.answer.cancel()

    def _needed(self) -> int:
        texts = sum(len(waiting) for waiting in self._waiting.values())
        return len(self._drivers) + -(-texts // self._batch_size)

    async def _drive(self) -> None:
        while True:
            role = Role.QUERY if self._waiting[Role.QUERY] else Role.DOCUMENT
            batch = self._next(role)
            if batch:
                await self._embed(role, batch)
            elif not any(self._waiting.values()):
                return

    def _next(self, role: Role) -> list[_Asked]:
        batch: list[_Asked] = []
        waiting = self._waiting[role]
        while waiting and len(batch) < self._batch_size:
            asked = waiting.popleft()
            if not asked.answer.done():  # whoever asked may have gone
                batch.append(asked)
        return batch

    async def _embed(self, role: Role, batch: list[_Asked]) -> None:
        seconds = max(asked.deadline for asked in batch) - asyncio.get_running_loop().time()
        try:
            vectors = await self._send(role, [asked.text for asked in batch], seconds)
        except errors.InvalidArgumentError as error:
            await self._apart(role, batch, error)
        except Exception as error:  # noqa: BLE001  # each of those who wait is told
            _fail(batch, error)
        else:
            for asked, vector in zip(batch, vectors, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(vector)

    async def _apart(self, role: Role, batch: list[_Asked], error: errors.ApiError) -> None:
        """Send a refused batch in halves: one text that is too long is not its neighbours' fault."""
        if len(batch) == 1:
            _fail(batch, error)
            return
        middle = len(batch) // 2
        await self._embed(role, batch[:middle])
        await self._embed(role, batch[middle:])


def _fail(batch: list[_Asked], error: Exception) -> None:
    for asked in batch:
        if not asked.answer.done():
            asked.answer.set_exception(error)
