"""A shard's search beside raw FAISS's HNSW: same vectors, threads and parameters; fresh and after updates."""

import asyncio
import time
from collections.abc import Iterator

import contest
import datasets
import faiss
import numpy as np
import options
import report
import shard

from vectorfleet_shardnode.engines import base
from vectorfleet_shardnode.segments import part

K = 10
EFS = (16, 32, 64, 100, 200)
M, EF_CONSTRUCTION = 16, 128
Points = dict[int, dict[str, contest.Point]]


def raw(data: datasets.Dataset, threads: int) -> tuple[faiss.IndexHNSWFlat, float, float]:
    """Build FAISS's index; return it with the seconds and the CPU seconds that it took."""
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexHNSWFlat(data.stored.shape[1], M, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    cpu, begin = shard.cpu_seconds(), time.perf_counter()
    index.add(data.stored)
    return index, time.perf_counter() - begin, shard.cpu_seconds() - cpu


def raw_answer(index: faiss.IndexHNSWFlat, ef: int) -> contest.Answer:
    """Return raw FAISS's search at an efSearch."""
    parameters = faiss.SearchParametersHNSW(efSearch=ef)
    return lambda query: index.search(query, K, params=parameters)[1][0].tolist()


def engine_answer(room: shard.Room, ef: int) -> contest.Answer:
    """Return the search of the largest segment's engine; rows become ids by a table."""
    segment = max(room.opened.shard.snapshot.sealed, key=lambda view: view.live_rows).segment
    ids = np.array([int(one) for one in segment.columns.ids(range(segment.rows))])
    search, effort = segment.engine.search, base.Effort(ef=ef)
    return lambda query: ids[search(query, K, None, effort).rows[0]].tolist()


def shard_answer(room: shard.Room, ef: int) -> contest.Answer:
    """Return the whole shard's search: all its parts, ids looked up."""
    state = room.opened.shard.snapshot

    def answer(query: np.ndarray) -> list[int]:
        question = part.Question(
            namespace="", queries=state.comparable(query), k=K, wanted=None, ef=ef, exact=False
        )
        place = state.search(question)[0][1]
        return [int(one) for one in state.take(place, part.Fields(False, False)).ids]

    return answer


def compare(data: datasets.Dataset, index: faiss.IndexHNSWFlat, room: shard.Room) -> Points:
    """Measure raw FAISS, the engine and the shard in turns at each efSearch."""
    truth = data.exact(K)
    return {
        ef: contest.compare(
            data.asked,
            truth,
            {
                "raw": raw_answer(index, ef),
                "engine": engine_answer(room, ef),
                "shard": shard_answer(room, ef),
            },
        )
        for ef in EFS
    }


def measure(given: options.Options) -> Iterator[report.Section]:
    """Compare a fresh shard, then one of which half of the rows were replaced in random order."""
    return iter(asyncio.run(_measure(given.data())))


async def _measure(data: datasets.Dataset) -> list[report.Section]:
    count = len(data.stored)
    options.say(f"raw FAISS builds {count:,} rows")
    index = raw(data, shard.CORES)[0]
    async with shard.room(data.stored.shape[1]) as room:
        options.say("a shard loads them and settles")
        await room.write(data.stored, np.arange(count), 500)
        await room.settled()
        fresh = compare(data, index, room)
        options.say("half of the rows are replaced, in random order")
        await room.write(data.stored, np.random.default_rng(11).permutation(count)[: count // 2], 500)
        await room.settled()
        old = compare(data, index, room)
        segments = len(room.opened.shard.snapshot.sealed)
    series = {
        "raw FAISS": [(p["raw"].recall, p["raw"].per_cpu_second) for p in fresh.values()],
        "engine": [(p["engine"].recall, p["engine"].per_cpu_second) for p in fresh.values()],
        "shard": [(p["shard"].recall, p["shard"].per_cpu_second) for p in fresh.values()],
        "shard, half replaced": [(p["shard"].recall, p["shard"].per_cpu_second) for p in old.values()],
    }
    title = f"{count:,} x {data.stored.shape[1]}, cosine"
    plot = report.Plot("search", report.lines(series, "recall@10", "queries for each second of CPU", title))
    return [
        _section("Search beside raw FAISS, fresh", fresh, [plot]),
        _section(f"Search after half of the rows were replaced ({segments} segment(s))", old, []),
    ]


def _section(title: str, points: Points, plots: list[report.Plot]) -> report.Section:
    rows = []
    for ef, sides in points.items():
        base, others = sides["raw"], (sides["engine"], sides["shard"])
        clock = [one.per_second / base.per_second for one in others]
        cpu = [one.per_cpu_second / base.per_cpu_second for one in others]
        recalls = [f"{one.recall:.3f}" for one in (base, *others)]
        rows.append([ef, base.per_second, clock[0], cpu[0], clock[1], cpu[1], *recalls])
    text = (
        f"M {M}, efConstruction {EF_CONSTRUCTION}, k {K}, queries one by one in one thread, in turns. The "
        "engine searches the segment; the shard adds other parts, liveness, and ids. By the clock, and by "
        "the CPU's time, which others on the machine disturb less."
    )
    header = ["efSearch", "raw queries/s", "engine x raw", "by CPU", "shard x raw", "by CPU"]
    return report.Section(title, text, [*header, "raw recall", "engine", "shard"], rows, plots)
