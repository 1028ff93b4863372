"""Durable ingest into a shard that is queryable meanwhile, and the time until every row is in a graph."""

import asyncio
import time
from collections.abc import Iterator

import asked_meanwhile
import datasets
import engine
import numpy as np
import options
import report
import shard

BATCHES = (1, 10, 50, 100, 200, 500, 1000)


def measure(given: options.Options) -> Iterator[report.Section]:
    """Load all rows beside raw FAISS's build, alone and while queries come; the curve against the batch."""
    data = given.data()
    options.say(f"raw FAISS builds {len(data.stored):,} rows")
    _, raw_seconds, raw_cpu = engine.raw(data, shard.CORES)
    yield asyncio.run(_load(data, raw_seconds, raw_cpu))
    yield asyncio.run(asked_meanwhile.measure(data, raw_seconds))
    yield asyncio.run(_curve(data))


async def _load(data: datasets.Dataset, raw_seconds: float, raw_cpu: float) -> report.Section:
    count = len(data.stored)
    options.say("a shard takes the same rows in batches of 500")
    async with shard.room(data.stored.shape[1]) as room:
        cpu, begin = shard.cpu_seconds(), time.perf_counter()
        await room.write(data.stored, np.arange(count), 500)
        written = time.perf_counter() - begin
        settled = await room.settled() - begin
        used, segments = shard.cpu_seconds() - cpu, len(room.opened.shard.snapshot.sealed)
    rows = [
        ["durable rows/s, batches of 500", count / written, "", ""],
        ["seconds to the last durable row", written, "", ""],
        ["seconds to all rows in a graph", settled, raw_seconds, settled / raw_seconds],
        ["CPU seconds, everything included", used, raw_cpu, used / raw_cpu],
        ["graphs left", segments, 1, ""],
    ]
    text = (
        f"{count:,} rows with metadata, four batches under way at a time, fsync before each answer. "
        "Raw FAISS has the same vectors in memory and only builds, with as many threads."
    )
    return report.Section("Bulk load", text, ["", "shard", "raw FAISS", "ratio"], rows)


async def _curve(data: datasets.Dataset) -> report.Section:
    points = []
    for batch in BATCHES:
        options.say(f"ingest in batches of {batch}")
        count = min(len(data.stored), batch * 60)
        async with shard.room(data.stored.shape[1]) as room:
            begin = time.perf_counter()
            await room.write(data.stored, np.arange(count), batch)
            points.append((batch, count / (time.perf_counter() - begin)))
    figure = report.lines(
        {"shard": points}, "rows in a batch", "durable rows/s", "Ingest against the batch", xscale="log"
    )
    return report.Section(
        "Ingest against the batch's size",
        "An empty shard, 60 batches, four under way at a time.",
        ["rows in a batch", "durable rows/s"],
        points,
        [report.Plot("ingest", figure)],
    )
