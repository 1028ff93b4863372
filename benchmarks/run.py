"""Measures a shard beside raw FAISS in one run, and writes a Markdown table and plots."""

import argparse
import asyncio
import os
import pathlib
import time

import datasets
import engine
import numpy as np
import report
import shard

BATCHES = (50, 200, 500, 1000)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, default=os.environ.get("VECTORFLEET_BENCH_DATA"))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--quick", action="store_true", help="5,000 rows, 200 queries")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "results")
    given = parser.parse_args()
    folder = pathlib.Path(given.data) if given.data else None
    rows, queries = (5_000, 200) if given.quick else (given.rows, 1_000)
    found = asyncio.run(everything(datasets.load(folder, rows, queries)))
    print(report.write(given.out, found))


async def everything(data: datasets.Dataset) -> report.Results:
    """Build both, compare, filter, replace half of the rows, compare again; then the ingest curve."""
    count, random = len(data.stored), np.random.default_rng(11)
    load = [os.getloadavg()[0]]
    say(f"raw FAISS builds {count} rows")
    index, raw_seconds, raw_cpu = engine.raw(data, len(os.sched_getaffinity(0)))
    async with shard.room() as room:
        say("the shard loads the same rows and settles")
        cpu, begin = shard.cpu_seconds(), time.perf_counter()
        await room.write(data.stored, np.arange(count), 500)
        settled = await room.settled() - begin
        build = report.Build(raw_seconds, raw_cpu, settled, shard.cpu_seconds() - cpu)
        say("search")
        fresh = engine.compare(data, index, room)
        say("filters")
        filtered = engine.filtered(data, room)
        say("half of the rows replaced")
        await room.write(data.stored, random.permutation(count)[: count // 2], 500)
        await room.settled()
        old = engine.compare(data, index, room)
        segments = len(room.opened.shard.snapshot.sealed)
    curve = [await ingest(data, batch) for batch in BATCHES]
    load.append(os.getloadavg()[0])
    return report.Results(data.title, count, load, build, fresh, old, segments, filtered, curve)


async def ingest(data: datasets.Dataset, batch: int) -> tuple[int, float]:
    """Return the durable rows/s at a batch size, into an empty shard."""
    say(f"ingest in batches of {batch}")
    count = min(len(data.stored), batch * 40)
    async with shard.room() as room:
        begin = time.perf_counter()
        await room.write(data.stored, np.arange(count), batch)
        return batch, count / (time.perf_counter() - begin)


def say(what: str) -> None:
    """Show progress."""
    print(f"{time.strftime('%H:%M:%S')} {what} …", flush=True)


if __name__ == "__main__":
    main()
