"""What queries feel: latency at a steady pace while a shard is idle, loaded, and building."""

import asyncio
import time
from collections.abc import Callable, Iterator

import datasets
import numpy as np
import options
import report
import shard

from vectorfleet_shardnode.api import shard_pb2

RATE = 100
"""Queries a second: far from saturation, so that the builder gets what serving leaves."""


def measure(given: options.Options) -> Iterator[report.Section]:
    """Ask at a steady pace through a load, the builds that follow it, and the rest."""
    yield asyncio.run(_measure(given.data()))


async def _measure(data: datasets.Dataset) -> report.Section:
    count, half = len(data.stored), len(data.stored) // 2
    async with shard.room(data.stored.shape[1]) as room:
        await room.write(data.stored, np.arange(half), 500)
        await room.settled()
        options.say("idle")
        idle = await _pace(room, data, lambda asked: asked < 5 * RATE)
        options.say("rows are written and graphs built")
        writing = asyncio.create_task(_write_slowly(room, data.stored, np.arange(half, count)))
        busy = await _pace(room, data, lambda _: not writing.done())
        options.say("the last graph is built")
        building = await _pace(room, data, lambda _: room.is_busy())
        after = await _pace(room, data, lambda asked: asked < 5 * RATE)
    named = {"idle": idle, "writing 2,000 rows/s": busy, "building": building, "idle again": after}
    rows = [
        [name, len(times), *np.percentile(times, [50, 95, 99])] for name, times in named.items() if len(times)
    ]
    base = float(np.percentile(idle, 99))
    rows = [[*row, row[-1] / base] for row in rows]
    text = f"{RATE} queries/s, each alone, through the service; {half:,} rows at first, {count:,} at last."
    header = ["while", "queries", "p50 ms", "p95 ms", "p99 ms", "p99 x idle"]
    return report.Section("Latency while graphs are built", text, header, rows)


async def _write_slowly(room: shard.Room, vectors: np.ndarray, numbers: np.ndarray) -> None:
    for start in range(0, len(numbers), 500):
        begin = time.perf_counter()
        await room.write(vectors, numbers[start : start + 500], 500)
        await asyncio.sleep(max(0.0, 0.25 - (time.perf_counter() - begin)))


async def _pace(room: shard.Room, data: datasets.Dataset, goes_on: Callable[[int], bool]) -> np.ndarray:
    """Ask at the rate while `goes_on`; latency counts from when a query was due. Milliseconds."""
    took, number, due = [], 0, time.perf_counter()
    while goes_on(number):
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        query = shard_pb2.Query(vector=data.asked[number % len(data.asked)].tobytes(), top_k=10)
        await room.served.search(shard_pb2.SearchRequest(queries=[query]))
        took.append((time.perf_counter() - due) * 1000)
        number, due = number + 1, max(due + 1 / RATE, time.perf_counter() - 1)
    return np.array(took)
