"""An exact shard in memory, and the app over it: the twin that the gateway's routes are tried against."""

import asyncio
import json

import grpc
import numpy as np
import pytest

from vectorfleet_gateway import app, index
from vectorfleet_gateway.auth import keys
from vectorfleet_gateway.shards import inprocess
from vectorfleet_shardnode.api import config, shard_pb2

KEY = "key-1"


class RefusedError(Exception):
    """What the twin raises; it carries a gRPC status, as a shard's errors do."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class TwinShard:
    """One shard: rows in a dictionary, every call exact. `calls` records what it was asked."""

    def __init__(self, generation):
        self.generation = generation
        self.rows = {}
        self.calls = []
        self.failure = None
        self.gate = None

    async def _asked(self, request):
        self.calls.append(request)
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure

    async def write(self, request):
        await self._asked(request)
        rows = self.rows.setdefault(request.namespace, {})
        match request.WhichOneof("operation"):
            case "upsert":
                sent = request.upsert.rows
                vectors = np.frombuffer(sent.vectors, "<f4").reshape(len(sent.ids), -1)
                rows.update(zip(sent.ids, zip(vectors, sent.metadata, strict=True), strict=True))
                return shard_pb2.WriteReply(affected=len(sent.ids))
            case "update":
                return shard_pb2.WriteReply(affected=self._update(rows, request.update))
            case _:
                return shard_pb2.WriteReply(affected=self._delete(rows, request.delete))

    def _update(self, rows, update):
        if update.id not in rows:
            return 0
        vector, metadata = rows[update.id]
        if update.vector:
            vector = np.frombuffer(update.vector, "<f4")
        if update.merge_metadata:
            metadata = json.dumps(json.loads(metadata or b"{}") | json.loads(update.merge_metadata)).encode()
        rows[update.id] = (vector, metadata)
        return 1

    def _delete(self, rows, delete):
        match delete.WhichOneof("what"):
            case "ids":
                gone = [row_id for row_id in delete.ids.ids if row_id in rows]
            case "filter":
                gone = [row_id for row_id in rows if self._passes(rows[row_id], delete.filter)]
            case _:
                gone = list(rows)
        for row_id in gone:
            del rows[row_id]
        return len(gone)

    @staticmethod
    def _passes(row, condition):
        """Equality of fields alone; the shard's own tests are about filters."""
        if b"$bad" in condition:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, "unknown operator $bad")
        wanted = json.loads(condition or b"{}")
        metadata = json.loads(row[1] or b"{}")
        return all(metadata.get(field) == value for field, value in wanted.items())

    async def search(self, request):
        await self._asked(request)
        return shard_pb2.SearchReply(results=[self._search(query) for query in request.queries])

    def _search(self, query):
        found = []
        vector = np.frombuffer(query.vector, "<f4")
        if b"$bad" in query.filter:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, "unknown operator $bad")
        for row_id, row in self.rows.get(query.namespace, {}).items():
            if self._passes(row, query.filter):
                found.append((self._score(vector, row[0]), row_id, row))
        found.sort(key=lambda entry: (-entry[0] if self._greater else entry[0], entry[1]))
        found = found[: query.top_k]
        rows = shard_pb2.Rows(ids=[row_id for _, row_id, _ in found])
        if query.include_values:
            rows.vectors = b"".join(row[0].tobytes() for _, _, row in found)
        if query.include_metadata:
            rows.metadata.extend(row[1] for _, _, row in found)
        scores = np.array([score for score, _, _ in found], "<f4").tobytes()
        return shard_pb2.Matches(rows=rows, scores=scores)

    @property
    def _greater(self):
        return self.generation.metric is not config.Metric.EUCLIDEAN

    def _score(self, left, right):
        match self.generation.metric:
            case config.Metric.EUCLIDEAN:
                return np.float32(((left - right) ** 2).sum())
            case config.Metric.DOTPRODUCT:
                return np.float32(left @ right)
            case _:
                return np.float32(left @ right / np.linalg.norm(left) / np.linalg.norm(right))

    async def fetch(self, request):
        await self._asked(request)
        rows = self.rows.get(request.namespace, {})
        ids = [row_id for row_id in request.ids if row_id in rows]
        return shard_pb2.FetchReply(
            rows=shard_pb2.Rows(
                ids=ids,
                vectors=b"".join(rows[row_id][0].tobytes() for row_id in ids),
                metadata=[rows[row_id][1] for row_id in ids],
            )
        )

    async def list(self, request):
        await self._asked(request)
        ids = sorted(
            row_id
            for row_id in self.rows.get(request.namespace, {})
            if row_id.startswith(request.prefix) and row_id > request.after
        )
        return shard_pb2.ListReply(ids=ids[: request.limit])

    async def stats(self, request):
        await self._asked(request)
        counts = {
            name: sum(self._passes(row, request.filter) for row in rows.values())
            for name, rows in self.rows.items()
        }
        return shard_pb2.StatsReply(namespaces={name: count for name, count in counts.items() if count})

    async def report(self, request):
        await self._asked(request)
        return shard_pb2.ReportReply()


