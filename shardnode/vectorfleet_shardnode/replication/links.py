"""The ways to the other replicas: a channel for each address, credentials, a deadline on every call."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from vectorfleet_runtime import credentials, hosts, parties

from ..api import replication_pb2, replication_pb2_grpc, sizes

APPEND_SECONDS = 3.0
CONFIRM_SECONDS = 2.0
CHECKPOINT_SECONDS = 10.0
_STALLED_SECONDS = 300.0  # of one file; a stalled copy goes on where it was
_LINGER_SECONDS = 30.0
_OPTIONS = (
    *sizes.OPTIONS,
    # A replica that comes back must be found within a heartbeat or two, at whatever address it has by then.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.dns_min_time_between_resolutions_ms", 500),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
)


class LinkError(Exception):
    """A call did not come back with an answer."""


@dataclasses.dataclass
class _Link:
    target: str
    shown: int
    channel: grpc.aio.Channel
    stub: replication_pb2_grpc.ReplicationStub


class Links:
    """Calls to other replicas; made inside of the running event loop.

    Args:
        own: what replicas show each other.
        hosts_file: consulted before DNS.
    """

    def __init__(self, own: credentials.Credentials, hosts_file: Path | None = None) -> None:
        self._own = own
        self._metadata = own.metadata
        self._hosts_file = hosts_file
        self._links: dict[str, _Link] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def append(
        self, address: str, request: replication_pb2.AppendRequest
    ) -> replication_pb2.AppendReply:
        """Send records or a heartbeat.

        Raises:
            LinkError: no answer; nothing is known of what became of it.
        """
        reply: replication_pb2.AppendReply = await self._ask(address, "Append", request, APPEND_SECONDS)
        return reply

    async def confirm(
        self, address: str, request: replication_pb2.ConfirmRequest
    ) -> replication_pb2.ConfirmReply:
        """Ask what was promised.

        Raises:
            LinkError: no answer.
        """
        reply: replication_pb2.ConfirmReply = await self._ask(address, "Confirm", request, CONFIRM_SECONDS)
        return reply

    async def checkpoint(
        self, address: str, request: replication_pb2.CheckpointRequest
    ) -> replication_pb2.CheckpointReply:
        """Ask for the segments that there are.

        Raises:
            LinkError: no answer.
        """
        reply: replication_pb2.CheckpointReply = await self._ask(
            address, "Checkpoint", request, CHECKPOINT_SECONDS
        )
        return reply

    async def read_file(self, address: str, request: replication_pb2.ReadFileRequest) -> AsyncIterator[bytes]:
        """Yield a file's bytes from the offset that is asked for.

        Raises:
            LinkError: it broke off; what came is good, and the rest may be asked for.
        """
        call = self._stub(address).ReadFile(request, timeout=_STALLED_SECONDS, metadata=self._metadata)
        try:
            async for chunk in call:
                yield chunk.data
        except grpc.aio.AioRpcError as failed:
            raise self._failure(address, failed) from failed

    async def close(self) -> None:
        """Close every channel."""
        for address in list(self._links):
            await self._links.pop(address).channel.close()
        await asyncio.gather(*self._closing)

    async def _ask(self, address: str, method: str, request: object, seconds: float) -> Any:
        call: Callable[..., Awaitable[Any]] = getattr(self._stub(address), method)
        try:
            return await call(request, timeout=seconds, metadata=self._metadata)
        except grpc.aio.AioRpcError as failed:
            raise self._failure(address, failed) from failed

    def _stub(self, address: str) -> replication_pb2_grpc.ReplicationStub:
        known = self._links.get(address)
        if known is not None and known.shown != self._own.number:
            self._drop(address)  # new certificates
        if address not in self._links:
            target, shown = hosts.target_of(address, self._hosts_file), self._own.number
            channel = self._own.channel(target, parties.Role.SHARD, _OPTIONS)
            stub = replication_pb2_grpc.ReplicationStub(channel)  # type: ignore[no-untyped-call]
            self._links[address] = _Link(target, shown, channel, stub)
        return self._links[address].stub

    def _drop(self, address: str) -> None:
        """Go on over a new channel; what is in flight on the old one is answered there."""
        stale = self._links.pop(address).channel
        closing = asyncio.get_running_loop().create_task(stale.close(_LINGER_SECONDS))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _failure(self, address: str, failed: grpc.aio.AioRpcError) -> LinkError:
        link = self._links.get(address)
        if link is not None and hosts.target_of(address, self._hosts_file) != link.target:
            self._drop(address)  # it has moved
        return LinkError(f"{address}: {failed.code().name} {failed.details()}")
