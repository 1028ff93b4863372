"""What was written, and what must be there: clients that write mixed operations and note the answers.

Each client has rows of its own and one call under way at a time. So what is stored of its rows is what the
last answered call left, or what the call after it leaves: one whose answer never came may have happened.
"""

import dataclasses
import itertools
import json
import random
import struct
import threading

import grpc
import numpy as np
from crashing import node

from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.api import shard_pb2 as pb

IDS = 120  # of each client
_AWKWARD = np.array([-0.0, 1e-45, 3.4e14, -1.0, 0.0, 5.0, -3.4e14, 1e-38], "<f4")  # whose products are finite
_INDICES = (0, 1, 5, 1_000, 2**31, 2**32 - 1)


@dataclasses.dataclass
class Change:
    """A request, and the client's rows after it.

    (namespace, id) to (vector's bytes, metadata, sparse values: indices' bytes and values').
    """

    kind: str
    request: pb.WriteRequest
    rows: dict[tuple[str, str], tuple[bytes, bytes, tuple[bytes, bytes]]]


class Client(threading.Thread):
    """Writes until a call fails, or `stopping` is set."""

    def __init__(self, number, stub, rows, seed):
        super().__init__(daemon=True)
        self.number, self.stub = number, stub
        self.rows, self.doubt = rows, rows
        self.numbers = random.Random(seed)
        self.namespaces = ("", f"n{number}")
        self.stopping = threading.Event()
        self.answered, self.seq = [], 0
        self.failure = None

    def run(self):
        while not self.stopping.is_set():
            try:
                self.step()
            except grpc.RpcError as failure:
                self.failure = failure
                return

    def step(self):
        """Write once."""
        change = self._draw()
        self.doubt = change.rows
        reply = self.stub.Write(change.request)
        self.rows = change.rows
        self.seq = reply.position.seq
        self.note(change)

    def note(self, change):
        """Take note of an answered change."""
        self.answered.append(change.kind)

    def _draw(self):
        kinds = {
            self._upsert: 9,
            self._upsert_many: 1,
            self._update_values: 3,
            self._merge_metadata: 3,
            self._delete_ids: 3,
            self._delete_matching: 1,
            self._delete_namespace: 0.5,
        }
        [kind] = self.numbers.choices(list(kinds), list(kinds.values()))
        return kind(self.numbers.choice(self.namespaces))

    def _ids(self, most):
        chosen = self.numbers.sample(range(IDS), self.numbers.randint(1, most))
        return [f"w{self.number}-{row}" for row in chosen]

    def _vectors(self, count):
        drawn = np.frombuffer(self.numbers.randbytes(count * node.DIMENSIONS * 4), "<i4").astype("<f4")
        vectors = drawn.reshape(count, node.DIMENSIONS)
        if self.numbers.random() < 0.1:
            vectors[0] = self.numbers.sample(list(_AWKWARD), node.DIMENSIONS)
        return vectors

    def _metadata(self):
        if self.numbers.random() < 0.1:
            return b""
        # Not every float is written alike by every JSON writer, and a merge writes all fields anew.
        fraction = self.numbers.randrange(1 << 20) / 1_024
        return _json({"w": self.number, "r": self.numbers.randrange(1_000), "ü": ["é", fraction]})

    def _pairs(self):
        """Draw the sparse values of a row, of which half have none, as bytes of indices and of values."""
        indices = self.numbers.sample(_INDICES, self.numbers.choice((0, 0, 0, 1, 2, 5)))
        values = [self.numbers.gauss(0, 1e9) for _ in indices]  # as large as those of vectors
        return np.array(indices, "<u4").tobytes(), np.array(values, "<f4").tobytes()

    def _upsert(self, namespace, most=25):
        ids = self._ids(most)
        vectors, metadata = self._vectors(len(ids)), [self._metadata() for _ in ids]
        pairs = [self._pairs() for _ in ids]
        content = pb.Rows(ids=ids, vectors=vectors.tobytes(), metadata=metadata, fields=[_column(pairs)])
        request = pb.WriteRequest(namespace=namespace, upsert=pb.Upsert(rows=content))
        new = {
            (namespace, row_id): (vector.tobytes(), data, own)
            for row_id, vector, data, own in zip(ids, vectors, metadata, pairs, strict=True)
        }
        return Change("upsert", request, self.rows | new)

    def _upsert_many(self, namespace):
        return self._upsert(namespace, IDS)

    def _update_values(self, namespace):
        [row_id], vector, after = self._ids(1), self._vectors(1).tobytes(), dict(self.rows)
        pairs = self._pairs()
        if (namespace, row_id) in after:
            after[namespace, row_id] = (vector, after[namespace, row_id][1], pairs)
        update = pb.Update(id=row_id, vector=vector, fields=[_column([pairs])])
        request = pb.WriteRequest(namespace=namespace, update=update)
        return Change("update values", request, after)

    def _merge_metadata(self, namespace):
        [row_id], after = self._ids(1), dict(self.rows)
        merge = {"r": self.numbers.randrange(1_000), "m": self.numbers.randbytes(6).hex()}
        if (namespace, row_id) in after:
            vector, old, pairs = after[namespace, row_id]
            after[namespace, row_id] = (vector, _json((json.loads(old) if old else {}) | merge), pairs)
        update = pb.Update(id=row_id, merge_metadata=_json(merge))
        return Change("merge metadata", pb.WriteRequest(namespace=namespace, update=update), after)

    def _delete_ids(self, namespace):
        ids = self._ids(12)
        after = {key: row for key, row in self.rows.items() if key[0] != namespace or key[1] not in ids}
        delete = pb.Delete(ids=pb.Ids(ids=ids))
        return Change("delete ids", pb.WriteRequest(namespace=namespace, delete=delete), after)

    def _delete_matching(self, namespace):
        wanted = {"w": self.number, "r": {"$lt": self.numbers.randrange(500)}}
        after = {key: row for key, row in self.rows.items() if key[0] != namespace or not passes(row, wanted)}
        delete = pb.Delete(filter=_json(wanted))
        return Change("delete matching", pb.WriteRequest(namespace=namespace, delete=delete), after)

    def _delete_namespace(self, _):
        namespace = self.namespaces[1]
        after = {key: row for key, row in self.rows.items() if key[0] != namespace}
        request = pb.WriteRequest(namespace=namespace, delete=pb.Delete(all=True))
        return Change("delete namespace", request, after)


