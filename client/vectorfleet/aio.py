"""The client for asyncio: the calls of `client.Client`, awaited.

What is asked and how an answer is read is in `calls`; this module only carries it.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from . import backoff, batches, calls, errors, queries, results, rows, sessions, sparse, wire

T = TypeVar("T")

Flying = dict[asyncio.Task[results.UpsertResult], batches.Batch]


class Client:
    """A client for one index, to be used within one event loop.

    Close it, or use it as an asynchronous context manager, to give its connections back. Arguments and
    errors are those of `vectorfleet.Client`.
    """

    def __init__(
        self,
        host: str,
        api_key: str,
        *,
        timeout: float = 30.0,
        retries: backoff.Retries | int | None = None,
        consistency: sessions.Consistency | str = sessions.Consistency.EVENTUAL,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._pace = backoff.Pace(retries, timeout, clock=time.monotonic, chance=random.random)
        self._http = httpx.AsyncClient(**wire.settings(host, api_key), transport=transport)
        self._session = sessions.Session(consistency)
        self._host = host
        self._sleep = asyncio.sleep

    async def upsert(self, rows: Iterable[rows.RowLike], *, namespace: str = "") -> results.UpsertResult:
        """Write at most 1,000 whole rows in one request; see `vectorfleet.Client.upsert`."""
        return await self._send(calls.upsert(rows, namespace))

    async def upsert_batch(
        self,
        rows: Iterable[rows.RowLike] | AsyncIterable[rows.RowLike],
        *,
        namespace: str = "",
        batch_size: int = 500,
        concurrency: int = 4,
        progress: batches.Progress | None = None,
    ) -> results.BatchResult:
        """Write any number of rows, from an iterable or an asynchronous one, and go on where a batch fails.

        See `vectorfleet.Client.upsert_batch`. When this is cancelled, the requests in flight are, too.
        """
        packer, load = batches.Packer(namespace, batch_size), batches.Load(concurrency, progress)
        flying: Flying = {}
        try:
            async for item in _pack(packer, rows):
                if isinstance(item, results.BatchFailure):
                    load.refuse(item)
                    continue
                while not load.admits(item):
                    await _land(flying, load)
                load.start(item)
                flying[asyncio.create_task(self._send(item.call))] = item
                await asyncio.sleep(0)  # let it be sent while the next one is encoded
            while flying:
                await _land(flying, load)
        finally:
            await _cancel(flying)
        return load.result

    async def query(  # noqa: PLR0913  # what one may ask, each by its name
        self,
        vector: rows.Vector | None = None,
        *,
        id: str | None = None,  # noqa: A002  # the API's word
        sparse_vector: sparse.SparseLike | None = None,
        vectors: rows.Vectors | None = None,
        weights: Mapping[str, float] | None = None,
        text: str | None = None,
        search: queries.Search | None = None,
        fusion: queries.Fusion | None = None,
        rerank: queries.Rerank | None = None,
        top_k: int = 10,
        namespace: str = "",
        filter: rows.Metadata | None = None,  # noqa: A002  # the API's word
        params: queries.SearchParams | None = None,
        include_values: bool = False,
        include_metadata: bool = False,
        explain: bool = False,
        allow_partial: bool = False,
        group_by: queries.GroupBy | None = None,
    ) -> results.QueryResult:
        """Find rows by vector, by text, or by both; see `vectorfleet.Client.query`."""
        question = queries.Query(
            vector=vector,
            id=id,
            sparse_vector=sparse_vector,
            vectors=vectors,
            weights=weights,
            text=text,
            search=search,
            fusion=fusion,
            rerank=rerank,
            top_k=top_k,
            namespace=namespace,
            filter=filter,
            params=params,
            include_values=include_values,
            include_metadata=include_metadata,
            explain=explain,
            allow_partial=allow_partial,
            group_by=group_by,
        )
        return await self._send(calls.query(question))

    async def fetch(self, ids: Iterable[str], *, namespace: str = "") -> results.FetchResult:
        """Read rows by id; see `vectorfleet.Client.fetch`."""
        answers = [await self._send(call) for call in calls.fetch(ids, namespace)]
        return calls.merge_fetched(answers, namespace)

    async def update(  # noqa: PLR0913  # what one may change, each by its name
        self,
        id: str,  # noqa: A002  # the API's word
        *,
        values: rows.Vector | None = None,
        text: str | None = None,
        vectors: rows.Vectors | None = None,
        set_metadata: rows.Metadata | None = None,
        sparse_values: sparse.SparseLike | None = None,
        namespace: str = "",
    ) -> None:
        """Replace a row's vectors, or set fields of its metadata; see `vectorfleet.Client.update`."""
        change = calls.Change(values, text, vectors, set_metadata, sparse_values)
        await self._send(calls.update(id, change, namespace))

    async def delete(
        self,
        ids: Iterable[str] | None = None,
        *,
        filter: rows.Metadata | None = None,  # noqa: A002  # the API's word
        delete_all: bool = False,
        namespace: str = "",
    ) -> None:
        """Delete rows by id, by filter, or all of a namespace; see `vectorfleet.Client.delete`."""
        await self._send(calls.delete(ids, filter, delete_all, namespace))

    async def list(
        self, prefix: str = "", *, namespace: str = "", page_size: int = 1000
    ) -> AsyncIterator[results.ListPage]:
        """Yield the ids that begin with `prefix`, in pages; see `vectorfleet.Client.list`."""
        token: str | None = None
        while True:
            page = await self._send(calls.list_page(prefix, namespace, page_size, token))
            yield page
            token = page.next_token
            if token is None:
                return

    async def stats(
        self,
        *,
        filter: rows.Metadata | None = None,  # noqa: A002  # the API's word
    ) -> results.Stats:
        """Count the rows by namespace, all of them or those that pass a filter."""
        return await self._send(calls.stats(filter))

    async def namespaces(self) -> AsyncIterator[results.Namespace]:
        """Yield the namespaces that have rows."""
        token: str | None = None
        while True:
            page, token = await self._send(calls.namespaces_page(token))
            for namespace in page:
                yield namespace
            if token is None:
                return

    async def namespace(self, name: str) -> results.Namespace:
        """Describe one namespace; see `vectorfleet.Client.namespace`."""
        return await self._send(calls.namespace(name))

    async def delete_namespace(self, name: str) -> None:
        """Delete a namespace and every row in it."""
        await self._send(calls.delete_namespace(name))

    async def openapi(self) -> dict[str, Any]:
        """Return the description of the index's API as OpenAPI 3.1."""
        return await self._send(calls.openapi())

    async def docs(self) -> str:
        """Return the description of the index's API as a page of HTML."""
        return await self._send(calls.docs())

    @property
    def maybe_stale(self) -> frozenset[int]:
        """The shards of which the newest read's answer may be stale, as when too few replicas answer."""
        return self._session.stale

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"vectorfleet.aio.Client({self._host!r})"

    async def _send(self, call: calls.Call[T]) -> T:
        course = backoff.Course(self._pace)
        headers = sessions.write_id() if call.writes else self._session.headers()
        while True:
            try:
                return await self._attempt(call, course, headers)
            except errors.VectorfleetError as error:
                delay = course.delay_after(error)
                if delay is None:
                    raise
            await self._sleep(delay)

    async def _attempt(self, call: calls.Call[T], course: backoff.Course, headers: dict[str, str]) -> T:
        request = self._http.build_request(**wire.request(call, course.begin(), headers))
        try:
            response = await self._http.send(request, stream=True)
            async with contextlib.aclosing(response):
                chunks = []
                async for chunk in response.aiter_bytes():
                    course.check()
                    chunks.append(chunk)
        except httpx.HTTPError as error:
            raise wire.broken(error, self._host) from error
        answer = wire.read(call, response, b"".join(chunks))
        self._session.note(response.headers, writes=call.writes)
        return answer


async def _pack(
    packer: batches.Packer, rows: Iterable[rows.RowLike] | AsyncIterable[rows.RowLike]
) -> AsyncIterator[batches.Batch | results.BatchFailure]:
    if not isinstance(rows, AsyncIterable):
        for item in packer.pack(rows):
            yield item
        return
    async for row in rows:
        for item in packer.add(row):
            yield item
    for item in packer.finish():
        yield item


async def _land(flying: Flying, load: batches.Load) -> None:
    done, _ = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        load.land(flying.pop(task), task.exception())


async def _cancel(flying: Flying) -> None:
    for task in flying:
        task.cancel()
    await asyncio.gather(*flying, return_exceptions=True)
