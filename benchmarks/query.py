"""What one query costs on its way: FAISS alone, the engine, the shard, its service; alone and in batches."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator

import datasets
import engine
import faiss
import numpy as np
import options
import report
import shard

from vectorfleet_shardnode.api import shard_pb2
from vectorfleet_shardnode.engines import base
from vectorfleet_shardnode.segments import part

EFS = (16, 64, 100)
BATCHES = (1, 8, 32)
PASSING = 0.9
ROUNDS, TURN = 12, 96

Ask = Callable[[slice], Awaitable[object] | object]
"""Asks some of the queries at once."""


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
        faiss.omp_set_num_threads(1)
        rows = []
        for ef in EFS:
            for batch in BATCHES:
                used = await _compare(_ways(data, index, room, ef), batch, len(data.asked))
                rows.append([ef, batch, *used, used[0] / used[2]])
    text = (
        f"{count:,} rows, k {engine.K}; microseconds of CPU, all threads, for one query of a batch: "
        f"the median of {ROUNDS} turns of {TURN}. The service adds messages and where the search runs; its "
        f"filter passes {PASSING:.0%} of the rows. Load average {os.getloadavg()[0]:.1f}."
    )
    header = [
        "efSearch",
        "batch",
        "raw FAISS",
        "engine",
        "shard",
        "service",
        "service, filtered",
        "shard x raw",
    ]
    return report.Section("What a query costs on its way", text, header, rows)


def _ways(data: datasets.Dataset, index: faiss.IndexHNSWFlat, room: shard.Room, ef: int) -> list[Ask]:
    segment = max(room.opened.shard.snapshot.sealed, key=lambda view: view.live_rows).segment
    effort = base.Effort(ef=ef)
    tree = json.dumps({"part": {"$lt": round(PASSING * 10_000)}}).encode()

    def raw(some: slice) -> object:
        parameters = faiss.SearchParametersHNSW(efSearch=ef)
        return index.search(data.asked[some], engine.K, params=parameters)

    return [
        raw,
        lambda some: segment.engine.search(data.asked[some], engine.K, None, effort),
        lambda some: _search(room, data.asked[some], ef),
        lambda some: room.served.search(_request(data.asked[some], ef, b"")),
        lambda some: room.served.search(_request(data.asked[some], ef, tree)),
    ]


def _search(room: shard.Room, asked: np.ndarray, ef: int) -> list[list[str]]:
    state = room.opened.shard.snapshot
    question = part.Question(
        namespace="", queries=state.comparable(asked), k=engine.K, wanted=None, ef=ef, exact=False
    )
    return [state.take(place, part.Fields(False, False)).ids for _, place in state.search(question)]


def _request(asked: np.ndarray, ef: int, tree: bytes) -> shard_pb2.SearchRequest:
    queries = [
        shard_pb2.Query(
            vector=one.tobytes(), top_k=engine.K, ef_search=ef, filter=tree, include_metadata=False
        )
        for one in asked
    ]
    return shard_pb2.SearchRequest(queries=queries)


async def _compare(ways: list[Ask], batch: int, queries: int) -> list[float]:
    """Return each way's microseconds of CPU for a query."""
    used: list[list[float]] = [[] for _ in ways]
    for turn in range(ROUNDS):
        for way, ask in enumerate(ways):
            begin = time.process_time()
            for at in range(0, TURN, batch):
                start = (turn * TURN + at) % (queries - batch + 1)
                answer = ask(slice(start, start + batch))
                if isinstance(answer, Awaitable):
                    await answer
            used[way].append((time.process_time() - begin) / TURN * 1e6)
    return [float(np.median(one)) for one in used]
