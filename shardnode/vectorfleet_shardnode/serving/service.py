"""The shard's API as async methods on its messages: what the gRPC server wraps and `vectorfleet serve` calls.

Writes go through one thread, in the order they came; their fsyncs are shared. Reads wait here for the state
that they demand; where they run is `readers`' to say.
"""

import asyncio
import concurrent.futures
import dataclasses
import functools
from pathlib import Path

import prometheus_client
import threadpoolctl

from .. import errors, filters, gate, keys, metrics, operations, states, storage
from ..api import config, shard_pb2
from ..limits import cgroup, meter
from ..replication import replica
from ..replication import service as replication
from ..segments import part
from ..settings import Tuning
from ..snapshot import Snapshot
from . import readers, replying, reporting, searching

MAX_PAGE = 10_000
_PATIENCE = 1.0  # seconds that a read waits for the write it demands
Demanding = shard_pb2.SearchRequest | shard_pb2.FetchRequest | shard_pb2.ListRequest | shard_pb2.StatsRequest
"""Reads, which may ask for a state that holds certain writes."""


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
        self._searches = searching.Searches(index.serving, number)
        self._reporter = reporting.Reporter(opened, index, number)
        self._closing = False
        # Each search has a thread: a pool of BLAS's own beside them makes matrix products many times slower.
        threadpoolctl.threadpool_limits(1, "blas")
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "write")
        self._readers = readers.Readers(threads)
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

    async def leave(self) -> None:
        """Before the end: let another replica take over, and serve meanwhile."""
        if self._joined is not None:
            await self._joined.leave()

    async def close(self) -> None:
        """Finish what is under way, make it durable, and give the folder back."""
        self._closing = True
        self._readers.refuse()
        prometheus_client.REGISTRY.unregister(self._collector)
        if self._joined is not None:
            await self._joined.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.close()
        self._opened.close()
        if self._joined is not None:
            self._joined.finish()

    async def write(self, request: shard_pb2.WriteRequest) -> shard_pb2.WriteReply:
        """Write one record group; durable and visible when this returns."""
        size = request.ByteSize()
        self._check_open()
        self._gate.admit(request.epoch, size)
        submitting = asyncio.get_running_loop().run_in_executor(self._writer, self._submit, request)
        done = await submitting
        written = await self._gate.outcome(done, size)
        return shard_pb2.WriteReply(
            position=replying.position(self._number, written), affected=written.affected
        )

    def _submit(self, request: shard_pb2.WriteRequest) -> states.Done:
        return self._shard.write(operations.parse(request, self._shard.shape), request.write_id)

    async def search(self, request: shard_pb2.SearchRequest) -> shard_pb2.SearchReply:
        """Answer a batch of queries, in order."""
        state = await self._state_for(request)
        run = self._readers.run_short if searching.is_short(request) else self._readers.run
        return await run(self._searches.answer, state, request)

    async def fetch(self, request: shard_pb2.FetchRequest) -> shard_pb2.FetchReply:
        """Return the rows that exist, in the order asked."""
        state = await self._state_for(request)
        return await self._readers.run(self._fetch, state, request)

    def _fetch(self, state: Snapshot, request: shard_pb2.FetchRequest) -> shard_pb2.FetchReply:
        place = state.locate(keys.keys_of(request.namespace, list(request.ids)))
        fields = part.Fields(request.include_values, request.include_metadata)
        reply = shard_pb2.FetchReply(position=replying.position(self._number, state))
        replying.fill_rows(reply.rows, state.take(place, fields))
        return reply

    async def list(self, request: shard_pb2.ListRequest) -> shard_pb2.ListReply:
        """Return ids in ascending order of their UTF-8 bytes."""
        if not 1 <= request.limit <= MAX_PAGE:
            raise errors.BadRequestError(f"limit is {request.limit}; 1 to {MAX_PAGE} are possible")
        page = part.Page(request.namespace, request.prefix, request.after, request.limit)
        state = await self._state_for(request)
        ids = await self._readers.run(state.list_ids, page)
        return shard_pb2.ListReply(ids=ids, position=replying.position(self._number, state))

    async def stats(self, request: shard_pb2.StatsRequest) -> shard_pb2.StatsReply:
        """Return rows by namespace, all or those that pass a filter."""
        wanted = filters.parse(request.filter, self._shard.shape.dates)
        state = await self._state_for(request)
        counts = await self._readers.run(state.count, wanted)
        return shard_pb2.StatsReply(namespaces=counts, position=replying.position(self._number, state))

    async def report(self, _: shard_pb2.ReportRequest) -> shard_pb2.ReportReply:
        """Return what the operator needs to know."""
        self._check_open()
        report = await asyncio.to_thread(self._reporter.report)
        if self._joined is not None:
            report.replica.CopyFrom(self._joined.service.state_now())
        return report

    async def _state_for(self, request: Demanding) -> Snapshot:
        """Return a state that holds what a read demands; waits a little for what is on its way."""
        wanted, state = request.at_least, self._shard.snapshot
        if wanted.seq and wanted.shard != self._number:
            raise errors.BadRequestError(
                f"this is shard {self._number}; the position is of shard {wanted.shard}"
            )
        seq = max(wanted.seq, await self._gate.barrier()) if request.strong else wanted.seq
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while state.seq < seq:
            if asyncio.get_running_loop().time() > deadline:
                raise errors.NotHereError(f"this replica is at seq {state.seq}; seq {seq} was demanded")
            await asyncio.sleep(0.005)
            state = self._shard.snapshot
        return state

    def _check_open(self) -> None:
        if self._closing:
            raise errors.UnavailableError("the shard is stopping")
