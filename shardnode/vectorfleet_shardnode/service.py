"""The shard's API as async methods on its messages: what the gRPC server wraps and `vectorfleet serve` calls.

Writes go through one thread, in the order they came; their fsyncs are shared. Where reads run is `readers`'
to say.
"""

import asyncio
import concurrent.futures
import dataclasses
import functools
import importlib.metadata
import os
import time
from collections.abc import Sequence
from pathlib import Path

import prometheus_client
import threadpoolctl

from . import (
    errors,
    explaining,
    files,
    filters,
    fitness,
    gate,
    keys,
    metrics,
    operations,
    readers,
    records,
    states,
    storage,
    text_search,
)
from . import shape as shapes
from .api import config, reserved, shard_pb2
from .arrays import Scores
from .limits import cgroup, guard, meter
from .multivector import question as parts_question
from .multivector import search as parts_search
from .replication import replica
from .replication import service as replication
from .segments import part
from .settings import Tuning
from .snapshot import Place, Snapshot

MAX_TOP_K = 10_000
MAX_PAGE = 10_000
MAX_OVERSAMPLING = 100
_PATIENCE = 1.0  # seconds that a read waits for the write it demands
_SHORT_TOP_K = 100
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
        self._index = index
        self._number = number
        self._closing = False
        # Each search has a thread: a pool of BLAS's own beside them makes matrix products many times slower.
        threadpoolctl.threadpool_limits(1, "blas")
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "write")
        self._readers = readers.Readers(threads)
        self._collector = metrics.Collector(self._state)
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
        return shard_pb2.WriteReply(position=self._position(written), affected=written.affected)

    def _submit(self, request: shard_pb2.WriteRequest) -> states.Done:
        return self._shard.write(operations.parse(request, self._shard.shape), request.write_id)

    async def search(self, request: shard_pb2.SearchRequest) -> shard_pb2.SearchReply:
        """Answer a batch of queries, in order."""
        state = await self._state_for(request)
        run = self._readers.run_short if _is_short(request) else self._readers.run
        return await run(self._search, state, request)

    def _search(self, state: Snapshot, request: shard_pb2.SearchRequest) -> shard_pb2.SearchReply:
        started = time.perf_counter()
        reply = shard_pb2.SearchReply(position=self._position(state))
        queries, results = list(request.queries), []
        for query in queries:
            results.append(matches := reply.results.add())
            if query.text:
                _fill(matches, state, text_search.search(state, self._text_question(query)), query)
            if query.parts:
                _answer_parts(matches, state, self._parts_question(query), query)
        for numbers in _alike(queries).values():
            question = self._question(state, [queries[number] for number in numbers])
            for number, found in zip(numbers, state.search(question), strict=True):
                _fill(results[number], state, found, queries[number])
        took = explaining.Pass(len(results), time.perf_counter() - started)
        for query, matches in zip(queries, results, strict=True):
            if query.explain:
                matches.explanation = explaining.explain(state, query, self._number, took)
        return reply

    def _question(self, state: Snapshot, queries: list[shard_pb2.Query]) -> part.Question:
        first = queries[0]
        _check_top_k(first)
        data = b"".join(query.vector for query in queries)
        vectors = shapes.parse_vectors(data, len(queries), self._shard.shape)
        return part.Question(
            namespace=first.namespace,
            queries=state.comparable(vectors),
            k=first.top_k,
            wanted=filters.parse(first.filter, state.shape.dates),
            ef=first.ef_search or self._index.serving.hnsw.ef_search,
            exact=first.exact,
            probes=first.probes or self._index.serving.ivf.probes,
            oversampling=_oversampling(first) or self._index.serving.quantization.oversampling,
            rescore=self._index.serving.quantization.rescore,
        )

    def _text_question(self, query: shard_pb2.Query) -> text_search.Question:
        if query.vector or query.parts:
            raise errors.BadRequestError("a query has one of vector, parts and text; send one of them")
        _check_top_k(query)
        wanted = filters.parse(query.filter, self._shard.shape.dates)
        return text_search.Question(query.namespace, query.text, query.top_k, wanted)

    def _parts_question(self, query: shard_pb2.Query) -> parts_question.Question:
        if query.vector or query.text:
            raise errors.BadRequestError("a query has one of vector, parts and text; send one of them")
        _check_top_k(query)
        serving = self._index.serving
        terms = parts_question.parse_terms(query.parts, self._shard.shape, exact=query.exact)
        oversampling = (query.oversampling, serving.quantization.oversampling)
        return parts_question.Question(
            namespace=query.namespace,
            terms=terms,
            k=query.top_k,
            wanted=filters.parse(query.filter, self._shard.shape.dates),
            ef=query.ef_search or serving.hnsw.ef_search,
            depths=parts_question.depths_of(query.top_k, *oversampling, terms),
            exact=query.exact,
            sparse_vector=parts_question.parse_sparse(query.parts, self._shard.shape),
        )

    async def fetch(self, request: shard_pb2.FetchRequest) -> shard_pb2.FetchReply:
        """Return the rows that exist, in the order asked."""
        state = await self._state_for(request)
        return await self._readers.run(self._fetch, state, request)

    def _fetch(self, state: Snapshot, request: shard_pb2.FetchRequest) -> shard_pb2.FetchReply:
        place = state.locate(keys.keys_of(request.namespace, list(request.ids)))
        fields = part.Fields(request.include_values, request.include_metadata)
        reply = shard_pb2.FetchReply(position=self._position(state))
        _fill_rows(reply.rows, state.take(place, fields))
        return reply

    async def list(self, request: shard_pb2.ListRequest) -> shard_pb2.ListReply:
        """Return ids in ascending order of their UTF-8 bytes."""
        if not 1 <= request.limit <= MAX_PAGE:
            raise errors.BadRequestError(f"limit is {request.limit}; 1 to {MAX_PAGE} are possible")
        page = part.Page(request.namespace, request.prefix, request.after, request.limit)
        state = await self._state_for(request)
        ids = await self._readers.run(state.list_ids, page)
        return shard_pb2.ListReply(ids=ids, position=self._position(state))

    async def stats(self, request: shard_pb2.StatsRequest) -> shard_pb2.StatsReply:
        """Return rows by namespace, all or those that pass a filter."""
        wanted = filters.parse(request.filter, self._shard.shape.dates)
        state = await self._state_for(request)
        counts = await self._readers.run(state.count, wanted)
        return shard_pb2.StatsReply(namespaces=counts, position=self._position(state))

    async def report(self, _: shard_pb2.ReportRequest) -> shard_pb2.ReportReply:
        """Return what the operator needs to know."""
        self._check_open()
        report = await asyncio.to_thread(self._report)
        if self._joined is not None:
            report.replica.CopyFrom(self._joined.service.state_now())
        return report

    def _report(self) -> shard_pb2.ReportReply:
        state, folder = self._shard.snapshot, self._shard.folder
        return shard_pb2.ReportReply(
            index=self._index.index,
            generation=self._index.serving.name,
            shard=self._number,
            position=self._position(state),
            rows=_users_rows(state),
            unindexed_rows=self._opened.maintenance.waiting_rows(),
            dead_rows=sum(view.dead_rows for view in state.sealed),
            segments=len(state.sealed),
            memory_limit_bytes=self._shard.limits.bounds.limit,
            memory_used_bytes=self._shard.limits.used(),
            memory_bytes=resident_bytes(),
            disk_bytes=files.bytes_under(folder),
            disk_free_bytes=guard.volume_of(folder).free,
            building=self._opened.maintenance.building,
            version=program_version(),
            problem=self._shard.refusal or self._opened.maintenance.problem,
            conditions=[
                *self._shard.limits.conditions(),
                *fitness.conditions(
                    self._index.serving.quantization, [view.segment.descriptor for view in state.sealed]
                ),
            ],
        )

    def _state(self) -> tuple[shard_pb2.ReportReply, dict[str, int]]:
        return self._report(), self._shard.snapshot.count(None)

    def _position(self, at: states.Written | Snapshot) -> shard_pb2.Position:
        return shard_pb2.Position(shard=self._number, epoch=at.epoch, seq=at.seq)

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


