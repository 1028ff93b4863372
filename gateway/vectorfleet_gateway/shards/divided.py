"""A shard that is read in one place and written in another, as the workers of `vectorfleet serve` do."""

from vectorfleet_shardnode.api import shard_pb2

from .. import shards


class DividedShard:
    """One shard, see `shards.ShardClient`; both parts are closed with it.

    What `writes` has acknowledged has to be seen by `reads`: whoever puts them together answers for that.
    """

    def __init__(self, reads: shards.Reads, writes: shards.ShardClient) -> None:
        self._reads = reads
        self._writes = writes
        self.width, self.may_be_stale = reads.width, False

    async def write(self, request: shard_pb2.WriteRequest, seconds: float) -> shard_pb2.WriteReply:
        """Write one record group, durably."""
        return await self._writes.write(request, seconds)

    async def search(self, request: shard_pb2.SearchRequest, seconds: float) -> shard_pb2.SearchReply:
        """Answer a batch of queries, in order."""
        return await self._reads.search(request, seconds)

    async def fetch(self, request: shard_pb2.FetchRequest, seconds: float) -> shard_pb2.FetchReply:
        """Read rows by id."""
        return await self._reads.fetch(request, seconds)

    async def list(self, request: shard_pb2.ListRequest, seconds: float) -> shard_pb2.ListReply:
        """List ids, ascending."""
        return await self._reads.list(request, seconds)

    async def stats(self, request: shard_pb2.StatsRequest, seconds: float) -> shard_pb2.StatsReply:
        """Count rows by namespace."""
        return await self._reads.stats(request, seconds)

    async def report(self, request: shard_pb2.ReportRequest, seconds: float) -> shard_pb2.ReportReply:
        """Say how the shard that is written is."""
        return await self._writes.report(request, seconds)

    async def close(self) -> None:
        """Close both."""
        await self._reads.close()
        await self._writes.close()
