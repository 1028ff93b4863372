"""A bulk load with somebody asking all the while: what queries feel and find meanwhile.

What a query should find are the nearest of the rows whose writes were answered before it was sent; a row
that came later and is as near counts as well.
"""

import asyncio
import dataclasses
import time
from collections.abc import Sequence

import datasets
import numpy as np
import options
import pacing
import report
import shard
from numpy.typing import NDArray

from vectorfleet_shardnode.api import shard_pb2

K, BATCH, AT_A_TIME = 10, 500, 4
WRITES, BUILDS, IDLE = "rows are written", "graphs are built", "idle"
_QUIET = 5.0  # seconds in which nothing may be built until a load counts as settled


@dataclasses.dataclass(frozen=True)
class Noted:
    """One query.

    Attributes:
        phase: what went on when it was sent.
        number: of the query.
        durable: which batches were durable when it was sent.
        found: the rows that it found.
    """

    phase: str
    number: int
    durable: NDArray[np.bool_]
    found: NDArray[np.int64]


class Load:
    """The writes of all rows, made ready before, and which of them were answered."""

    def __init__(self, data: datasets.Dataset) -> None:
        rows = np.arange(len(data.stored))
        self._requests = [
            shard.upsert(data.stored, rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)
        ]
        self.durable = np.zeros(len(self._requests), np.bool_)

    async def write(self, room: shard.Room) -> None:
        """Write everything, four batches under way at a time."""
        waiting = iter(range(len(self._requests)))

        async def some() -> None:
            for number in waiting:
                await room.served.write(self._requests[number])
                self.durable[number] = True

        await asyncio.gather(*(some() for _ in range(AT_A_TIME)))


class Asker:
    """Asks all through a load, and knows when it has settled."""

    def __init__(self, room: shard.Room, data: datasets.Dataset, load: Load) -> None:
        self._room, self._data, self._load = room, data, load
        self.writing = True
        self.settled = time.perf_counter()

    def goes_on(self, _: int) -> bool:
        """Tell whether the load goes on, or ended less than some seconds ago."""
        return time.perf_counter() - self.settled < _QUIET

    async def one(self, number: int) -> Noted:
        """Ask one query; note what went on when it was sent."""
        phase, busy = IDLE, self._room.is_busy()
        if self.writing or busy:
            phase, self.settled = WRITES if self.writing else BUILDS, time.perf_counter()
        query, durable = number % len(self._data.asked), self._load.durable.copy()
        asked = shard_pb2.Query(vector=self._data.asked[query].tobytes(), top_k=K)
        reply = await self._room.served.search(shard_pb2.SearchRequest(queries=[asked]))
        return Noted(phase, query, durable, np.array(reply.results[0].rows.ids, np.int64))


async def measure(data: datasets.Dataset, raw_seconds: float) -> report.Section:
    """Load all rows and ask at a steady pace until every row is in a graph, and a little longer.

    Args:
        data: the rows and queries.
        raw_seconds: that FAISS takes for the same graph.
    """
    load, count = Load(data), len(data.stored)
    options.say(f"the same rows, while {pacing.STEADY.name} come")
    async with shard.room(data.stored.shape[1]) as room:
        asker, begin = Asker(room, data, load), time.perf_counter()
        asking = asyncio.create_task(pacing.ask(asker.one, pacing.STEADY, asker.goes_on))
        await load.write(room)
        written, asker.writing = time.perf_counter() - begin, False
        took, noted = await asking
        settled = asker.settled - begin
    scores = data.asked @ data.stored.T
    rows = [_row(phase, took, noted, scores) for phase in (WRITES, BUILDS, IDLE)]
    text = (
        f"{pacing.STEADY.name} at the profile's own efSearch from the first row on: {count / written:,.0f} "
        f"durable rows/s, {settled:.1f} s until all rows were in a graph, {settled / raw_seconds:.2f} x raw "
        "FAISS's build. Milliseconds count from when a query was due. Recall@10 is that of the rows whose "
        "writes were answered before the query was sent."
    )
    header = ["while", "queries", "p50 ms", "p95 ms", "p99 ms", "recall@10", "least of a query"]
    return report.Section("Bulk load while queries come", text, header, rows)


def _row(
    phase: str, took: Sequence[float], noted: Sequence[Noted], scores: NDArray[np.float32]
) -> list[report.Cell]:
    times = [one for one, about in zip(took, noted, strict=True) if about.phase == phase]
    if not times:
        return [phase, 0, "", "", "", "", ""]
    each = [
        recall(scores[one.number], np.repeat(one.durable, BATCH)[: scores.shape[1]], one.found, K)
        for one in noted
        if one.phase == phase and one.durable.any()
    ]
    shares: list[report.Cell] = [f"{np.mean(each):.3f}", f"{min(each):.1f}"] if each else ["", ""]
    return [phase, len(times), *(float(one) for one in np.percentile(times, [50, 95, 99])), *shares]


def recall(
    scores: NDArray[np.float32], durable: NDArray[np.bool_], found: NDArray[np.int64], k: int
) -> float:
    """Return the share of `k` for which a row was found that is as near as the k-th nearest durable one.

    Args:
        scores: of every row, (n,), greater is nearer.
        durable: which rows had to be found, (n,); fewer than `k` of them lower what is asked for.
        found: rows.
        k: neighbours asked for.
    """
    wanted = min(k, int(durable.sum()))
    limit = np.partition(scores[durable], -wanted)[-wanted]
    return min(int((scores[found] >= limit - 1e-6).sum()), wanted) / wanted
