"""Bytes that a shard writes to its disk for each byte that it takes: log, flat segments, and merges."""

import asyncio
import dataclasses
import resource
import time
from collections.abc import Awaitable, Callable, Iterator

import datasets
import numpy as np
import options
import prometheus_client
import report
import shard

from vectorfleet_shardnode.segments import builder_process, compaction

BATCH, HOT = 500, 200
_BLOCK = 512  # bytes in which the kernel counts
_STEADY_SECONDS = 90.0  # so that sealed rows that wait 30 s are built while writes go on


@dataclasses.dataclass(frozen=True)
class Written:
    """Bytes, but for `rows` and `merged`: rows that were taken, and rows that merges wrote.

    Attributes:
        device: as the kernel counts what this process and its builders had written; 0 where it doesn't.
    """

    rows: int
    log: int
    flush: int
    merge: int
    merged: int
    device: int

    def since(self, before: "Written") -> "Written":
        """Return what was written since then."""
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(before), strict=True)
        return Written(*(now - then for now, then in pairs))


def measure(given: options.Options) -> Iterator[report.Section]:
    """Load all rows, replace half of them at random at a pace, and a few of them again and again."""
    yield asyncio.run(_measure(given.data(), 15.0 if given.quick else _STEADY_SECONDS))


async def _measure(data: datasets.Dataset, seconds: float) -> report.Section:
    count, dimensions = data.stored.shape
    half = count // 2
    chance = np.random.default_rng(5)
    random = chance.permutation(count)[:half]
    hot = chance.choice(count, HOT, replace=False)[np.arange(half) % HOT]
    table: list[list[report.Cell]] = []
    async with shard.room(dimensions) as room:

        async def at_a_pace(rows: np.ndarray) -> None:
            begin = time.perf_counter()
            for start in range(0, len(rows), BATCH):
                await asyncio.sleep(max(0.0, begin + seconds * start / len(rows) - time.perf_counter()))
                await room.write(data.stored, rows[start : start + BATCH], BATCH)

        async def at_once(rows: np.ndarray) -> None:
            await room.write(data.stored, rows, BATCH)

        async def few_at_once(rows: np.ndarray) -> None:
            await room.write(data.stored, rows, HOT)  # so that a batch has each of them once

        async def one(name: str, rows: np.ndarray, write: Callable[[np.ndarray], Awaitable[None]]) -> None:
            options.say(f"write amplification: {name}")
            before = _now(0)
            await write(rows)
            await room.settled()
            found = _now(len(rows)).since(before)
            replaced = 0.0 if not table else 1.0
            policy = room.opened.maintenance.policy
            first = (
                max(policy.index_min_rows, policy.unindexed_bytes // (4 * dimensions)) if not table else 1_000
            )
            pace = compaction.Pace.LOADING if write is at_once else compaction.Pace.STEADY
            most = compaction.most_copies(policy, pace, min(first, count), count, replaced) + 2
            table.append(_row(name, found, most))

        await one(f"bulk load of {count:,}", np.arange(count), at_once)
        await one(f"{half:,} replaced in random order, at once", random, at_once)
        await one(f"{half:,} replaced in random order in {seconds:.0f} s", random[::-1].copy(), at_a_pace)
        await one(f"{HOT} rows replaced {half // HOT:,} times each", hot, few_at_once)
    text = (
        f"Batches of {BATCH} rows of {dimensions} dimensions with metadata, HNSW under cosine, until all is "
        "settled, so each line ends in a rest. Bytes taken are those of the log's records; log to device are "
        "multiples of them. The device's are what the kernel had this process and its builders write, "
        "0 where it doesn't count. The bound is in engines.md."
    )
    header = ["", "MB taken", "log", "flat segments", "merges", "in all", "device"]
    return report.Section("Write amplification", text, [*header, "copies of a row", "at most"], table)


def _row(name: str, found: Written, most: float) -> list[report.Cell]:
    taken = found.log
    parts = [found.log, found.flush, found.merge, found.log + found.flush + found.merge, found.device]
    return [name, taken / 1e6, *(part / taken for part in parts), found.merged / found.rows, most]


def _now(rows: int) -> Written:
    builder_process.let_go()  # what a process had written counts once it has ended
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return Written(
        rows=rows,
        log=_counter("vectorfleet_log_bytes_total"),
        flush=_counter("vectorfleet_segment_built_bytes_total", kind="flush"),
        merge=_counter("vectorfleet_segment_built_bytes_total", kind="merge"),
        merged=_counter("vectorfleet_segment_built_rows_total", kind="merge"),
        device=sum(one.ru_oublock for one in usages) * _BLOCK,
    )


def _counter(name: str, **labels: str) -> int:
    return int(prometheus_client.REGISTRY.get_sample_value(name, labels) or 0)
