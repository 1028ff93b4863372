"""The client for threads: one index, each call a request that is sent again where that is safe.

What is asked and how an answer is read is in `calls`; this module only carries it. `aio.Client` is the
same for asyncio.
"""

import concurrent.futures
import contextlib
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from . import backoff, batches, calls, errors, queries, results, rows, sessions, sparse, wire

T = TypeVar("T")

Flying = dict[concurrent.futures.Future[results.UpsertResult], batches.Batch]


class Client:
    """A client for one index; safe to share between threads.

    Close it, or use it as a context manager, to give its connections back.

    Args:
        host: the index's address, such as `http://localhost:8080`.
        api_key: one of the index's API keys; it goes with each request and is never shown.
        timeout: seconds that one attempt may take; the server is told, and gives up when this client does.
        retries: how often and how long to try again; a number alone sets the times, 0 is never.
        consistency: what reads see: `eventual`, `session` (this client's own writes) or `strong`.
        transport: carries the requests in place of the network, for tests.

    Raises:
        InvalidInputError: an argument can't be right.

    Every method may raise `errors.VectorfleetError`; see the tree in `errors`.
    """

    def __init__(
        self,
        host: str,
        api_key: str,
        *,
        timeout: float = 30.0,
        retries: backoff.Retries | int | None = None,
        consistency: sessions.Consistency | str = sessions.Consistency.EVENTUAL,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._pace = backoff.Pace(retries, timeout, clock=time.monotonic, chance=random.random)
        self._http = httpx.Client(**wire.settings(host, api_key), transport=transport)
        self._session = sessions.Session(consistency)
        self._host = host
        self._sleep = time.sleep

    def upsert(self, rows: Iterable[rows.RowLike], *, namespace: str = "") -> results.UpsertResult:
        """Write whole rows in one request, replacing those with the same ids.

        Args:
            rows: at most 1,000; each a `Row`, a mapping, or `(id, values[, metadata[, vectors]])`, its values
                a sequence of numbers or a numpy array of shape (dimensions,). A row or a mapping may have a
                `text` in their place, which an index with an embedder embeds, and in an index with the metric
                dotproduct `sparse_values` beside them. `upsert_batch` takes more.
            namespace: "" is the default one.

        Raises:
            InvalidInputError: a row has no form on the wire; nothing was sent.
            BadRequestError: a row does not fit the index; nothing of the request was written.
        """
        return self._send(calls.upsert(rows, namespace))

    def upsert_batch(
        self,
        rows: Iterable[rows.RowLike],
        *,
        namespace: str = "",
        batch_size: int = 500,
        concurrency: int = 4,
        progress: batches.Progress | None = None,
    ) -> results.BatchResult:
        """Write any number of rows, in batches, and go on where a batch fails.

        The rows are read as they are sent, never all at once. Of two rows with the same id the later
        one wins. A row that has no form on the wire fails alone; a batch fails as a whole.

        Args:
            rows: as for `upsert`, from any iterable.
            namespace: "" is the default one.
            batch_size: rows a request, 1 to 1,000; fewer where they would be above 16 MiB.
            concurrency: requests in flight.
            progress: called in this thread after each batch with what was done so far.

        Raises:
            AuthenticationError, PermissionDeniedError: the key is refused, so no batch could succeed.
        """
        packer, load = batches.Packer(namespace, batch_size), batches.Load(concurrency, progress)
        pool = concurrent.futures.ThreadPoolExecutor(concurrency, "vectorfleet-upsert")
        try:
            flying: Flying = {}
            for item in packer.pack(rows):
                if isinstance(item, results.BatchFailure):
                    load.refuse(item)
                    continue
                while not load.admits(item):
                    _land(flying, load)
                load.start(item)
                flying[pool.submit(self._send, item.call)] = item
            while flying:
                _land(flying, load)
        finally:
            # Nothing flies any more, unless an error or Ctrl-C ends the load: that is not held up.
            pool.shutdown(wait=False, cancel_futures=True)
        return load.result

    def query(  # noqa: PLR0913  # what one may ask, each by its name
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
        """Find the rows nearest to a vector, or to the row with an id; or by a text, or by both.

        Args:
            vector: what to search for, shape (dimensions,).
            id: in its place, the id of a row of the namespace.
            sparse_vector: beside the vector, in an index with the metric dotproduct: its dot product with a
                row's sparse values is added to the score. By an id, the row's own sparse values are taken.
            vectors: what to search for in vector fields, by name: of shape (dimensions,), or (tokens,
                dimensions) with late interaction. Scores are added up, the vector's own among them.
            weights: what a score counts for in that sum, by field; `values` is the vector. 1 unless given.
            text: what to search for, by its words in the index's text fields, by its vector where the index
            has
                an embedder, or by both, fused. Beside a vector of your own it is searched by its words.
            search: which of these, where the index has both.
            fusion: how; by ranks unless given.
            rerank: order the first matches anew, by the index's reranker; scores are then its own.
            top_k: number of matches, 1 to 10,000.
            namespace: "" is the default one.
            filter: on metadata, such as `{"year": {"$gte": 2004}}`.
            params: how hard to search.
            include_values: return the matches' vectors.
            include_metadata: return the matches' metadata.
            explain: tell what was done, and how long it took.
            allow_partial: take an answer that lacks what some shards have, where these can't answer; the
                result's `missing_shards` names them. Otherwise such a query is an error.
            group_by: return the best `top_k` groups, in the result's `groups`, in place of matches.

        Returns:
            The matches, best first.
        """
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
        return self._send(calls.query(question))

    def fetch(self, ids: Iterable[str], *, namespace: str = "") -> results.FetchResult:
        """Read rows by id; those that don't exist are left out.

        Many or long ids take several requests, between which rows may change.
        """
        answers = [self._send(call) for call in calls.fetch(ids, namespace)]
        return calls.merge_fetched(answers, namespace)

    def update(  # noqa: PLR0913  # what one may change, each by its name
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
        """Replace a row's vector, sparse values or vector fields, or set fields of its metadata.

        What is not named stays.

        A text, in place of values, is embedded by the index and kept in the row's metadata. A vector field
        that is None is removed. A row that does not exist is no error.
        """
        change = calls.Change(values, text, vectors, set_metadata, sparse_values)
        self._send(calls.update(id, change, namespace))

    def delete(
        self,
        ids: Iterable[str] | None = None,
        *,
        filter: rows.Metadata | None = None,  # noqa: A002  # the API's word
        delete_all: bool = False,
        namespace: str = "",
    ) -> None:
        """Delete rows by id, by filter, or all of a namespace: one of the three.

        Ids that don't exist are no error. By filter or for all, the request is not sent again when it is
        unknown whether it was done: see `calls.Repeat`.
        """
        self._send(calls.delete(ids, filter, delete_all, namespace))

    def list(
        self, prefix: str = "", *, namespace: str = "", page_size: int = 1000
    ) -> Iterator[results.ListPage]:
        """Yield the ids that begin with `prefix`, ascending, in pages of `page_size` (1 to 10,000)."""
        token: str | None = None
        while True:
            page = self._send(calls.list_page(prefix, namespace, page_size, token))
            yield page
            token = page.next_token
            if token is None:
                return

    def stats(self, *, filter: rows.Metadata | None = None) -> results.Stats:  # noqa: A002  # the API's word
        """Count the rows by namespace, all of them or those that pass a filter."""
        return self._send(calls.stats(filter))

    def namespaces(self) -> Iterator[results.Namespace]:
        """Yield the namespaces that have rows."""
        token: str | None = None
        while True:
            page, token = self._send(calls.namespaces_page(token))
            yield from page
            if token is None:
                return

    def namespace(self, name: str) -> results.Namespace:
        """Describe one namespace.

        Raises:
            NotFoundError: it has no rows.
        """
        return self._send(calls.namespace(name))

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace and every row in it."""
        self._send(calls.delete_namespace(name))

    def openapi(self) -> dict[str, Any]:
        """Return the description of the index's API as OpenAPI 3.1."""
        return self._send(calls.openapi())

    def docs(self) -> str:
        """Return the description of the index's API as a page of HTML."""
        return self._send(calls.docs())

    @property
    def maybe_stale(self) -> frozenset[int]:
        """The shards of which the newest read's answer may be stale, as when too few replicas answer."""
        return self._session.stale

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"vectorfleet.Client({self._host!r})"

    def _send(self, call: calls.Call[T]) -> T:
        course = backoff.Course(self._pace)
        headers = sessions.write_id() if call.writes else self._session.headers()
        while True:
            try:
                return self._attempt(call, course, headers)
            except errors.VectorfleetError as error:
                delay = course.delay_after(error)
                if delay is None:
                    raise
            self._sleep(delay)

    def _attempt(self, call: calls.Call[T], course: backoff.Course, headers: dict[str, str]) -> T:
        request = self._http.build_request(**wire.request(call, course.begin(), headers))
        try:
            response = self._http.send(request, stream=True)
            with contextlib.closing(response):
                chunks = []
                for chunk in response.iter_bytes():
                    course.check()
                    chunks.append(chunk)
        except httpx.HTTPError as error:
            raise wire.broken(error, self._host) from error
        answer = wire.read(call, response, b"".join(chunks))
        self._session.note(response.headers, writes=call.writes)
        return answer


def _land(flying: Flying, load: batches.Load) -> None:
    done, _ = concurrent.futures.wait(flying, return_when=concurrent.futures.FIRST_COMPLETED)
    for future in done:
        load.land(flying.pop(future), future.exception())
