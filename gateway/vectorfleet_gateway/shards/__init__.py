"""How the gateway reaches a shard: one protocol, over gRPC, in the same process, or both."""

from typing import Protocol

from vectorfleet_shardnode.api import shard_pb2


class Reads(Protocol):
    """What one shard is asked. `seconds` is how long a call may take; failures are `errors.ApiError`s.

    Attributes:
        width: how many searches may usefully be under way at a time: one for each replica.
        may_be_stale: whether nobody who was reached says that it leads and acknowledges writes.
    """

    width: int
    may_be_stale: bool

    async def search(self, request: shard_pb2.SearchRequest, seconds: float) -> shard_pb2.SearchReply:
        """Answer a batch of queries, in order."""
        ...

    async def fetch(self, request: shard_pb2.FetchRequest, seconds: float) -> shard_pb2.FetchReply:
        """Read rows by id."""
        ...

    async def list(self, request: shard_pb2.ListRequest, seconds: float) -> shard_pb2.ListReply:
        """List ids, ascending."""
        ...

    async def stats(self, request: shard_pb2.StatsRequest, seconds: float) -> shard_pb2.StatsReply:
        """Count rows by namespace."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class ShardClient(Reads, Protocol):
    """One shard."""

    async def write(self, request: shard_pb2.WriteRequest, seconds: float) -> shard_pb2.WriteReply:
        """Write one record group, durably."""
        ...

    async def report(self, request: shard_pb2.ReportRequest, seconds: float) -> shard_pb2.ReportReply:
        """Say how the replica is."""
        ...
