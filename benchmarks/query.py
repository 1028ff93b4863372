"""What one query costs on its way: FAISS alone, the engine, the shard, its service; filtered and not."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator

import datasets
import engine
import numpy as np
import options
import report
import shard

from vectorfleet_shardnode.api import shard_pb2

EFS = (16, 64, 100)
PASSING = 0.9
ROUNDS, TURN = 8, 100

Ask = Callable[[int], Awaitable[object] | object]


def measure(given: options.Options) -> Iterator[report.Section]:
    """Ask the same queries at each stop of their way, in turns."""
    yield asyncio.run(_measure(given.data()))


async def _measure(data: datasets.Dataset) -> report.Section:
    count = len(data.stored)
    options.say(f"raw FAISS builds {count:,} rows")
    index = engine.raw(data, shard.CORES)[0]
    async with shard.room(data.stored.shape[1]) as room:
        options.say("a shard loads them and settles")
        await room.write(data.stored, np.arange(count), 500)
        await room.settled()
        rows = [[ef, *await _compare(_ways(data, index, room, ef), len(data.asked))] for ef in EFS]
    text = (
        f"{count:,} rows, k {engine.K}; microseconds of CPU, all threads, for one query alone: the median of "
        f"{ROUNDS} turns of {TURN} queries. The service adds messages and where the search runs; its "
        f"filter passes {PASSING:.0%} of the rows. Load average {os.getloadavg()[0]:.1f}."
    )
    header = ["efSearch", "raw FAISS", "engine", "shard", "service", "service, filtered"]
    return report.Section("What a query costs on its way", text, header, rows)


def _ways(data: datasets.Dataset, index: object, room: shard.Room, ef: int) -> list[Ask]:
    answers = (engine.raw_answer(index, ef), engine.engine_answer(room, ef), engine.shard_answer(room, ef))
    tree = json.dumps({"part": {"$lt": round(PASSING * 10_000)}}).encode()
    plain, filtered = _requests(data, ef, b""), _requests(data, ef, tree)
    return [
        *((lambda number, ask=ask: ask(data.asked[number : number + 1])) for ask in answers),
        lambda number: room.served.search(plain[number]),
        lambda number: room.served.search(filtered[number]),
    ]


def _requests(data: datasets.Dataset, ef: int, tree: bytes) -> list[shard_pb2.SearchRequest]:
    vectors = (vector.tobytes() for vector in data.asked)
    queries = (
        shard_pb2.Query(vector=one, top_k=engine.K, ef_search=ef, filter=tree, include_metadata=False)
        for one in vectors
    )
    return [shard_pb2.SearchRequest(queries=[query]) for query in queries]


async def _compare(ways: list[Ask], queries: int) -> list[float]:
    """Return each way's microseconds of CPU for a query."""
    used: list[list[float]] = [[] for _ in ways]
    for turn in range(ROUNDS):
        for way, ask in enumerate(ways):
            begin = time.process_time()
            for at in range(TURN):
                answer = ask((turn * TURN + at) % queries)
                if isinstance(answer, Awaitable):
                    await answer
            used[way].append((time.process_time() - begin) / TURN * 1e6)
    return [float(np.median(one)) for one in used]
