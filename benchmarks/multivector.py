"""Queries by parts: latency and recall against exact search, late interaction and weighted sums.

The passages are made: words of a vocabulary that topics share, each word's vector moved by its topic and by
noise, as a contextual encoder moves it.
"""

import asyncio
import dataclasses
import json
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import options
import report
from numpy.typing import NDArray

from vectorfleet_shardnode import files, settings, storage
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.serving import service

K = 10
BATCH = 100
ROWS, QUERIES = 5_000, 60
ROWS_QUICK, QUERIES_QUICK = 500, 10
DIMENSIONS, TOKENS = 128, 16
Matrix = NDArray[np.float32]
Kind = Callable[[Matrix], list[shard_pb2.QueryPart]]


@dataclasses.dataclass(frozen=True)
class Passages:
    """Token vectors of rows, those of row r at offsets[r]:offsets[r + 1], and of queries, one array each."""

    tokens: Matrix
    offsets: NDArray[np.int64]
    asked: list[Matrix]

    def of(self, row: int) -> Matrix:
        """Return the token vectors of a row."""
        return self.tokens[self.offsets[row] : self.offsets[row + 1]]


def passages(rows: int, dimensions: int, queries: int, asked_tokens: int) -> Passages:
    """Make passages of 15 to 45 tokens, and queries out of the words of one passage each."""
    random = np.random.default_rng(5)
    words, topics = random.normal(size=(3_000, dimensions)), random.normal(size=(50, dimensions))
    likely = random.dirichlet(np.full(3_000, 0.02), 50)
    counts, of_row = random.integers(15, 46, rows), random.integers(0, 50, rows)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    tokens = np.empty((offsets[-1], dimensions), np.float32)
    for row, topic in enumerate(of_row):
        chosen = words[random.choice(3_000, counts[row], p=likely[topic])]
        noise = 0.6 * random.normal(size=chosen.shape)
        tokens[offsets[row] : offsets[row + 1]] = chosen + 0.5 * topics[topic] + noise
    made = Passages(tokens, offsets, [])
    for row in random.integers(0, rows, queries):
        own = made.of(row)[random.integers(0, counts[row], asked_tokens)]
        made.asked.append((own + 0.6 * random.normal(size=own.shape)).astype(np.float32))
    return made


def fields_of(dimensions: int) -> tuple[config.VectorField, ...]:
    """Return a title, a summary and a body of token vectors."""
    plain = [config.VectorField(name=name, dimensions=dimensions) for name in ("title", "summary")]
    return (*plain, config.VectorField(name="body", dimensions=dimensions, late_interaction=True))


