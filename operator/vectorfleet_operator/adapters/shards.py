"""The shard nodes over gRPC: the only module that imports grpc.

A replica that does not answer in time is no error here: the caller learns that there is no answer.
"""

import asyncio
import dataclasses
import json
import logging
import pathlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from vectorfleet_runtime import certificates, credentials, hosts, parties
from vectorfleet_shardnode.api import replication_pb2 as pb
from vectorfleet_shardnode.api import replication_pb2_grpc, shard_pb2, shard_pb2_grpc

from .. import pki, ports, replication
from . import replica_messages

_LOG = logging.getLogger(__name__)
_STATE_SECONDS = 0.8
_REPORT_SECONDS = 1.0
_CALL_SECONDS = 3.0
_REBUILD_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
"""For how long a channel may be connecting, over several calls, until its address is looked up anew."""


@dataclasses.dataclass(frozen=True)
class _Way:
    """A channel to a replica: by which certificate it was made, and when."""

    token: str
    channel: grpc.aio.Channel
    since: float


_REFUSALS = (grpc.StatusCode.DATA_LOSS, grpc.StatusCode.FAILED_PRECONDITION)
"""What a replica answers to everything that serves nothing; its report says why."""


class _RefusedError(Exception):
    """A replica answers that it serves nothing; its data is damaged, or may be."""

    def __init__(self, *, damaged: bool) -> None:
        super().__init__()
        self.damaged = damaged


