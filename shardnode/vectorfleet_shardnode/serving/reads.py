"""The reads of a shard's API, on its messages: each waits for the state that it demands, and runs on it.

Whose state it is, `Source` hides: of the process that writes, or of a secondary.
"""

import asyncio
from typing import Protocol

import threadpoolctl

from .. import errors, filters, keys
from .. import shape as shapes
from ..api import config, shard_pb2
from ..segments import part
from ..snapshot import Snapshot
from . import readers, replying, searching

MAX_PAGE = 10_000
_PATIENCE = 1.0  # seconds that a read waits for the write it demands
Demanding = shard_pb2.SearchRequest | shard_pb2.FetchRequest | shard_pb2.ListRequest | shard_pb2.StatsRequest
"""Reads, which may ask for a state that holds certain writes."""


class Source(Protocol):
    """Where the states come from. `shape` is what vectors must be."""

    @property
    def shape(self) -> shapes.Shape: ...  # noqa: D102

    def level(self) -> Snapshot | None:
        """Return the state that readers see; None where it has to `catch_up` first."""
        ...

    def catch_up(self) -> Snapshot:
        """Return the state that readers see; blocks."""
        ...

    async def barrier(self) -> int:
        """Return a seq such that a state that holds it holds all that was acknowledged before now."""
        ...

    def epoch_at(self, seq: int, /) -> int | None:
        """Return the epoch of the record `seq`, None where that is not known, or not any more."""
        ...


class Reads:
    """The reads of one shard. Every method raises a `ShardError`, whose `code` is the gRPC status.

    Args:
        source: of states.
        serving: what queries leave open.
        number: of the shard.
        threads: how many reads run at a time.
    """

    def __init__(self, source: Source, serving: config.Generation, number: int, threads: int) -> None:
        self._source = source
        self._number = number
        self._searches = searching.Searches(serving, number)
        # Each search has a thread: a pool of BLAS's own beside them makes matrix products many times slower.
        threadpoolctl.threadpool_limits(1, "blas")
        self._readers = readers.Readers(threads)

    def refuse(self) -> None:
        """Take no more reads."""
        self._readers.refuse()

    def close(self) -> None:
        """Wait for what is under way; blocks."""
        self._readers.close()

    async def search(self, request: shard_pb2.SearchRequest) -> shard_pb2.SearchReply:
        """Answer a batch of queries, in order."""
        state = await self._state_for(request)
        run = self._readers.run_short if self._searches.is_short(request) else self._readers.run
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
        wanted = filters.parse(request.filter, self._source.shape.declared)
        state = await self._state_for(request)
        counts = await self._readers.run(state.count, wanted)
        return shard_pb2.StatsReply(namespaces=counts, position=replying.position(self._number, state))

    async def _state_for(self, request: Demanding) -> Snapshot:
        """Return a state that holds what a read demands; waits a little for what is on its way."""
        wanted = request.at_least
        if wanted.seq and wanted.shard != self._number:
            raise errors.BadRequestError(
                f"this is shard {self._number}; the position is of shard {wanted.shard}"
            )
        state = self._source.level() or await self._newest()
        if not (request.strong or wanted.seq):
            return state
        seq = max(wanted.seq, await self._source.barrier()) if request.strong else wanted.seq
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        self._check_kept(wanted, state)
        while state.seq < seq:
            if asyncio.get_running_loop().time() > deadline:
                raise errors.NotHereError(f"this replica is at seq {state.seq}; seq {seq} was demanded")
            await asyncio.sleep(0.005)
            state = await self._newest()
            self._check_kept(wanted, state)
        return state

    def _check_kept(self, wanted: shard_pb2.Position, state: Snapshot) -> None:
        """Refuse a write whose place is known to be another record's; epochs never fall along a log.

        Raises:
            LostWriteError: the shard went on without it.
            NotHereError: this replica went on without it, and the others did not.
        """
        if not wanted.seq or not wanted.epoch:
            return
        reached = state.seq >= wanted.seq
        epoch = self._source.epoch_at(wanted.seq) if reached else state.epoch
        if epoch is not None and epoch > wanted.epoch:
            raise errors.LostWriteError(
                f"the write at seq {wanted.seq} of epoch {wanted.epoch} is lost: the shard went on without "
                f"it in epoch {epoch}; read without demanding it, or write it again"
            )
        if reached and epoch is not None and epoch < wanted.epoch:
            raise errors.NotHereError(
                f"this replica has another record at seq {wanted.seq}, of epoch {epoch}; one of epoch "
                f"{wanted.epoch} was demanded"
            )

    async def _newest(self) -> Snapshot:
        if (state := self._source.level()) is None:
            state = await self._readers.run(self._source.catch_up)
        return state
