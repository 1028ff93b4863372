"""An exact shard in memory, and the app over it: the twin that the gateway's routes are tried against."""

import asyncio
import itertools
import json
import re

import grpc
import numpy as np
import pytest

from vectorfleet_gateway import app, index
from vectorfleet_gateway.auth import keys
from vectorfleet_gateway.shards import inprocess
from vectorfleet_runtime import grants
from vectorfleet_shardnode.api import config, shard_pb2

KEY = "key-1"
OTHER_KEY = "key-2"


class RefusedError(Exception):
    """What the twin raises; it carries a gRPC status, as a shard's errors do."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class TwinShard:
    """One shard: rows in a dictionary, every call exact. `calls` records what it was asked.

    A row is its vector, its metadata and its vector fields, sparse values (a dictionary) among them; a text's
    score is how often its words are there.
    """

    def __init__(self, settled):
        self.generation = settled.serving
        self.schema = settled.metadata
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
                fields = self._fields(sent.fields, len(sent.ids))
                rows.update(zip(sent.ids, zip(vectors, sent.metadata, fields, strict=True), strict=True))
                return shard_pb2.WriteReply(affected=len(sent.ids))
            case "update":
                return shard_pb2.WriteReply(affected=self._update(rows, request.update))
            case _:
                return shard_pb2.WriteReply(affected=self._delete(rows, request.delete))

    def _update(self, rows, update):
        if update.id not in rows:
            return 0
        vector, metadata, fields = rows[update.id]
        if update.vector:
            vector = np.frombuffer(update.vector, "<f4")
        if update.merge_metadata:
            metadata = json.dumps(json.loads(metadata or b"{}") | json.loads(update.merge_metadata)).encode()
        (changed,) = self._fields(update.fields, 1)
        rows[update.id] = (vector, metadata, fields | changed)
        return 1

    def _fields(self, columns, count):
        """Return each row's matrices by field; one of no rows where a column says that it has none."""
        rows = [{} for _ in range(count)]
        for column in columns:
            if column.name == config.SPARSE:
                pairs = zip(
                    np.frombuffer(column.indices, "<u4"), np.frombuffer(column.vectors, "<f4"), strict=True
                )
                for row, count_ in zip(rows, column.counts, strict=True):
                    row[config.SPARSE] = dict(itertools.islice(pairs, count_))
                continue
            dimensions = self._declared[column.name].dimensions
            items = np.frombuffer(column.vectors, "<f4").reshape(-1, dimensions)
            for row, part in zip(rows, np.split(items, np.cumsum(column.counts)[:-1]), strict=True):
                row[column.name] = part
        return rows

    @property
    def _declared(self):
        return {field.name: field for field in self.generation.vectors}

    def _to_message(self, ids, rows, *, values=True, metadata=True):
        message = shard_pb2.Rows(ids=ids)
        if metadata:
            message.metadata.extend(row[1] for row in rows)
        if not values:
            return message
        message.vectors = b"".join(row[0].tobytes() for row in rows)
        for name in self._declared:
            parts = [row[2].get(name, ()) for row in rows]
            data = b"".join(part.tobytes() for part in parts if len(part))
            message.fields.add(name=name, counts=map(len, parts), vectors=data)
        held = [row[2].get(config.SPARSE, {}) for row in rows]
        if any(held):
            message.fields.add(
                name=config.SPARSE,
                counts=map(len, held),
                indices=np.array([index for own in held for index in own], "<u4").tobytes(),
                vectors=np.array([value for own in held for value in own.values()], "<f4").tobytes(),
            )
        return message

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
        """Equality, and what groups ask for; the shard's own tests are about filters."""
        if b"$bad" in (condition.encode() if isinstance(condition, str) else condition):
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, "unknown operator $bad")
        wanted = json.loads(condition or b"{}")
        metadata = json.loads(row[1] or b"{}")
        return all(
            all(TwinShard._passes(row, json.dumps(one)) for one in value)
            if field == "$and"
            else TwinShard._operators(metadata.get(field), value)
            for field, value in wanted.items()
        )

    @staticmethod
    def _operators(has, wanted):
        if not isinstance(wanted, dict):
            wanted = {"$eq": wanted}
        same = lambda value: has == value and isinstance(has, bool) == isinstance(value, bool)  # noqa: E731
        tests = {
            "$eq": same,
            "$exists": lambda value: (has is not None) == value,
            "$nin": lambda values: not any(map(same, values)),
        }
        return all(tests[name](value) for name, value in wanted.items())

    async def search(self, request):
        await self._asked(request)
        return shard_pb2.SearchReply(results=[self._search(query) for query in request.queries])

    def _search(self, query):
        if b"$bad" in query.filter:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, "unknown operator $bad")
        found = []
        for row_id, row in self.rows.get(query.namespace, {}).items():
            if self._passes(row, query.filter) and (score := self._score(query, row)) is not None:
                found.append((score, row_id, row))
        greater = self._greater or query.text
        found.sort(key=lambda entry: (-entry[0] if greater else entry[0], entry[1]))
        found = found[: query.top_k]
        rows = self._to_message(
            [row_id for _, row_id, _ in found],
            [row for _, _, row in found],
            values=query.include_values,
            metadata=query.include_metadata,
        )
        scores = np.array([score for score, _, _ in found], "<f4").tobytes()
        explanation = b'{"rows":%d}' % len(found) if query.explain else b""
        parts = [part for part in query.parts if part.field == config.SPARSE and query.explain]
        sums = [self._part(part, row) for _, _, row in found for part in parts]
        sparse = np.array(sums, "<f4").tobytes()
        return shard_pb2.Matches(rows=rows, scores=scores, explanation=explanation, sparse_scores=sparse)

    def _score(self, query, row):
        if query.text:
            said = " ".join(str(json.loads(row[1] or b"{}").get(name, "")) for name in self.schema.text)
            return np.float32(len(re.findall("|".join(query.text.split()), said))) or None
        if query.parts:
            return sum(part.weight * self._part(part, row) for part in query.parts)
        return self._compare(np.frombuffer(query.vector, "<f4"), row[0])

    def _part(self, part, row):
        if part.field == config.SPARSE:
            indices, weights = np.frombuffer(part.indices, "<u4"), np.frombuffer(part.vectors, "<f4")
            own = row[2].get(config.SPARSE, {})
            return sum(own.get(index, 0) * weight for index, weight in zip(indices, weights, strict=True))
        has = [row[0]] if not part.field else row[2].get(part.field, ())
        tokens = np.frombuffer(part.vectors, "<f4").reshape(-1, len(has[0])) if len(has) else ()
        return sum(max(self._compare(token, one) for one in has) for token in tokens)

    @property
    def _greater(self):
        return self.generation.metric is not config.Metric.EUCLIDEAN

    def _compare(self, left, right):
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
        return shard_pb2.FetchReply(rows=self._to_message(ids, [rows[row_id] for row_id in ids]))

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
    """A request's head."""

    def __init__(self, method, path, query_string="", headers=()):
        self.method = method
        self.path = path
        self.query_string = query_string
        self.headers = {name.lower(): value for name, value in dict(headers).items()}


