"""A shard in the gateway's own process, as `vectorfleet serve` runs it: the same calls without a hop."""

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

import grpc

from vectorfleet_runtime import deadlines
from vectorfleet_shardnode.api import shard_pb2

from .. import errors
from . import statuses

A = TypeVar("A")


class Reading(Protocol):
    """What can be asked in process: reads of `shard.proto`. Its errors carry their status as `code`."""

    async def search(self, request: shard_pb2.SearchRequest) -> shard_pb2.SearchReply: ...  # noqa: D102
    async def fetch(self, request: shard_pb2.FetchRequest) -> shard_pb2.FetchReply: ...  # noqa: D102
    async def list(self, request: shard_pb2.ListRequest) -> shard_pb2.ListReply: ...  # noqa: D102
    async def stats(self, request: shard_pb2.StatsRequest) -> shard_pb2.StatsReply: ...  # noqa: D102


class Service(Reading, Protocol):
    """What a shard offers in process: the calls of `shard.proto`."""

    async def write(self, request: shard_pb2.WriteRequest) -> shard_pb2.WriteReply: ...  # noqa: D102
    async def report(self, request: shard_pb2.ReportRequest) -> shard_pb2.ReportReply: ...  # noqa: D102


class InProcessReads:
    """What can be asked of a shard, as `shards.Reads`; whoever made it closes it."""

    width, may_be_stale = 1, False

    def __init__(self, shard: int, asked: Reading) -> None:
        self._shard = shard
        self._asked = asked
        self._deadlines = deadlines.Deadlines()

    async def search(self, request: shard_pb2.SearchRequest, seconds: float) -> shard_pb2.SearchReply:
        """Answer a batch of queries, in order."""
        return await self._ask(self._asked.search(request), seconds)

    async def fetch(self, request: shard_pb2.FetchRequest, seconds: float) -> shard_pb2.FetchReply:
        """Read rows by id."""
        return await self._ask(self._asked.fetch(request), seconds)

    async def list(self, request: shard_pb2.ListRequest, seconds: float) -> shard_pb2.ListReply:
        """List ids, ascending."""
        return await self._ask(self._asked.list(request), seconds)

    async def stats(self, request: shard_pb2.StatsRequest, seconds: float) -> shard_pb2.StatsReply:
        """Count rows by namespace."""
        return await self._ask(self._asked.stats(request), seconds)

    async def close(self) -> None:
        """Leave the service to its owner."""

    async def _ask(self, call: Awaitable[A], seconds: float) -> A:
        try:
            with deadlines.within(self._deadlines, seconds):
                return await call
        except TimeoutError:
            raise errors.DeadlineExceededError(f"shard {self._shard} did not answer in time") from None
        except Exception as error:
            if isinstance(code := _code(error), grpc.StatusCode):
                raise statuses.error_of(code, str(error), self._shard) from error
            raise


class InProcessShard(InProcessReads):
    """A shard's service as a `shards.ShardClient`."""

    def __init__(self, shard: int, service: Service) -> None:
        super().__init__(shard, service)
        self._service = service

    async def write(self, request: shard_pb2.WriteRequest, seconds: float) -> shard_pb2.WriteReply:
        """Write one record group, durably."""
        return await self._ask(self._service.write(request), seconds)

    async def report(self, request: shard_pb2.ReportRequest, seconds: float) -> shard_pb2.ReportReply:
        """Say how the shard is."""
        return await self._ask(self._service.report(request), seconds)


def _code(error: Exception) -> Any:
    return getattr(error, "code", None)