class Room:
    """A shard in this process whose rows have values and some of the fields title, summary and body."""

    def __init__(self, folder: pathlib.Path, data: Passages, fields: tuple[config.VectorField, ...]) -> None:
        dimensions = data.tokens.shape[1]
        address = config.ShardAddress(number=0, replicas=("127.0.0.1:7400",))
        generation = config.Generation(dimensions=dimensions, vectors=fields, shards=(address,))
        index = config.IndexConfig(index="bench", serving=generation)
        self.data, self.generation = data, generation
        self.opened = storage.open_shard(index, 0, folder, settings.Tuning())
        self.opened.maintenance.start()
        self.served = service.ShardService(self.opened, index, 0, 1)

    async def load(self) -> float:
        """Write every row and wait until all is settled; returns the seconds."""
        begin = time.perf_counter()
        rows = len(self.data.offsets) - 1
        for start in range(0, rows, BATCH):
            await self.served.write(self._upsert(range(start, min(start + BATCH, rows))))
        since = time.perf_counter()
        while time.perf_counter() - since < 3:
            if self.opened.maintenance.waiting_rows() or self.opened.maintenance.building:
                since = time.perf_counter()
            await asyncio.sleep(0.05)
        return since - begin

    def _upsert(self, rows: range) -> shard_pb2.WriteRequest:
        """Return rows whose values, title and summary are means of all tokens and of two thirds of them."""
        tokens = [self.data.of(row) for row in rows]
        thirds = [len(one) // 3 for one in tokens]
        means = {
            "": [one.mean(axis=0) for one in tokens],
            "title": [one[: 2 * third].mean(axis=0) for one, third in zip(tokens, thirds, strict=True)],
            "summary": [one[third:].mean(axis=0) for one, third in zip(tokens, thirds, strict=True)],
        }
        columns = [
            shard_pb2.VectorColumn(name=name, counts=[1] * len(rows), vectors=np.stack(means[name]).tobytes())
            for name in ("title", "summary")
        ]
        body = np.concatenate(tokens).tobytes()
        columns.append(shard_pb2.VectorColumn(name="body", counts=[len(one) for one in tokens], vectors=body))
        declared = {field.name for field in self.generation.vectors}
        content = shard_pb2.Rows(
            ids=[str(row) for row in rows],
            vectors=np.stack(means[""]).tobytes(),
            metadata=[json.dumps({"part": row * 7919 % 1_000}).encode() for row in rows],
            fields=[column for column in columns if column.name in declared],
        )
        return shard_pb2.WriteRequest(upsert=shard_pb2.Upsert(rows=content))

    async def ask(self, query: shard_pb2.Query) -> list[str]:
        """Return the ids that match."""
        reply = await self.served.search(shard_pb2.SearchRequest(queries=[query]))
        return list(reply.results[0].rows.ids)


def late(asked: Matrix) -> list[shard_pb2.QueryPart]:
    """Return a query by late interaction."""
    return [shard_pb2.QueryPart(field="body", weight=1, vectors=asked.tobytes())]


def weighted(asked: Matrix) -> list[shard_pb2.QueryPart]:
    """Return a weighted sum over values, title and summary, each asked for another part of the tokens."""
    third = len(asked) // 3
    terms = (("", 1, asked), ("title", 0.5, asked[: 2 * third]), ("summary", 0.3, asked[third:]))
    return [
        shard_pb2.QueryPart(field=field, weight=weight, vectors=vectors.mean(axis=0).tobytes())
        for field, weight, vectors in terms
    ]


def both(asked: Matrix) -> list[shard_pb2.QueryPart]:
    """Return a sum of the values' score and the body's."""
    return [weighted(asked)[0], shard_pb2.QueryPart(field="body", weight=0.1, vectors=asked.tobytes())]


EXACT = {"exact": True}
WAYS = {
    "as needed": {},
    "oversampling 1": {"oversampling": 1},
    "oversampling 4": {"oversampling": 4},
    "as needed, 10 % pass": {"filter": b'{"part": {"$lt": 100}}'},
    "as needed, 1 % pass": {"filter": b'{"part": {"$lt": 10}}'},
}


async def timed(room: Room, query: shard_pb2.Query) -> tuple[list[str], float]:
    """Return the ids that match, and the milliseconds."""
    begin = time.perf_counter()
    found = await room.ask(query)
    return found, 1000 * (time.perf_counter() - begin)


def measure(given: options.Options) -> Iterator[report.Section]:
    """Make passages, load them into a shard, and ask."""
    rows = ROWS_QUICK if given.quick else ROWS
    yield asyncio.run(_measure(passages(rows, DIMENSIONS, QUERIES_QUICK if given.quick else QUERIES, TOKENS)))


async def _measure(data: Passages) -> report.Section:
    rows = len(data.offsets) - 1
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as folder:
        room = Room(pathlib.Path(folder), data, fields_of(data.tokens.shape[1]))
        options.say(f"a shard loads {rows:,} passages of token vectors and settles")
        seconds = await room.load()
        lines = [
            await _line(room, kind, name, given)
            for kind in (late, weighted, both)
            for name, given in WAYS.items()
        ]
        parts, held = len(room.opened.shard.snapshot.sealed), files.bytes_under(pathlib.Path(folder))
        await room.served.close()
    text = (
        f"{rows:,} passages made, {len(data.tokens):,} token vectors of {DIMENSIONS}, cosine, queries of "
        f"{TOKENS} tokens, in turns with the same query exactly; settled in {seconds:.0f} s in {parts} "
        f"segment(s), {held / rows / 1024:.1f} KiB a row on the disk."
    )
    header = ["query", "way", "recall@10", "mean ms", "p95 ms", "exact beside it, mean ms"]
    return report.Section("Vector fields and late interaction", text, header, lines)


async def _line(room: Room, kind: Kind, name: str, given: dict[str, Any]) -> list[report.Cell]:
    took, exactly, hits, wanted = [], [], 0, 0
    for asked in room.data.asked:
        query = shard_pb2.Query(parts=kind(asked), top_k=K, **given)
        truth, slow = await timed(room, shard_pb2.Query(parts=kind(asked), top_k=K, **(given | EXACT)))
        found, fast = await timed(room, query)
        took.append(fast)
        exactly.append(slow)
        hits, wanted = hits + len({*found} & {*truth}), wanted + len(truth)
    recall = f"{hits / wanted:.3f}"
    return [
        kind.__name__,
        name,
        recall,
        float(np.mean(took)),
        float(np.percentile(took, 95)),
        float(np.mean(exactly)),
    ]
