"""A shard's replica over gRPC: credentials, deadline, and one more try where that is safe.

A shard that restarts is back within seconds. Until it has been away for longer than that, requests wait for
it, so that a restart costs their callers time and no error; after that they fail at once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio

from vectorfleet_runtime import credentials, hosts, parties
from vectorfleet_shardnode.api import (
    replication_pb2,
    replication_pb2_grpc,
    shard_pb2,
    shard_pb2_grpc,
    sizes,
)

from .. import errors, metrics
from . import conversation, statuses

_log = logging.getLogger(__name__)

RECONNECT_SECONDS = 8.0
"""For how long a shard that went away is waited for."""
LINGER_SECONDS = 60.0
"""For how long calls may go on over a connection that was replaced."""
SMALL_TOP_K, SMALL_FULL_TOP_K = 1_000, 100
"""A query for more rows, or for more rows with their values or metadata, has a call of its own."""
_PAUSE_SECONDS = 0.05

_OPTIONS = (
    *sizes.OPTIONS,
    # gRPC's own pauses grow to two minutes, and it asks DNS at most every 30 s: a restarted pod would be
    # missed for as long.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.dns_min_time_between_resolutions_ms", 500),
    ("grpc.enable_retries", 0),
    # Shards are reached directly; a proxy of the environment is for other ways.
    ("grpc.enable_http_proxy", 0),
)

_UNKNOWN_METHOD = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED)

A = TypeVar("A")


@dataclass(frozen=True)
class Dial:
    """How to reach one replica.

    Attributes:
        shard: its number.
        address: host:port, as the configuration names it.
        own: what the gateway shows to shards.
        hosts_file: consulted before DNS.
        waits: whether a replica that went away is waited for; where there are others, they are asked.
    """

    shard: int
    address: str
    own: credentials.Credentials
    hosts_file: Path | None = None
    waits: bool = True


class RemoteShard:
    """A replica behind gRPC; see `shards.ShardClient`. Made inside of the running event loop."""

    width, may_be_stale = 1, False

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._metadata = dial.own.metadata
        self._target = ""
        self._shown = 0
        self._away_since: float | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._conversation: conversation.Conversation | None = None
        self._converses = True
        self._connect()

    async def write(self, request: shard_pb2.WriteRequest, seconds: float) -> shard_pb2.WriteReply:
        """Write one record group, durably."""
        return await self._ask("Write", request, shard_pb2.WriteReply, seconds)

    async def search(self, request: shard_pb2.SearchRequest, seconds: float) -> shard_pb2.SearchReply:
        """Answer a batch of queries, in order."""
        return await self._ask("Search", request, shard_pb2.SearchReply, seconds)

    async def fetch(self, request: shard_pb2.FetchRequest, seconds: float) -> shard_pb2.FetchReply:
        """Read rows by id."""
        return await self._ask("Fetch", request, shard_pb2.FetchReply, seconds)

    async def list(self, request: shard_pb2.ListRequest, seconds: float) -> shard_pb2.ListReply:
        """List ids, ascending."""
        return await self._ask("List", request, shard_pb2.ListReply, seconds)

    async def stats(self, request: shard_pb2.StatsRequest, seconds: float) -> shard_pb2.StatsReply:
        """Count rows by namespace."""
        return await self._ask("Stats", request, shard_pb2.StatsReply, seconds)

    async def report(self, request: shard_pb2.ReportRequest, seconds: float) -> shard_pb2.ReportReply:
        """Say how the replica is."""
        return await self._ask("Report", request, shard_pb2.ReportReply, seconds)

    async def state(self, seconds: float) -> replication_pb2.ReplicaState:
        """Say what the replica is; not tried again."""
        return await self._try("State", replication_pb2.StateRequest(), replication_pb2.ReplicaState, seconds)

    async def close(self) -> None:
        """Close the connection."""
        if self._conversation is not None:
            await self._conversation.cancel()
        await asyncio.gather(self._channel.close(), *self._closing)

    def _connect(self) -> None:
        self._target = hosts.target_of(self._dial.address, self._dial.hosts_file)
        self._shown = self._dial.own.number
        self._channel = self._dial.own.channel(self._target, parties.Role.SHARD, _OPTIONS)
        self._stub = shard_pb2_grpc.ShardStub(self._channel)  # type: ignore[no-untyped-call]  # generated
        self._replica = replication_pb2_grpc.ReplicationStub(self._channel)  # type: ignore[no-untyped-call]
        self._channel.get_state(try_to_connect=True)

    async def _ask(self, method: str, request: object, kind: type[A], seconds: float) -> A:
        deadline = time.monotonic() + seconds
        if self._dial.own.number != self._shown:
            self._reconnect()
        while True:
            left = deadline - time.monotonic()
            try:
                return await self._try(method, request, kind, left)
            except errors.UnavailableError:
                # Half of the time is kept for another try, and for saying why there was none.
                again = self._dial.waits and statuses.is_repeatable(request)
                if not again or not await self._is_back(left / 2):
                    raise

    async def _try(self, method: str, request: object, _: type[A], seconds: float) -> A:
        code, started = grpc.StatusCode.OK, time.perf_counter()
        try:
            reply: A = await self._call(method, request, max(seconds, 0.001))
        except conversation.RefusedError as refused:
            code = refused.code
            _log.debug("shard call failed", extra={"shard": self._dial.shard, "code": code.name})
            self._follow_hosts()
            raise statuses.error_of(code, str(refused), self._dial.shard, refused.more) from None
        else:
            self._away_since = None
            return reply
        finally:
            metrics.observe_shard_call(self._dial.shard, method, code.name, time.perf_counter() - started)

    async def _call(self, method: str, request: object, seconds: float) -> Any:
        if isinstance(request, shard_pb2.SearchRequest) and self._converses and is_small(request):
            if self._conversation is None or self._conversation.ended:
                self._conversation = conversation.Conversation(
                    lambda: self._stub.Searches(metadata=self._metadata)
                )
            asked = self._conversation
            try:
                return await asked.search(request, seconds)
            except conversation.RefusedError as refused:
                if asked.was_answered or refused.code not in _UNKNOWN_METHOD:
                    raise
                self._converses = False  # a shard from before there were any
        stub = self._replica if method == "State" else self._stub
        call: Callable[..., Awaitable[Any]] = getattr(stub, method)
        try:
            return await call(request, timeout=seconds, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise conversation.RefusedError.of(error) from None

    async def _is_back(self, seconds: float) -> bool:
        """Wait for the shard to be there again, and return whether it is worth another try."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        try:
            async with asyncio.timeout(min(self._away_since + RECONNECT_SECONDS - now, seconds)):
                # A shard may be connected and still starting, or stopping already.
                await asyncio.sleep(_PAUSE_SECONDS)
                await self._channel.channel_ready()
        except TimeoutError:
            return False
        return True

    def _follow_hosts(self) -> None:
        if hosts.target_of(self._dial.address, self._dial.hosts_file) != self._target:
            self._reconnect()

    def _reconnect(self) -> None:
        """Go on over a new connection; what is in flight on the old one is answered there."""
        stale, asked = self._channel, self._conversation
        self._conversation, self._converses = None, True
        if asked is not None:
            asked.finish()
        self._connect()
        closing = asyncio.get_running_loop().create_task(stale.close(LINGER_SECONDS))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def is_small(request: shard_pb2.SearchRequest) -> bool:
    """Return whether a search's answer holds up no others that come by the same call. Pure."""
    for query in request.queries:
        full = query.include_values or query.include_metadata
        if query.exact or query.top_k > (SMALL_FULL_TOP_K if full else SMALL_TOP_K):
            return False
    return True