def _is_short(request: shard_pb2.SearchRequest) -> bool:
    """Tell whether a search is one walk for a few rows: short, unless disk or new rows hold it up."""
    if len(request.queries) != 1:
        return False
    query = request.queries[0]
    return not (query.exact or query.text or query.parts or query.explain) and query.top_k <= _SHORT_TOP_K


def _alike(queries: Sequence[shard_pb2.Query]) -> dict[object, list[int]]:
    """Group the numbers of queries that differ in nothing but their vectors: one pass serves them all."""
    groups: dict[object, list[int]] = {}
    for number, query in enumerate(queries):
        if query.parts or query.text:
            continue  # each is answered alone
        effort = (query.top_k, query.ef_search, query.exact, query.probes, query.oversampling)
        groups.setdefault((query.namespace, query.filter, effort), []).append(number)
    return groups


def _check_top_k(query: shard_pb2.Query) -> None:
    if not 1 <= query.top_k <= MAX_TOP_K:
        raise errors.BadRequestError(f"top_k is {query.top_k}; 1 to {MAX_TOP_K} are possible")


def _oversampling(query: shard_pb2.Query) -> int:
    if query.oversampling > MAX_OVERSAMPLING:
        raise errors.BadRequestError(
            f"oversampling is {query.oversampling}; up to {MAX_OVERSAMPLING} is possible"
        )
    return query.oversampling


def _answer_parts(
    matches: shard_pb2.Matches, state: Snapshot, asked: parts_question.Question, query: shard_pb2.Query
) -> None:
    found = parts_search.search(state, asked)
    _fill(matches, state, found, query)
    if query.explain and asked.sparse_vector is not None:
        scores = parts_search.sparse_scores(state, asked.sparse_vector, found[1])
        matches.sparse_scores = scores.astype("<f4", copy=False).tobytes()


def _fill(
    matches: shard_pb2.Matches, state: Snapshot, found: tuple[Scores, Place], query: shard_pb2.Query
) -> None:
    """Write what was found into a message that stands in the reply already, so that nothing is copied."""
    scores, place = found
    matches.scores = scores.astype("<f4", copy=False).tobytes()
    _fill_rows(matches.rows, state.take(place, part.Fields(query.include_values, query.include_metadata)))


def _fill_rows(message: shard_pb2.Rows, rows: records.Rows) -> None:
    message.ids.extend(rows.ids)
    message.vectors = rows.vectors.tobytes()
    message.metadata.extend(rows.metadata)
    for name, column in rows.filled.items():
        message.fields.add(name=name, counts=column.counts.tolist(), vectors=column.items.tobytes())
    if (pairs := rows.pairs) is not None:
        indices, values = pairs.items["index"].tobytes(), pairs.items["value"].tobytes()
        message.fields.add(name=config.SPARSE, counts=pairs.counts.tolist(), vectors=values, indices=indices)


def _users_rows(state: Snapshot) -> int:
    own = state.locate(keys.keys_of(reserved.NAMESPACE, reserved.PROBES))
    return state.live_rows - int((own.parts >= 0).sum())


def resident_bytes() -> int:
    """Return the process's resident memory, mapped files included."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@functools.cache
def program_version() -> str:
    """Return the version of this program."""
    return importlib.metadata.version("vectorfleet")
