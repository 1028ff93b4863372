"""The shard's API as async methods on its messages: what the gRPC server wraps and `vectorfleet serve` calls.

Writes are `writing`'s, reads are `reads`'.
"""

import asyncio
import dataclasses
import functools
import time
from pathlib import Path

import prometheus_client

from .. import errors, gate, metrics, shard, storage
from .. import shape as shapes
from ..api import config, shard_pb2
from ..limits import cgroup, meter
from ..replication import replica
from ..replication import service as replication
from ..settings import Tuning
from ..snapshot import Snapshot
from . import reads, replying, reporting, writing


@dataclasses.dataclass(frozen=True)
class Machine:
    """What a shard may use: threads for searches, 0 for one for each core, and memory."""

    search_threads: int = 0
    memory: meter.Meter = meter.UNLIMITED


async def open_service(
    index: config.IndexConfig,
    number: int,
    data_dir: Path,
    tuning: Tuning | None = None,
    machine: Machine | None = None,
    membership: replica.Membership | None = None,
) -> "ShardService":
    """Open shard `number` of an index in `data_dir`, replay its log, and serve it in this process.

    Raises:
        TooLargeError: it does not fit into the memory limit, even without graphs.
        WrongIdentityError: the folder holds rows of another index, dimension or metric.
        DataLossError: its files are damaged.
        NotHereError: another process serves it.
        OSError: the disk is full or failing.
    """
    machine = machine or Machine()
    bounds, place = tuning or Tuning(), storage.Place(machine.memory)
    threads = machine.search_threads or cgroup.cores()
    if membership is not None:
        joined = await replica.open_replica(index, number, data_dir, bounds, place, membership)
        joined.opened.maintenance.start()
        return ShardService(joined.opened, index, number, threads, joined)
    opened = await asyncio.to_thread(
        functools.partial(storage.open_shard, index, number, data_dir, bounds, place=place)
    )
    opened.maintenance.start()
    return ShardService(opened, index, number, threads)


class _States:
    """What is read: what the shard shows, at once."""

    def __init__(self, served: shard.Shard, barred: gate.Gate) -> None:
        self._shard = served
        self.barrier = barred.barrier
        self.epoch_at = served.log.epoch_at

    @property
    def shape(self) -> shapes.Shape:
        """What vectors must be."""
        return self._shard.shape

    def level(self) -> Snapshot:
        """Return the newest state that is committed."""
        return self._shard.snapshot

    catch_up = level


class ShardService:
    """One shard, served. Every method raises a `ShardError`, whose `code` is the gRPC status."""

    def __init__(
        self,
        opened: storage.OpenShard,
        index: config.IndexConfig,
        number: int,
        threads: int,
        joined: replica.Replica | None = None,
    ) -> None:
        self._opened = opened
        self._shard = opened.shard
        self._joined = joined
        self._gate: gate.Gate = joined.gate if joined is not None else gate.Alone(opened.shard)
        self._number = number
        self._reads = reads.Reads(_States(opened.shard, self._gate), index.serving, number, threads)
        self._reporter = reporting.Reporter(opened, index, number)
        self._closing = False
        self._writer = writing.Writer(opened.shard)
        self._collector = metrics.Collector(self._reporter.measured)
        prometheus_client.REGISTRY.register(self._collector)

    @property
    def refusal(self) -> str:
        """Why the shard is not ready, empty where it is."""
        if self._closing:
            return "stopping"
        return self._joined.refusal if self._joined is not None else ""

    @property
    def replication(self) -> replication.ReplicationService | None:
        """The calls of replication.proto, None where there are no other replicas."""
        return self._joined.service if self._joined is not None else None

    async def starts_over(self) -> None:
        """Wait until the shard has to be closed and opened anew, because its data is replaced."""
        if self._joined is None:
            await asyncio.Event().wait()
        else:
            await self._joined.driver.starting_over.wait()

    def share(self) -> Path:
        """Let other processes read the same files; returns where they find what is visible."""
        return self._shard.share()

    async def leave(self) -> None:
        """Before the end: let another replica take over, and serve meanwhile."""
        if self._joined is not None:
            await self._joined.leave()

    async def close(self) -> None:
        """Finish what is under way, make it durable, and give the folder back."""
        self._closing = True
        self._reads.refuse()
        prometheus_client.REGISTRY.unregister(self._collector)
        if self._joined is not None:
            await self._joined.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        self._reads.close()
        self._opened.close()
        if self._joined is not None:
            self._joined.finish()

    async def write(self, request: shard_pb2.WriteRequest) -> shard_pb2.WriteReply:
        """Write one record group; durable and visible when this returns."""
        size = request.ByteSize()
        self._check_open()
        self._gate.admit(request.epoch, size)
        done = await asyncio.wrap_future(self._writer.submit(request))
        written = await self._gate.outcome(done, size)
        return shard_pb2.WriteReply(
            position=replying.position(self._number, written), affected=written.affected
        )

    async def search(self, request: shard_pb2.SearchRequest) -> shard_pb2.SearchReply:
        """Answer a batch of queries, in order."""
        self._shard.last_search = time.monotonic()
        return await self._reads.search(request)

    async def fetch(self, request: shard_pb2.FetchRequest) -> shard_pb2.FetchReply:
        """Return the rows that exist, in the order asked."""
        return await self._reads.fetch(request)

    async def list(self, request: shard_pb2.ListRequest) -> shard_pb2.ListReply:
        """Return ids in ascending order of their UTF-8 bytes."""
        return await self._reads.list(request)

    async def stats(self, request: shard_pb2.StatsRequest) -> shard_pb2.StatsReply:
        """Return rows by namespace, all or those that pass a filter."""
        return await self._reads.stats(request)

    async def report(self, _: shard_pb2.ReportRequest) -> shard_pb2.ReportReply:
        """Return what the operator needs to know."""
        self._check_open()
        report = await asyncio.to_thread(self._reporter.report)
        if self._joined is not None:
            report.replica.CopyFrom(self._joined.service.state_now())
        return report

    def _check_open(self) -> None:
        if self._closing:
            raise errors.UnavailableError("the shard is stopping")
