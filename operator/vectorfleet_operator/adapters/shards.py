"""The shard nodes over gRPC: the only module that imports grpc.

A replica that does not answer in time is no error here: the caller learns that there is no report.
"""

import pathlib

import grpc

from vectorfleet_runtime import hosts
from vectorfleet_shardnode.api import shard_pb2, shard_pb2_grpc

from .. import ports

_TIMEOUT_SECONDS = 2.0


class GrpcShards:
    """Implements `ports.Shards` on one channel for each replica.

    Args:
        hosts_file: a file like /etc/hosts whose names are known without asking DNS.
    """

    def __init__(self, hosts_file: pathlib.Path | None = None) -> None:
        self._hosts_file = hosts_file
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def report(self, address: str, token: str) -> ports.ShardReport | None:
        """Return what the replica at `address` says of itself, or None."""
        stub = shard_pb2_grpc.ShardStub(self._channel(address))  # type: ignore[no-untyped-call]
        metadata = (("authorization", f"Bearer {token}"),)
        try:
            reply = await stub.Report(shard_pb2.ReportRequest(), timeout=_TIMEOUT_SECONDS, metadata=metadata)
        except grpc.aio.AioRpcError:
            await self._forget(address)  # its address may be another by now
            return None
        return _to_report(address, reply)

    async def close(self) -> None:
        """Close every channel."""
        for address in list(self._channels):
            await self._forget(address)

    def _channel(self, address: str) -> grpc.aio.Channel:
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(hosts.target_of(address, self._hosts_file))
        return self._channels[address]

    async def _forget(self, address: str) -> None:
        channel = self._channels.pop(address, None)
        if channel is not None:
            await channel.close()


def _to_report(address: str, reply: shard_pb2.ReportReply) -> ports.ShardReport:
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
    )