class Scope:
    """A request's head in RSGI's form."""

    def __init__(self, method, path, query_string="", headers=()):
        self.method = method
        self.path = path
        self.query_string = query_string
        self.headers = {name.lower(): value for name, value in dict(headers).items()}


class Exchange:
    """A request's body in RSGI's form, and where the answer goes. `read` counts the bytes taken."""

    def __init__(self, pieces=(), hang=False):
        self.pieces = list(pieces)
        self.hang = hang
        self.read = 0
        self.status = None

    async def __call__(self):
        return b"".join([piece async for piece in self])

    async def __aiter__(self):
        for piece in self.pieces:
            self.read += len(piece)
            yield piece
        if self.hang:
            await asyncio.Event().wait()

    def response_bytes(self, status, headers, body):
        assert self.status is None, "answered twice"
        self.status, self.headers, self.body = status, dict(headers), body

    @property
    def json(self):
        return json.loads(self.body)


class Gateway:
    """An app over twins, and a way to ask it."""

    def __init__(self, shards=2, dimensions=2, metric="cosine", **bounds):
        self.generation = config.Generation(dimensions=dimensions, metric=metric)
        self.shards = [TwinShard(self.generation) for _ in range(shards)]
        clients = [inprocess.InProcessShard(number, shard) for number, shard in enumerate(self.shards)]
        self.ring = keys.KeyRing({"first": KEY})
        self.app = app.App(index.Index(self.generation, clients), self.ring, app.Bounds(**bounds))

    async def ask(self, method, path, body=None, query="", headers=None, exchange=None):
        """Send a request and return its exchange; `body` is JSON's value, or bytes."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"api-key": KEY, "content-length": str(len(content))} | (headers or {})
        sent = {name: value for name, value in sent.items() if value is not None}
        exchange = exchange or Exchange([content] if content else [])
        await self.app.__rsgi__(Scope(method, path, query, sent), exchange)
        return exchange

    async def upsert(self, rows, namespace=""):
        """Write rows, given as (id, values) or (id, values, metadata)."""
        vectors = [dict(zip(("id", "values", "metadata"), row, strict=False)) for row in rows]
        done = await self.ask("POST", "/vectors/upsert", {"vectors": vectors, "namespace": namespace})
        assert done.status == 200, done.body
        return done.json

    @property
    def written(self):
        """How many rows all shards hold."""
        return sum(len(rows) for shard in self.shards for rows in shard.rows.values())


@pytest.fixture
def make_gateway():
    """Make an app over twins: shards, dimensions, metric, and bounds."""
    return Gateway


@pytest.fixture
def gateway():
    """An app over two twins: two dimensions, cosine."""
    return Gateway()


@pytest.fixture
def make_exchange():
    """Make a body that arrives in pieces, or never ends."""
    return Exchange


@pytest.fixture
def refused():
    """An error as a shard raises it."""
    return RefusedError
