"""One shard in this process, written to and asked as the node does it, fsync included."""

import asyncio
import contextlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator

import faiss
import numpy as np
from numpy.typing import NDArray

from vectorfleet_runtime import garbage
from vectorfleet_shardnode import settings, storage
from vectorfleet_shardnode.api import config, shard_pb2
from vectorfleet_shardnode.segments import builder_process, part
from vectorfleet_shardnode.serving import reporting, service

CORES = len(os.sched_getaffinity(0))


class Room:
    """A shard's service, the parts behind it, and its folder."""

    def __init__(self, opened: storage.OpenShard, served: service.ShardService, folder: pathlib.Path) -> None:
        self.opened = opened
        self.served = served
        self.folder = folder

    def is_busy(self) -> bool:
        """Tell whether rows wait for a graph or one is being built."""
        return bool(self.opened.maintenance.waiting_rows()) or self.opened.maintenance.building

    async def write(self, vectors: NDArray[np.float32], rows: NDArray[np.int64], batch: int) -> None:
        """Upsert these rows in batches, four under way at a time; each is durable when it is answered."""
        gate = asyncio.Semaphore(4)

        async def one(numbers: NDArray[np.int64]) -> None:
            async with gate:
                await self.served.write(upsert(vectors, numbers))

        pieces = (rows[start : start + batch] for start in range(0, len(rows), batch))
        await asyncio.gather(*(one(piece) for piece in pieces))

    async def delete(self, rows: NDArray[np.int64]) -> None:
        """Delete rows in batches, one after the other."""
        for start in range(0, len(rows), 500):
            ids = shard_pb2.Ids(ids=[str(number) for number in rows[start : start + 500]])
            await self.served.write(shard_pb2.WriteRequest(delete=shard_pb2.Delete(ids=ids)))

    async def settled(self) -> float:
        """Wait until every row is in a graph and nothing was built for 3 seconds; return when that began."""
        since, deadline = time.perf_counter(), time.perf_counter() + 1800
        while time.perf_counter() - since < 3:
            if self.is_busy():
                since = time.perf_counter()
            if time.perf_counter() > deadline:
                raise TimeoutError("the shard did not settle within half an hour")
            await asyncio.sleep(0.02)
        return since


def config_of(
    dimensions: int, schema: config.Schema | None = None, metric: config.Metric = config.Metric.COSINE
) -> config.IndexConfig:
    """Return the configuration of an index of one shard, balanced."""
    address = config.ShardAddress(number=0, replicas=("127.0.0.1:7400",))
    serving = config.Generation(dimensions=dimensions, metric=metric, shards=(address,))
    return config.IndexConfig(index="bench", serving=serving, metadata=schema or config.Schema())


@contextlib.asynccontextmanager
async def room(
    dimensions: int = 384, schema: config.Schema | None = None, metric: config.Metric = config.Metric.COSINE
) -> AsyncIterator[Room]:
    """Open an empty shard in a folder of its own; both are gone afterwards."""
    index = config_of(dimensions, schema, metric)
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as name:
        folder = pathlib.Path(name)
        opened = await asyncio.to_thread(storage.open_shard, index, 0, folder, settings.Tuning())
        opened.maintenance.start()
        served = service.ShardService(opened, index, 0, CORES)
        try:
            with garbage.set_apart():  # as each process of ours does once it serves
                yield Room(opened, served, folder)
        finally:
            await served.close()


def start_alone(folder: pathlib.Path, asked: NDArray[np.float32]) -> tuple[float, int]:
    """Open a copy of the folder in a process of its own and ask every query.

    Returns:
        The seconds until it was open, and the resident bytes that the shard added to the process.
    """
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as name:
        copy = pathlib.Path(name) / "data"
        shutil.copytree(folder, copy)
        np.save(pathlib.Path(name) / "asked.npy", asked)
        command = [sys.executable, __file__, str(copy), str(pathlib.Path(name) / "asked.npy")]
        said = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
        return float(said[-2]), int(said[-1])


def _start_here(folder: pathlib.Path, asked: NDArray[np.float32]) -> tuple[float, int]:
    index = config_of(asked.shape[1])
    faiss.omp_set_num_threads(1)
    before, begin = reporting.resident_bytes(), time.perf_counter()
    opened = storage.open_shard(index, 0, folder, settings.Tuning())
    seconds, state = time.perf_counter() - begin, opened.shard.snapshot
    for query in asked:
        question = part.Question(
            namespace="", queries=state.comparable(query[None]), k=10, wanted=None, ef=100, exact=False
        )
        for _, place in state.search(question):
            state.take(place, part.Fields(False, True))
    resident = reporting.resident_bytes() - before
    opened.close()
    return seconds, resident


def upsert(vectors: NDArray[np.float32], numbers: NDArray[np.int64]) -> shard_pb2.WriteRequest:
    """Return the request that stores these rows; `part` is a uniform number of 0 to 9999."""
    rows = shard_pb2.Rows(
        ids=[str(number) for number in numbers],
        vectors=vectors[numbers].tobytes(),
        metadata=[json.dumps({"part": part_of(number), "kind": "package"}).encode() for number in numbers],
    )
    return shard_pb2.WriteRequest(upsert=shard_pb2.Upsert(rows=rows))


def part_of(number: int) -> int:
    """Return a row's `part`: spread evenly, and of no relation to its vector."""
    return int(number) * 7919 % 10_000


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it has waited for."""
    builder_process.let_go()  # what one that waits has used counts once it has ended
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    print(*_start_here(pathlib.Path(sys.argv[1]), np.load(sys.argv[2])))
