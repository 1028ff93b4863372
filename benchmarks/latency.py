"""What queries feel while a shard is idle, takes rows and builds: at a steady pace, and one after the other.

At a steady pace a query's time counts from when it was due, so that what is held up counts in full. The CPU's
time of a query stands beside: where the machine is busy it tells what a query costs from how long it waited.
"""

import asyncio
import dataclasses
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
_SPIN = 2e-3  # seconds before a query is due in which the loop does not sleep: its timers are no finer
_IDLE = 5 * RATE


@dataclasses.dataclass(frozen=True)
class Pace:
    """How queries come: `rate` a second, or one after the other where it is None."""

    name: str
    rate: int | None


PACES = (Pace(f"{RATE} queries/s", RATE), Pace("one after the other", None))


@dataclasses.dataclass(frozen=True)
class Felt:
    """Milliseconds of each query on the clock; rows that waited for a graph meanwhile, on average."""

    took: np.ndarray
    waiting: float


def measure(given: options.Options) -> Iterator[report.Section]:
    """Ask through a load, the builds that follow it, and the rest, at each pace."""
    data = given.data()
    rows = [row for pace in PACES for row in asyncio.run(_measure(data, pace))]
    count = len(data.stored)
    text = (
        f"Through the service, each query alone; {count // 2:,} rows at first, {count:,} at last, written at "
        "2,000 rows/s. Waiting: rows in no graph yet, on average, which are compared one by one."
    )
    header = ["queries come", "while", "queries", "p50 ms", "p95 ms", "p99 ms", "p99 x idle", "rows waiting"]
    yield report.Section("Latency while graphs are built", text, header, rows)


async def _measure(data: datasets.Dataset, pace: Pace) -> list[list[report.Cell]]:
    count, half = len(data.stored), len(data.stored) // 2
    async with shard.room(data.stored.shape[1]) as room:
        await room.write(data.stored, np.arange(half), 500)
        await room.settled()
        options.say(f"{pace.name}: idle")
        await _ask(room, data, pace, lambda asked: asked < RATE)
        idle = await _ask(room, data, pace, lambda asked: asked < _IDLE)
        options.say(f"{pace.name}: rows are written and graphs built")
        requests = [
            shard.upsert(data.stored, np.arange(half, count)[n : n + 500])
            for n in range(0, count - half, 500)
        ]
        writing = asyncio.create_task(_write_slowly(room, requests))
        busy = await _ask(room, data, pace, lambda _: not writing.done())
        await writing
        options.say(f"{pace.name}: the last graph is built")
        building = await _ask(room, data, pace, lambda _: room.is_busy())
        after = await _ask(room, data, pace, lambda asked: asked < _IDLE)
    named = {"idle": idle, "writing, building": busy, "building": building, "idle again": after}
    base = float(np.percentile(idle.took, 99))
    return [_row(pace, name, felt, base) for name, felt in named.items() if len(felt.took)]


def _row(pace: Pace, name: str, felt: Felt, base: float) -> list[report.Cell]:
    p50, p95, p99 = (float(one) for one in np.percentile(felt.took, [50, 95, 99]))
    return [pace.name, name, len(felt.took), p50, p95, p99, p99 / base, round(felt.waiting)]


async def _write_slowly(room: shard.Room, requests: list[shard_pb2.WriteRequest]) -> None:
    """Write what was made ready before: in a cluster, that is done by whoever writes."""
    for request in requests:
        begin = time.perf_counter()
        await room.served.write(request)
        await asyncio.sleep(max(0.0, 0.25 - (time.perf_counter() - begin)))


async def _ask(room: shard.Room, data: datasets.Dataset, pace: Pace, goes_on: Callable[[int], bool]) -> Felt:
    """Ask while `goes_on`."""
    took, waiting, number, due = [], [], 0, time.perf_counter()
    while goes_on(number):
        due = await _until(due, pace)
        query = shard_pb2.Query(vector=data.asked[number % len(data.asked)].tobytes(), top_k=10)
        await room.served.search(shard_pb2.SearchRequest(queries=[query]))
        took.append((time.perf_counter() - due) * 1000)
        waiting.append(room.opened.maintenance.waiting_rows())
        number += 1
        due = max(due + 1 / (pace.rate or 1), time.perf_counter() - 1)
    return Felt(np.array(took), float(np.mean(waiting)) if waiting else 0.0)


async def _until(due: float, pace: Pace) -> float:
    """Wait until a query is due; return when that is."""
    if pace.rate is None:
        await asyncio.sleep(0)
        return time.perf_counter()
    await asyncio.sleep(max(0.0, due - time.perf_counter() - _SPIN))
    while time.perf_counter() < due:  # noqa: ASYNC110 (timers are what is too coarse)
        await asyncio.sleep(0)
    return due
