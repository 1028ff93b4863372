"""Searches over one call that stays open: taken as they come, answered as they are ready.

Each is timed, bounded and told its error as if it were a call of its own, see `rpc`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc

from vectorfleet_runtime import deadlines

from .. import metrics
from ..api import shard_pb2, sizes
from . import rpc

MOST = 256
"""Searches of one conversation that are under way; no more are taken meanwhile."""

Search = Callable[[shard_pb2.SearchRequest], Awaitable[shard_pb2.SearchReply]]


class Conversations:
    """What every conversation with this shard has in common.

    Args:
        search: answers one.
        ending: set once the shard stops: each conversation then takes no more, and ends with what it has.
    """

    def __init__(self, search: Search, ending: asyncio.Event) -> None:
        self._search = search
        self._ending = ending
        self._deadlines = deadlines.Deadlines()

    async def converse(
        self, calls: AsyncIterator[shard_pb2.SearchCall], _: rpc.Context
    ) -> AsyncIterator[shard_pb2.SearchAnswer]:
        """Answer the searches of one caller."""
        answers: asyncio.Queue[shard_pb2.SearchAnswer | None] = asyncio.Queue()
        listening = asyncio.create_task(self._listen(calls, answers))
        try:
            while (answer := await answers.get()) is not None:
                yield answer
        finally:
            listening.cancel()

    async def _listen(
        self,
        calls: AsyncIterator[shard_pb2.SearchCall],
        answers: "asyncio.Queue[shard_pb2.SearchAnswer | None]",
    ) -> None:
        under_way: set[asyncio.Task[None]] = set()
        ending = asyncio.create_task(self._ending.wait())
        taking = asyncio.create_task(self._take(calls, answers, under_way))
        try:
            await asyncio.wait((ending, taking), return_when=asyncio.FIRST_COMPLETED)
            taking.cancel()
            if under_way:
                await asyncio.wait(under_way)
        finally:
            for task in (ending, taking, *under_way):
                task.cancel()
            answers.put_nowait(None)

    async def _take(
        self,
        calls: AsyncIterator[shard_pb2.SearchCall],
        answers: "asyncio.Queue[shard_pb2.SearchAnswer | None]",
        under_way: set[asyncio.Task[None]],
    ) -> None:
        async for call in calls:
            task = asyncio.create_task(self._answer(call, answers))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            if len(under_way) >= MOST:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)

    async def _answer(
        self, call: shard_pb2.SearchCall, answers: "asyncio.Queue[shard_pb2.SearchAnswer | None]"
    ) -> None:
        started, status = time.perf_counter(), grpc.StatusCode.OK
        answer = shard_pb2.SearchAnswer(number=call.number)
        try:
            with deadlines.within(self._deadlines, call.milliseconds / 1000):
                answer.reply.CopyFrom(await self._search(call.request))
            # A longer one would end the call, and with it the searches of everyone who is in it.
            if (size := answer.ByteSize()) > sizes.MAX_MESSAGE_BYTES:
                answer, status = (
                    shard_pb2.SearchAnswer(number=call.number),
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                )
                said = f"the answer is larger than max ({size} vs. {sizes.MAX_MESSAGE_BYTES})"
                _refuse(answer, status, said, {})
        except TimeoutError:
            status = grpc.StatusCode.DEADLINE_EXCEEDED
            _refuse(answer, status, "the search took longer than it may", {})
        except Exception as failure:  # noqa: BLE001 (each is answered)
            status = rpc.status_of("Search", failure)
            _refuse(answer, status, *rpc.told(failure))
        finally:
            metrics.RPC_SECONDS.labels("Search", status.name).observe(time.perf_counter() - started)
        answers.put_nowait(answer)


def _refuse(answer: shard_pb2.SearchAnswer, status: grpc.StatusCode, said: str, more: dict[str, str]) -> None:
    answer.code = status.value[0]
    answer.message = said
    answer.more.update(more)
