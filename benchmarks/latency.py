"""What queries feel while a shard is idle, takes rows and builds: at a steady pace, and one after the other.

FAISS alone, asked beside a process in which FAISS builds, is what the machine leaves of it to anyone.
"""

import asyncio
import contextlib
import dataclasses
import multiprocessing
import multiprocessing.synchronize
import time
from collections.abc import Awaitable, Callable, Iterator

import datasets
import engine
import faiss
import numpy as np
import options
import pacing
import report
import shard

from vectorfleet_shardnode import settings
from vectorfleet_shardnode.api import shard_pb2
from vectorfleet_shardnode.segments import yielding

_IDLE = 5 * pacing.RATE
_EF = 100  # the profile's
_DELETED = 4  # each fourth row: more than may be dead in a graph
_BEGINS = 3.0  # seconds in which a build that is at hand has begun


@dataclasses.dataclass(frozen=True)
class Asked:
    """Who is asked.

    Attributes:
        search: answers one query, (dimensions,).
        waiting: tells how many rows are in no graph yet.
    """

    search: Callable[[np.ndarray], Awaitable[object]]
    waiting: Callable[[], int]


@dataclasses.dataclass(frozen=True)
class Felt:
    """Milliseconds of each query on the clock; rows that waited for a graph meanwhile, on average."""

    took: np.ndarray
    waiting: float


def measure(given: options.Options) -> Iterator[report.Section]:
    """Ask through a load, the builds that follow it, and the rest, at each pace."""
    data = given.data()
    rows = [row for pace in pacing.PACES for row in asyncio.run(_measure(data, pace))]
    floor = [row for pace in pacing.PACES for row in asyncio.run(_measure_raw(data, pace))]
    count = len(data.stored)
    text = (
        f"Through the service, each query alone; {count // 2:,} rows at first, {count:,} at last, written at "
        "2,000 rows/s. Waiting: rows in no graph yet, on average, which are compared one by one. Built anew "
        "is the graph of all once each fourth row is deleted."
    )
    header = ["queries come", "while", "queries", "p50 ms", "p95 ms", "p99 ms", "p99 x idle", "rows waiting"]
    yield report.Section("Latency while graphs are built", text, header, rows)
    text = (
        f"FAISS's own graph of {count // 2:,} rows, asked in this process, efSearch {_EF}; beside it another "
        f"process builds one of {count:,} with {yielding.threads(shard.CORES, 0)} thread(s), as a shard's "
        "builder has while searches come. No rows wait and none are written: what is left is the machine."
    )
    yield report.Section("FAISS alone while FAISS builds", text, header, floor)


async def _measure(data: datasets.Dataset, pace: pacing.Pace) -> list[list[report.Cell]]:
    count, half = len(data.stored), len(data.stored) // 2
    async with shard.room(data.stored.shape[1]) as room:
        await room.write(data.stored, np.arange(half), 500)
        await room.settled()
        asked = _shard(room)
        options.say(f"{pace.name}: idle")
        await _ask(asked, data, pace, lambda number: number < pacing.RATE)
        idle = await _ask(asked, data, pace, lambda number: number < _IDLE)
        options.say(f"{pace.name}: rows are written and graphs built")
        requests = [
            shard.upsert(data.stored, np.arange(half, count)[n : n + 500])
            for n in range(0, count - half, 500)
        ]
        writing = asyncio.create_task(_write_slowly(room, requests))
        busy = await _ask(asked, data, pace, lambda _: not writing.done())
        await writing
        options.say(f"{pace.name}: the last graph is built")
        building = await _ask(asked, data, pace, lambda _: room.is_busy())
        after = await _ask(asked, data, pace, lambda number: number < _IDLE)
        options.say(f"{pace.name}: rows are deleted, and a graph is built anew")
        await room.delete(np.arange(0, count, _DELETED))
        anew = await _ask(asked, data, pace, _until_rebuilt(room))
    named = {
        "idle": idle,
        "writing, building": busy,
        "building": building,
        "idle again": after,
        "building anew": anew,
    }
    return _rows(pace, named)


def _until_rebuilt(room: shard.Room) -> Callable[[int], bool]:
    """Return what tells whether a build that is at hand has not ended yet."""
    begun = time.perf_counter()

    def goes_on(_: int) -> bool:
        return room.is_busy() or time.perf_counter() - begun < _BEGINS

    return goes_on


def _shard(room: shard.Room) -> Asked:
    async def search(vector: np.ndarray) -> object:
        query = shard_pb2.Query(vector=vector.tobytes(), top_k=10)
        return await room.served.search(shard_pb2.SearchRequest(queries=[query]))

    return Asked(search, room.opened.maintenance.waiting_rows)


async def _measure_raw(data: datasets.Dataset, pace: pacing.Pace) -> list[list[report.Cell]]:
    half = dataclasses.replace(data, stored=data.stored[: len(data.stored) // 2])
    index, _, _ = engine.raw(half, shard.CORES)
    index.hnsw.efSearch = _EF
    faiss.omp_set_num_threads(1)

    async def search(vector: np.ndarray) -> object:
        return index.search(vector[None], 10)

    asked = Asked(search, lambda: 0)
    options.say(f"{pace.name}: FAISS alone, idle")
    await _ask(asked, data, pace, lambda number: number < pacing.RATE)
    idle = await _ask(asked, data, pace, lambda number: number < _IDLE)
    options.say(f"{pace.name}: FAISS alone beside a build")
    with _building(data) as builder:
        building = await _ask(asked, data, pace, lambda _: builder.is_alive())
    return _rows(pace, {"idle": idle, "building": building})


@contextlib.contextmanager
def _building(data: datasets.Dataset) -> Iterator[multiprocessing.Process]:
    """Build a graph of all rows in a process of its own, which has begun."""
    spawn = multiprocessing.get_context("spawn")
    begun = spawn.Event()
    builder = spawn.Process(target=_build, args=(data, begun))
    builder.start()
    try:
        begun.wait()
        yield builder
    finally:
        builder.join()


def _build(data: datasets.Dataset, begun: multiprocessing.synchronize.Event) -> None:
    yielding.step_back(settings.Tuning().build_niceness, yields=False)
    begun.set()
    engine.raw(data, yielding.threads(shard.CORES, 0))


def _rows(pace: pacing.Pace, named: dict[str, Felt]) -> list[list[report.Cell]]:
    base = float(np.percentile(named["idle"].took, 99))
    return [_row(pace, name, felt, base) for name, felt in named.items() if len(felt.took)]


def _row(pace: pacing.Pace, name: str, felt: Felt, base: float) -> list[report.Cell]:
    p50, p95, p99 = (float(one) for one in np.percentile(felt.took, [50, 95, 99]))
    return [pace.name, name, len(felt.took), p50, p95, p99, p99 / base, round(felt.waiting)]


async def _write_slowly(room: shard.Room, requests: list[shard_pb2.WriteRequest]) -> None:
    """Write what was made ready before: in a cluster, that is done by whoever writes."""
    for request in requests:
        begin = time.perf_counter()
        await room.served.write(request)
        await asyncio.sleep(max(0.0, 0.25 - (time.perf_counter() - begin)))


async def _ask(
    asked: Asked, data: datasets.Dataset, pace: pacing.Pace, goes_on: Callable[[int], bool]
) -> Felt:
    """Ask while `goes_on`, which is given how many queries there were."""

    async def one(number: int) -> int:
        await asked.search(data.asked[number % len(data.asked)])
        return asked.waiting()

    took, waiting = await pacing.ask(one, pace, goes_on)
    return Felt(np.array(took), float(np.mean(waiting)) if waiting else 0.0)
