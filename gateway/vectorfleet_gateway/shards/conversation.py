"""Searches of one replica over one call that stays open, each with a number, a time and an error of its own.

A call each would cost gateway and shard several times more than a message each does.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import grpc.aio

from vectorfleet_runtime import deadlines
from vectorfleet_shardnode.api import shard_pb2

from . import statuses

Begin = Callable[[], "grpc.aio.StreamStreamCall[shard_pb2.SearchCall, shard_pb2.SearchAnswer]"]
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class RefusedError(Exception):
    """A search that has no answer, as the status of a call would say it.

    Args:
        code: gRPC's.
        message: the shard's words, or those of the way to it.
        more: what came beside the message, for programs.
    """

    def __init__(self, code: grpc.StatusCode, message: str, more: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.more = more

    @classmethod
    def of(cls, failed: grpc.aio.AioRpcError) -> "RefusedError":
        """Return what a call that failed comes to."""
        said, more = failed.details() or failed.code().name, dict(failed.trailing_metadata() or ())
        return cls(statuses.code_of(failed.code(), said), said, more)


class Conversation:
    """One call; begun by the first search, and over with the first that fails as a whole.

    Args:
        begin: begins the call.

    Attributes:
        ended: whether it takes no more searches.
    """

    def __init__(self, begin: Begin) -> None:
        self._call = begin()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[shard_pb2.SearchReply]] = {}
        self._deadlines = deadlines.Deadlines()
        self._outgoing: asyncio.Queue[shard_pb2.SearchCall | None] = asyncio.Queue()
        self._answered = False
        self.ended = False
        loop = asyncio.get_running_loop()
        # One task writes: a write that is cancelled, as by the time of a search, would end the whole call.
        self._tasks = (loop.create_task(self._read()), loop.create_task(self._write()))

    @property
    def was_answered(self) -> bool:
        """Whether the shard has ever answered a search of it."""
        return self._answered

    async def search(self, request: shard_pb2.SearchRequest, seconds: float) -> shard_pb2.SearchReply:
        """Return the answer of a search.

        Raises:
            RefusedError: there is none.
        """
        number = next(self._numbers)
        answer: asyncio.Future[shard_pb2.SearchReply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        said = shard_pb2.SearchCall(number=number, request=request, milliseconds=max(1, int(seconds * 1000)))
        try:
            self._outgoing.put_nowait(said)
            with deadlines.within(self._deadlines, seconds):
                return await answer
        except TimeoutError:
            raise RefusedError(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time", {}) from None
        finally:
            del self._waiting[number]

    def finish(self) -> None:
        """Take no more searches; those under way are answered."""
        self.ended = True
        self._outgoing.put_nowait(None)

    async def cancel(self) -> None:
        """End it now."""
        self.ended = True
        self._call.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _write(self) -> None:
        # Where it has ended, the reader tells everyone why.
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while (said := await self._outgoing.get()) is not None:
                await self._call.write(said)
            await self._call.done_writing()

    async def _read(self) -> None:
        refused = RefusedError(grpc.StatusCode.UNAVAILABLE, "the call was broken off", {})
        try:
            async for answer in self._call:
                self._answered = True
                self._take(answer)
            # The call ended well: the shard stops, and what it did not answer it did not take.
            refused = RefusedError(grpc.StatusCode.UNAVAILABLE, "the shard takes no more searches", {})
        except grpc.aio.AioRpcError as error:
            refused = RefusedError.of(error)
        finally:
            self.ended = True
            self._outgoing.put_nowait(None)
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(refused)

    def _take(self, answer: shard_pb2.SearchAnswer) -> None:
        waiting = self._waiting.get(answer.number)
        if waiting is None or waiting.done():
            return  # whoever asked has gone
        if answer.code:
            code = _CODES.get(answer.code, grpc.StatusCode.UNKNOWN)
            waiting.set_exception(RefusedError(code, answer.message, dict(answer.more)))
        else:
            waiting.set_result(answer.reply)