def _column(pairs):
    """Return the sparse values of rows as a column of a request."""
    return pb.VectorColumn(
        name=config.SPARSE,
        counts=[len(indices) // 4 for indices, _ in pairs],
        indices=b"".join(indices for indices, _ in pairs),
        vectors=b"".join(values for _, values in pairs),
    )


def _pairs_of(rows):
    """Return the sparse values of each row of an answer."""
    if not rows.fields:
        return [(b"", b"")] * len(rows.ids)
    [column] = rows.fields
    ends = np.cumsum([0, *column.counts]) * 4
    return [(column.indices[start:end], column.vectors[start:end]) for start, end in itertools.pairwise(ends)]


def _json(content):
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


def passes(row, wanted):
    """Evaluate the few filters that are asked for here, in code of its own."""
    data = json.loads(row[1] or b"{}")
    for field, condition in wanted.items():
        value = data.get(field)
        operator, bound = next(iter(condition.items())) if isinstance(condition, dict) else ("$eq", condition)
        right = {
            "$eq": lambda value, bound: value == bound,
            "$lt": lambda value, bound: value is not None and value < bound,
            "$gte": lambda value, bound: value is not None and value >= bound,
            "$exists": lambda value, bound: (value is not None) == bound,
        }[operator](value, bound)
        if not right:
            return False
    return True


def clients_of(stub, rows, seed):
    """Make a client for each of `rows`."""
    return [Client(number, stub, held, f"{seed}-{number}") for number, held in enumerate(rows)]


def start(stub, rows, seed):
    """Start a client for each of `rows`."""
    clients = clients_of(stub, rows, seed)
    for client in clients:
        client.start()
    return clients


def stored(stub, namespace):
    """Read back every row of a namespace, in pages."""
    found, after = {}, ""
    while True:
        ids = list(stub.List(pb.ListRequest(namespace=namespace, after=after, limit=200)).ids)
        request = pb.FetchRequest(namespace=namespace, ids=ids, include_values=True, include_metadata=True)
        rows = stub.Fetch(request).rows
        assert list(rows.ids) == ids, "what is listed can be fetched"
        found |= rows_of(namespace, rows)
        if len(ids) < 200:
            return found
        after = ids[-1]


def rows_of(namespace, rows):
    """Return the rows of an answer, as `Change.rows` has them."""
    return {(namespace, row_id): _row(rows, at) for at, row_id in enumerate(rows.ids)}


def _row(rows, at):
    size = node.DIMENSIONS * 4
    return rows.vectors[at * size : (at + 1) * size], rows.metadata[at], _pairs_of(rows)[at]


def check(stub, clients):
    """Compare what is served with the history, bit for bit; returns each client's rows as they are now.

    Everything that counts rows agrees with it, and searches find what is there and nothing else.
    """
    namespaces = sorted({name for client in clients for name in client.namespaces})
    every = {}
    for namespace in namespaces:
        every |= stored(stub, namespace)
    assert stub.Stats(pb.StatsRequest()).position.seq >= max(client.seq for client in clients)
    now = check_rows(every, clients)
    _check_counts(stub, every)
    _check_searches(stub, every)
    return now


def check_rows(every, clients):
    """Compare rows with the history; returns each client's."""
    now = []
    for client in clients:
        found = {key: row for key, row in every.items() if key[1].startswith(f"w{client.number}-")}
        assert found in (client.rows, client.doubt), _difference(client, found)
        now.append(found)
    assert sum(map(len, now)) == len(every), "rows that nobody wrote"
    return now


def _difference(client, found):
    wrong = {key for key in found.keys() | client.rows if found.get(key) != client.rows.get(key)}
    unsure = {
        key for key in client.doubt.keys() | client.rows if client.doubt.get(key) != client.rows.get(key)
    }
    words = {
        key: "lost" if key not in found else "undead" if key not in client.rows else "changed"
        for key in wrong
    }
    return f"client {client.number}: {words} differ from what was answered; the last call concerned {unsure}"


def _check_counts(stub, every):
    filters = [None, *({"w": number} for number in range(3)), {"r": {"$gte": 300}}, {"m": {"$exists": True}}]
    for wanted in filters:
        counts = {}
        for key, row in every.items():
            if wanted is None or passes(row, wanted):
                counts[key[0]] = counts.get(key[0], 0) + 1
        request = pb.StatsRequest(filter=_json(wanted) if wanted else b"")
        served = {name: count for name, count in stub.Stats(request).namespaces.items() if count}
        assert served == counts, f"counts that pass {wanted}"


def _check_searches(stub, every):
    for key in list(every)[:: max(1, len(every) // 4)]:
        vector, _, pairs = every[key]
        parts = [pb.QueryPart(vectors=vector, weight=1)]
        parts += [pb.QueryPart(field=config.SPARSE, indices=pairs[0], vectors=pairs[1], weight=1)] * any(
            pairs
        )
        options = {"namespace": key[0], "include_values": True, "include_metadata": True}
        queries = [
            pb.Query(top_k=1, exact=True, vector=vector, **options),
            pb.Query(top_k=1, exact=True, parts=parts, **options),
            pb.Query(top_k=20, vector=vector, **options),
            pb.Query(top_k=20, parts=parts, **options),
        ]
        found = stub.Search(pb.SearchRequest(queries=queries)).results
        held = [row for (namespace, _), row in every.items() if namespace == key[0]]
        for matches, asked in ((found[0], (b"", b"")), (found[1], pairs)):
            best = max(_score(row, vector, asked) for row in held)
            rounding = 1e-5 * max(_length(row) for row in held) * _length(every[key])
            assert abs(struct.unpack("<f", matches.scores)[0] - best) <= rounding, key
        for matches in found:
            for at, row_id in enumerate(matches.rows.ids):
                row = _row(matches.rows, at)
                assert every.get((key[0], row_id)) == row, f"a search finds {row_id}, which is not there"


def _length(row):
    return float(np.linalg.norm(np.frombuffer(row[0] + row[2][1], "<f4").astype(float)))


def _score(row, vector, pairs):
    """Return dense and sparse dot product, in float64."""
    dense = np.frombuffer(row[0], "<f4").astype(float) @ np.frombuffer(vector, "<f4").astype(float)
    asked, own = (
        dict(zip(np.frombuffer(indices, "<u4"), np.frombuffer(values, "<f4").astype(float), strict=True))
        for indices, values in (pairs, row[2])
    )
    return dense + sum(value * asked.get(index, 0) for index, value in own.items())