class GrpcShards:
    """Implements `ports.Shards` on one channel for each replica.

    Args:
        hosts_file: a file like /etc/hosts whose names are known without asking DNS.
    """

    def __init__(self, hosts_file: pathlib.Path | None = None) -> None:
        self._hosts_file = hosts_file
        self._ways: dict[str, _Way] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def state(self, address: str, token: str) -> replication.Told | None:
        """Return what the replica at `address` is now, or None."""
        make: Callable[..., Any] = replication_pb2_grpc.ReplicationStub
        try:
            asked = pb.StateRequest()
            reply = await self._look(address, token, lambda to: make(to).State, asked, _STATE_SECONDS)
        except _RefusedError as refused:
            told = await self._report(address, token)
            if told is None or not (told.refusal or (told.problem and refused.damaged)):
                return None  # it serves by now, or is of a version that does not say
            return replica_messages.read_refusal(told)
        return None if reply is None else replica_messages.read_state(reply)

    async def report(self, address: str, token: str) -> ports.ShardReport | None:
        """Return what the replica at `address` says of itself, or None."""
        reply = await self._report(address, token)
        return None if reply is None else _to_report(address, reply)

    async def _report(self, address: str, token: str) -> Any:
        make: Callable[..., Any] = shard_pb2_grpc.ShardStub
        asked = shard_pb2.ReportRequest()
        return await self._look(address, token, lambda to: make(to).Report, asked, _REPORT_SECONDS)

    async def _look(
        self,
        address: str,
        token: str,
        method: Callable[[grpc.aio.Channel], Callable[..., Awaitable[Any]]],
        request: Any,
        seconds: float,
    ) -> Any:
        """Ask a replica what changes nothing; None where it does not answer, which is no news to tell."""
        try:
            return await method(await self._channel(address, token))(request, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSALS:
                raise _RefusedError(damaged=error.code() is grpc.StatusCode.DATA_LOSS) from error
            if not self._still_connects(address, error):
                self._forget(address)  # its address may be another by now
            return None

    async def seal(
        self, address: str, token: str, epoch: int, disk: str, *, begins: bool
    ) -> replication.Sealed | None:
        """Let a replica promise an epoch."""
        request = pb.SealRequest(epoch=epoch, disk=disk, begins=begins)
        reply = await self._call(address, token, lambda stub: stub.Seal, request)
        if reply is None:
            return None
        last = replica_messages.read_position(reply.last)
        return replication.Sealed(reply.sealed, reply.promised, last, reply.disk)

    async def lead(
        self, address: str, token: str, configuration: replication.Configuration, seconds: float
    ) -> replication.Led | None:
        """Let a sealed replica lead."""
        named = replica_messages.build_configuration(configuration)
        request = pb.LeadRequest(configuration=named, seconds=seconds)
        reply = await self._call(address, token, lambda stub: stub.Lead, request, seconds + _CALL_SECONDS)
        if reply is None:
            return None
        return replication.Led(reply.leading, reply.held, replica_messages.read_position(reply.last))

    async def configure(
        self,
        address: str,
        token: str,
        configuration: replication.Configuration,
        learners: tuple[replication.Member, ...],
    ) -> int | None:
        """Tell a committed configuration."""
        request = pb.ConfigureRequest(
            configuration=replica_messages.build_configuration(configuration),
            learners=[replica_messages.build_member(one) for one in learners],
        )
        reply = await self._call(address, token, lambda stub: stub.Configure, request)
        return None if reply is None else int(reply.epoch)

    async def rebuild(self, address: str, token: str, disk: str, epoch: int) -> str | None:
        """Let a replica give up its data."""
        request = pb.RebuildRequest(disk=disk, epoch=epoch)
        reply = await self._call(address, token, lambda stub: stub.Rebuild, request, _REBUILD_SECONDS)
        return None if reply is None else str(reply.disk)

    async def close(self) -> None:
        """Close every channel."""
        for task in self._closing:
            task.cancel()
        for address in list(self._ways):
            await self._ways.pop(address).channel.close()

    async def _call(
        self,
        address: str,
        token: str,
        method: Callable[[Any], Callable[..., Awaitable[Any]]],
        request: Any,
        seconds: float = _CALL_SECONDS,
    ) -> Any:
        try:
            channel = await self._channel(address, token)
            stub = replication_pb2_grpc.ReplicationStub(channel)  # type: ignore[no-untyped-call]
            return await method(stub)(request, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            extra = {"address": address, "call": type(request).__name__, "reason": error.details()}
            _LOG.warning("a replica did not do what it was told", extra=extra)
            return None

    async def _channel(self, address: str, token: str) -> grpc.aio.Channel:
        """Return a channel by which the certificate in `token` is shown; a new one where that is new."""
        if address in self._ways and self._ways[address].token != token:
            self._forget(address)
        if address not in self._ways:
            parts = json.loads(token)
            own = certificates.Loaded(
                parts[certificates.CERTIFICATE].encode(),
                parts[certificates.KEY].encode(),
                parts[certificates.AUTHORITIES].encode(),
                number=1,
            )
            facts = pki.read(parts[certificates.CERTIFICATE])
            demanded = parties.counterpart(
                facts.names[0] if facts and facts.names else "", parties.Role.SHARD
            )
            target = hosts.target_of(address, self._hosts_file)
            channel = credentials.connect(own, demanded, target)
            self._ways[address] = _Way(token, channel, asyncio.get_running_loop().time())
        return self._ways[address].channel

    def _still_connects(self, address: str, error: grpc.aio.AioRpcError) -> bool:
        """Return whether a call ran out of time on a channel that is being made: the next may find it made.

        On a slow link a handshake takes longer than a call may; begun anew by each, it would never end. Nor
        would it where it ends within a call, and leaves that too little time for its answer.
        """
        way = self._ways.get(address)
        if way is None or error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
            return False
        return asyncio.get_running_loop().time() - way.since < _CONNECT_SECONDS

    def _forget(self, address: str) -> None:
        """Use another channel from now on; calls that are under way on this one must not be cut off."""
        way = self._ways.pop(address, None)
        if way is not None:
            task = asyncio.create_task(_close_later(way.channel))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _close_later(channel: grpc.aio.Channel) -> None:
    try:
        await asyncio.sleep(2 * _REBUILD_SECONDS)  # the longest call is over by then
    finally:
        await channel.close()


def _to_report(address: str, reply: shard_pb2.ReportReply) -> ports.ShardReport:
    replica = replica_messages.read_state(reply.replica) if reply.HasField("replica") else None
    return ports.ShardReport(
        pod=address.partition(".")[0],
        epoch=reply.position.epoch,
        seq=reply.position.seq,
        rows=reply.rows,
        unindexed_rows=reply.unindexed_rows,
        segments=reply.segments,
        memory_bytes=reply.memory_bytes,
        disk_bytes=reply.disk_bytes,
        building=reply.building,
        version=reply.version,
        problem=reply.problem,
        conditions=tuple(ports.ShardCondition(one.type, one.reason, one.message) for one in reply.conditions),
        replica=replica,
    )