class Exchange:
    """A request's body, and where the answer goes. `read` counts the bytes taken, `pause` is between two."""

    def __init__(self, pieces=(), hang=False, pause=0):
        self.pieces = list(pieces)
        self.hang = hang
        self.pause = pause
        self.read = 0
        self.whole = b""
        self.status = None
        self.left, self.gives_up = False, None
        self.taken = asyncio.Event()
        self.taken.set()

    @property
    def is_here(self):
        """A body of one piece comes with its head; one of several does not."""
        return not self.hang and len(self.pieces) <= (0 if self.pause else 1)

    @property
    def come(self):
        return self.read + (sum(map(len, self.pieces)) if self.is_here else 0)

    async def more(self, admits):
        while self.pieces:
            await asyncio.sleep(self.pause)
            self._take()
            if not admits(self.read):
                return
        if self.hang:
            await asyncio.Event().wait()

    def _take(self):
        self.whole += self.pieces[0]
        self.read += len(self.pieces.pop(0))

    def __call__(self):
        while self.pieces:
            self._take()
        return self.whole

    def watch(self, gives_up):
        self.gives_up = gives_up

    def leave(self):
        self.left = True
        if self.gives_up is not None:
            self.gives_up()

    def response_bytes(self, status, headers, body):
        assert self.status is None, "answered twice"
        self.status, self.headers, self.body = status, dict(headers), body

    async def drained(self):
        await self.taken.wait()

    @property
    def json(self):
        return json.loads(self.body)


class Gateway:
    """An app over twins, and a way to ask it."""

    def __init__(self, shards=2, schema=None, bounds=None, open_docs=False, **generation):
        serving = {"dimensions": 2} | generation
        settled = config.IndexConfig(index="test", serving=serving, schema=schema or {})
        self.shards = [TwinShard(settled) for _ in range(shards)]
        clients = [inprocess.InProcessShard(number, shard) for number, shard in enumerate(self.shards)]
        self.ring = keys.KeyRing([grants.plain("first", KEY), grants.plain("second", OTHER_KEY)])
        served = index.Index(settled, clients)
        self.app = app.App(served, self.ring, app.Bounds(**(bounds or {})), open_docs=open_docs)

    async def ask(self, method, path, body=None, query="", headers=None, exchange=None):
        """Send a request and return its exchange; `body` is JSON's value, or bytes."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"api-key": KEY, "content-length": str(len(content))} | (headers or {})
        sent = {name: value for name, value in sent.items() if value is not None}
        exchange = exchange or Exchange([content] if content else [])
        await self.app.handle(Scope(method, path, query, sent), exchange)
        return exchange

    async def upsert(self, rows, namespace=""):
        """Write rows, given as (id, values[, metadata[, vectors[, sparseValues]]])."""
        names = ("id", "values", "metadata", "vectors", "sparseValues")
        vectors = [dict(zip(names, row, strict=False)) for row in rows]
        done = await self.ask("POST", "/vectors/upsert", {"vectors": vectors, "namespace": namespace})
        assert done.status == 200, done.body
        return done.json

    @property
    def written(self):
        """How many rows all shards hold."""
        return sum(len(rows) for shard in self.shards for rows in shard.rows.values())


@pytest.fixture
def make_gateway():
    """Make an app over twins: shards, schema, bounds, and what a generation is made of."""
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
