"""Gathers queries into one search per shard: one batch is in flight, and the next one gathers meanwhile.

An idle lane sends at once, so batching costs nothing when there is nothing to gather. A batch is answered
when its slowest query is, so what is known to be slow goes beside the lane, alone.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from enum import Enum
from typing import NamedTuple

import msgspec

from vectorfleet_shardnode.api import config, effort, shard_pb2

from . import consistency, errors, metrics, shards

MAX_QUERIES = 64
"""Queries of one batch."""
ASKING_TURNS = 3
"""Turns of the event loop in which callers ask again: answers are sent, requests are read, they get here."""
MAX_LANE_ROWS = 1_000
MAX_LANE_FULL_ROWS = 100
"""A query for more rows than this, or for more rows with their values or metadata, goes alone: the answer of
a batch of such may have more MiB than one message takes."""
MAX_BATCH_FULL_ROWS = 640
"""Rows with values or metadata after which a batch takes no more queries, for the same reason."""


class Answered(NamedTuple):
    """A query's matches, and where the shard stood when it found them."""

    matches: shard_pb2.Matches
    position: shard_pb2.Position


class _Asked(msgspec.Struct, frozen=True):
    query: shard_pb2.Query
    deadline: float
    session: consistency.Session
    answer: "asyncio.Future[Answered]"


def goes_alone(query: shard_pb2.Query, serving: config.Generation) -> bool:
    """Return whether a query is known to be slow or large, and is kept out of others' way. Pure."""
    full = query.include_values or query.include_metadata
    large = query.top_k > (MAX_LANE_FULL_ROWS if full else MAX_LANE_ROWS)
    return query.exact or large or effort.is_great(query, serving)


class Way(Enum):
    """What rows are scored by."""

    VECTOR = "vector"
    PARTS = "parts"
    TEXT = "text"


def way_of(query: shard_pb2.Query) -> Way:
    """Return what a query scores rows by. Pure."""
    if query.text:
        return Way.TEXT
    return Way.PARTS if query.parts else Way.VECTOR


class Lanes:
    """The lanes of one shard: one for each way of scoring, so that a slow way holds up its like alone."""

    def __init__(self, shard: shards.ShardClient, serving: config.Generation, number: int = 0) -> None:
        self._lanes = {way: Lane(shard, serving, number) for way in Way}

    def search(self, query: shard_pb2.Query, seconds: float) -> Awaitable[Answered]:
        """Return a query's matches; see `Lane.search`."""
        return self._lanes[way_of(query)].search(query, seconds)


class Lane:
    """The searches of one shard, of one kind.

    Args:
        shard: where they go.
        serving: says how hard queries are by themselves.
        number: of the shard.
    """

    def __init__(self, shard: shards.ShardClient, serving: config.Generation, number: int = 0) -> None:
        self._shard = shard
        self._serving = serving
        self._number = number
        self._waiting: deque[_Asked] = deque()
        self._drivers: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._width = shard.width

    async def search(self, query: shard_pb2.Query, seconds: float) -> Answered:
        """Return a query's matches.

        Raises:
            ApiError: the shard's refusal of this query, or the failure to reach it.
        """
        loop = asyncio.get_running_loop()
        session = consistency.current()
        asked = _Asked(query, loop.time() + seconds, session, loop.create_future())
        if goes_alone(query, self._serving) or session.demands:
            await self._send([asked])
        elif self._is_idle():
            await self._lead(asked)
        else:
            self._waiting.append(asked)
            self._wake()
        return await asked.answer

    def _is_idle(self) -> bool:
        return not self._waiting and self._under_way < self._width

    def _wake(self) -> None:
        if self._waiting and self._under_way < self._width:
            self._under_way += 1
            self._drivers.add(asyncio.get_running_loop().create_task(self._drive()))

    async def _lead(self, asked: _Asked) -> None:
        """Send what finds the lane idle from where it is: a task would cost as much as the sending."""
        self._under_way += 1
        try:
            await self._send([asked])
        finally:
            self._under_way -= 1
            self._wake()

    async def _drive(self) -> None:
        try:
            while batch := self._next():
                await self._send(batch)
                await self._hear(len(batch))
        finally:
            self._under_way -= 1
            self._drivers.remove(asyncio.current_task())  # type: ignore[arg-type]  # it is one

    async def _hear(self, answered: int) -> None:
        """Let those who were just answered together ask again, where they are more than those who wait.

        Else the few who came meanwhile would be searched for first, while all the others gather behind them.
        """
        for _ in range(ASKING_TURNS):
            if answered > max(1, len(self._waiting)):
                await asyncio.sleep(0)

    def _next(self) -> list[_Asked]:
        batch: list[_Asked] = []
        full_rows = 0
        while self._waiting and len(batch) < MAX_QUERIES and full_rows < MAX_BATCH_FULL_ROWS:
            asked = self._waiting.popleft()
            if asked.answer.done():  # whoever asked may have gone
                continue
            batch.append(asked)
            if asked.query.include_values or asked.query.include_metadata:
                full_rows += asked.query.top_k
        return batch

    async def _send(self, batch: list[_Asked]) -> None:
        metrics.BATCH_QUERIES.observe(len(batch))
        seconds = max(asked.deadline for asked in batch) - asyncio.get_running_loop().time()
        demand = batch[0].session  # who demands something goes alone
        request = shard_pb2.SearchRequest(
            queries=[asked.query for asked in batch],
            strong=demand.strong,
            at_least=demand.at_least.get(self._number),
        )
        try:
            reply = await self._shard.search(request, seconds)
            results = reply.results
            if len(results) != len(batch):
                raise errors.InternalError(f"a shard answered {len(results)} of {len(batch)} queries")
        except (errors.InvalidArgumentError, errors.NotFoundError) as error:
            await self._apart(batch, error)
        except Exception as error:  # noqa: BLE001  # each of those who wait is told
            _fail(batch, error)
        else:
            for asked, matches in zip(batch, results, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(Answered(matches, reply.position))

    async def _apart(self, batch: list[_Asked], error: errors.ApiError) -> None:
        """Send a refused batch in halves: a query that is wrong is not its neighbours' fault.

        By halves it is found after a dozen batches at most; those with like filters stay together.
        """
        if len(batch) == 1:
            _fail(batch, error)
            return
        ordered = sorted(batch, key=lambda asked: asked.query.filter)
        middle = len(ordered) // 2
        await self._send(ordered[:middle])
        await self._send(ordered[middle:])


def _fail(batch: list[_Asked], error: Exception) -> None:
    for asked in batch:
        if not asked.answer.done():
            asked.answer.set_exception(error)
