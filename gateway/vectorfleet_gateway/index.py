"""The index as the routes see it: every shard of the serving generation behind one face.

Each call goes to the shards that it concerns at the same time, and comes back merged. A shard that fails
fails the call, since an answer that lacks a shard would pass for a whole one; a search whose caller takes a
part says which shards it lacks.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import TypeVar

from vectorfleet_runtime import deadlines
from vectorfleet_shardnode.api import config, field_types, placement, reserved, shard_pb2

from . import batching, consistency, errors, fusion, routing, shards
from .caching import cache, positions
from .embedding import embedder, wire
from .reranking import order, reranker

A = TypeVar("A")
R = TypeVar("R", shard_pb2.ListRequest, shard_pb2.StatsRequest)

PARTIAL_SHARE = 0.9
"""Of the time that is left, what shards have where a part of them is enough: the rest is for answering."""


class Index:
    """One index, its serving generation and that one's shards.

    Args:
        settled: dimensions, metric, fields; the number of shards is that of `clients`.
        clients: by shard number.

    Attributes:
        cache: of answers; None where the index wants none.
    """

    def __init__(self, settled: config.IndexConfig, clients: Sequence[shards.ShardClient]) -> None:
        self.config = settled
        self.generation = settled.serving
        self.types: field_types.Types = {field.name: field.type for field in settled.metadata.fields}
        self._clients = tuple(clients)
        self._replicated = [(number, one) for number, one in enumerate(clients) if one.width > 1]
        self._deadlines = deadlines.Deadlines()
        self._lanes = tuple(
            batching.Lanes(client, self.generation, number) for number, client in enumerate(clients)
        )
        self._embedder: embedder.Embedder | None = None
        self._reranker: reranker.Reranker | None = None
        self.cache: cache.ResultCache | None = None
        if settled.cache is not None:
            asked, replicated = positions.Positions(self.positions), any(one.width > 1 for one in clients)
            self.cache = cache.ResultCache(settled.cache, asked, replicated=replicated)

    def stale(self) -> list[int]:
        """Return the shards of which plain reads may be stale: no primary of theirs is known."""
        return [number for number, one in self._replicated if one.may_be_stale]

    def attach(self, embedding: embedder.Embedder | None, reranking: reranker.Reranker | None) -> None:
        """Take the services that the configuration names; they are closed with the index."""
        self._embedder, self._reranker = embedding, reranking

    @property
    def shards(self) -> int:
        """How many shards the generation has."""
        return len(self._clients)

    async def upsert(self, namespace: str, rows: Sequence[routing.Row], seconds: float) -> None:
        """Write rows, each to its shard. Where a shard fails, others may have written theirs."""
        parts = routing.split_rows(namespace, rows, self.shards)
        await self._write(
            {
                number: shard_pb2.WriteRequest(namespace=namespace, upsert=shard_pb2.Upsert(rows=part))
                for number, part in parts.items()
            },
            seconds,
        )

    async def update(self, namespace: str, update: shard_pb2.Update, seconds: float) -> None:
        """Change a row, where it exists."""
        number = placement.shard_of(namespace, update.id, self.shards)
        await self._write({number: shard_pb2.WriteRequest(namespace=namespace, update=update)}, seconds)

    async def delete_ids(self, namespace: str, ids: Iterable[str], seconds: float) -> None:
        """Delete rows by id."""
        parts = routing.split_ids(namespace, ids, self.shards)
        await self._write(
            {
                number: _delete(namespace, shard_pb2.Delete(ids=shard_pb2.Ids(ids=part)))
                for number, part in parts.items()
            },
            seconds,
        )

    async def delete_where(self, namespace: str, condition: bytes, seconds: float) -> int:
        """Delete the rows that pass a filter; an empty one means all of the namespace. Return how many."""
        what = shard_pb2.Delete(filter=condition) if condition else shard_pb2.Delete(all=True)
        request = _delete(namespace, what)
        return await self._write(dict.fromkeys(range(self.shards), request), seconds)

    def search(
        self, queries: Sequence[shard_pb2.Query], seconds: float, *, partial: bool = False
    ) -> Awaitable[list[routing.Found]]:
        """Find the best rows of all shards for each of some queries, which are asked at the same time.

        Args:
            queries: what is asked.
            seconds: that the answers may take.
            partial: whether the answers of some shards are enough; `Found.missing` tells of the others.
        """
        return _gather([self._search(query, seconds, partial=partial) for query in queries])

    async def _search(self, query: shard_pb2.Query, seconds: float, *, partial: bool) -> routing.Found:
        started = time.perf_counter()
        missing: dict[int, str] = {}
        if partial:
            seconds *= PARTIAL_SHARE
            asked = (self._search_shard(number, query, seconds) for number in range(self.shards))
            answers, missing = routing.part_answers(await asyncio.gather(*asked, return_exceptions=True))
        else:
            answers = await _gather([lanes.search(query, seconds) for lanes in self._lanes])
        matches = [answer.matches for answer in answers]
        hits = routing.merge_matches(matches, query, self.generation)
        told = [one.explanation or b"{}" for one in matches] if query.explain else []
        at = _positions(answer.position for answer in answers)
        return routing.Found(hits, told, time.perf_counter() - started, missing, at)

    async def positions(self, seconds: float) -> Mapping[int, positions.Position]:
        """Return where each shard's primary stands; a read of no row is the cheapest of their calls."""
        request = shard_pb2.FetchRequest(strong=True)
        replies = await _gather(client.fetch(request, seconds) for client in self._clients)
        return _positions(reply.position for reply in replies)

    async def _search_shard(self, number: int, query: shard_pb2.Query, seconds: float) -> batching.Answered:
        """Search one shard, and wait no longer than this query may: its batch may have longer."""
        try:
            with deadlines.within(self._deadlines, seconds):
                return await self._lanes[number].search(query, seconds)
        except TimeoutError:
            raise errors.DeadlineExceededError(f"shard {number} did not answer in time") from None

    async def fetch(self, namespace: str, ids: Sequence[str], seconds: float) -> list[routing.Row]:
        """Read rows, values and metadata; those that exist, in the order asked."""
        parts = routing.split_ids(namespace, dict.fromkeys(ids), self.shards)
        session = consistency.current()
        replies = await _gather(
            self._clients[number].fetch(
                shard_pb2.FetchRequest(
                    namespace=namespace,
                    ids=part,
                    include_values=True,
                    include_metadata=True,
                    strong=session.strong,
                    at_least=session.at_least.get(number),
                ),
                seconds,
            )
            for number, part in parts.items()
        )
        found = {row.id: row for reply in replies for row in routing.unpack(reply.rows, self.generation)}
        return [found[row_id] for row_id in dict.fromkeys(ids) if row_id in found]

    async def list(self, request: shard_pb2.ListRequest, seconds: float) -> list[str]:
        """List ids of all shards, ascending."""
        replies = await _gather(
            client.list(_demanding(request, number), seconds) for number, client in enumerate(self._clients)
        )
        return routing.merge_ids([reply.ids for reply in replies], request.limit)

    async def stats(self, condition: bytes, seconds: float) -> dict[str, int]:
        """Count users' rows by namespace, all or those that pass a filter; by name, ascending."""
        request = shard_pb2.StatsRequest(filter=condition)
        answers = await _gather(
            client.stats(_demanding(request, number), seconds) for number, client in enumerate(self._clients)
        )
        counts = routing.merge_counts(answers)
        return {name: rows for name, rows in counts.items() if not reserved.is_reserved(name)}

    async def embed(self, texts: Sequence[str], role: wire.Role, seconds: float) -> embedder.Embedded:
        """Return the vectors of texts; see `embedder.Embedder.embed`.

        Raises:
            InvalidArgumentError: the index has no embedder.
        """
        if self._embedder is None:
            raise errors.InvalidArgumentError(
                "the index has no embedder; send vectors, or name an embedder in its manifest"
            )
        # A little is kept back, so that whoever is late can be named.
        return await self._embedder.embed(texts, role, seconds * 0.95)

    async def rerank(
        self, how: order.Rerank, matches: Sequence[fusion.Fused], top_k: int, seconds: float
    ) -> order.Reranked:
        """Return the best of some matches, ordered anew; see `reranker.Reranker.rerank`.

        Raises:
            InvalidArgumentError: the index has no reranker.
        """
        if self._reranker is None:
            raise errors.InvalidArgumentError("the index has no reranker; name one in its manifest")
        return await self._reranker.rerank(how, matches, top_k, seconds * 0.95)

    async def close(self) -> None:
        """Let go of the shards, and of the services."""
        for service in (self._embedder, self._reranker):
            if service is not None:
                await service.close()
        await _gather(client.close() for client in self._clients)

    async def _write(self, requests: Mapping[int, shard_pb2.WriteRequest], seconds: float) -> int:
        session = consistency.current()
        for request in requests.values():
            # The caller's id is of its own rows: what is remembered beside them is another write.
            given = b"" if reserved.is_reserved(request.namespace) else session.write_id
            request.write_id = given or secrets.token_bytes(consistency.WRITE_ID_BYTES)
        replies = await _gather(
            self._clients[number].write(request, seconds) for number, request in requests.items()
        )
        session.note(replies)
        if self.cache is not None:
            self.cache.saw(_positions(reply.position for reply in replies))
        return sum(reply.affected for reply in replies)


def _positions(told: Iterable[shard_pb2.Position]) -> dict[int, positions.Position]:
    return {position.shard: (position.epoch, position.seq) for position in told}


def _delete(namespace: str, what: shard_pb2.Delete) -> shard_pb2.WriteRequest:
    return shard_pb2.WriteRequest(namespace=namespace, delete=what)


def _demanding(request: R, number: int) -> R:
    """Return the request as it goes to a shard, with what the caller demands of it."""
    session = consistency.current()
    if not session.demands:
        return request
    own = type(request)()
    own.CopyFrom(request)
    own.strong = session.strong
    if number in session.at_least:
        own.at_least.CopyFrom(session.at_least[number])
    return own


async def _gather(calls: Iterable[Awaitable[A]]) -> list[A]:
    """Return all answers; the first failure is raised once every call has ended.

    A write is waited for on every shard: its caller must not be told of a failure, and try again, while
    a part of it is still under way.
    """
    asked = list(calls)
    if len(asked) == 1:
        return [await asked[0]]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers  # type: ignore[return-value]  # no exception is among them
