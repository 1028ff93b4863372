"""One shard in this process, written to and asked as the node does it, fsync included."""

import asyncio
import contextlib
import json
import os
import pathlib
import resource
import tempfile
import time
from collections.abc import AsyncIterator

import numpy as np
from numpy.typing import NDArray

from vectorfleet_shardnode import service, settings, storage
from vectorfleet_shardnode.api import config, shard_pb2


class Room:
    """A shard's service and the parts behind it."""

    def __init__(self, opened: storage.OpenShard, served: service.ShardService) -> None:
        self.opened = opened
        self.served = served

    async def write(self, vectors: NDArray[np.float32], rows: NDArray[np.int64], batch: int) -> None:
        """Upsert these rows in batches, four under way at a time; each is durable when it is answered."""
        gate = asyncio.Semaphore(4)

        async def one(numbers: NDArray[np.int64]) -> None:
            async with gate:
                await self.served.write(upsert(vectors, numbers))

        pieces = (rows[start : start + batch] for start in range(0, len(rows), batch))
        await asyncio.gather(*(one(piece) for piece in pieces))

    async def settled(self) -> float:
        """Wait until every row is in a graph and nothing was built for 3 seconds; return when that began."""
        since, deadline = time.perf_counter(), time.perf_counter() + 300
        while time.perf_counter() - since < 3:
            if self.opened.maintenance.waiting_rows() or self.opened.maintenance.building:
                since = time.perf_counter()
            if time.perf_counter() > deadline:
                raise TimeoutError("the shard did not settle within 300 seconds")
            await asyncio.sleep(0.02)
        return since


@contextlib.asynccontextmanager
async def room() -> AsyncIterator[Room]:
    """Open an empty shard in a folder of its own; both are gone afterwards."""
    address = config.ShardAddress(number=0, replicas=("127.0.0.1:7400",))
    index = config.IndexConfig(index="bench", serving=config.Generation(dimensions=384, shards=(address,)))
    with tempfile.TemporaryDirectory(prefix="vectorfleet-bench-") as folder:
        opened = await asyncio.to_thread(
            storage.open_shard, index, 0, pathlib.Path(folder), settings.Tuning()
        )
        opened.maintenance.start()
        served = service.ShardService(opened, index, 0, len(os.sched_getaffinity(0)))
        try:
            yield Room(opened, served)
        finally:
            await served.close()


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
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
