"""A shard's search, build and filters beside raw FAISS's HNSW: same vectors, threads and parameters."""

import dataclasses
import json
import time
from collections.abc import Callable

import datasets
import faiss
import numpy as np
import shard
from numpy.typing import NDArray

from vectorfleet_shardnode import filters
from vectorfleet_shardnode.segments import part

K = 10
EFS = (16, 32, 64, 100, 200)
SELECTIVITIES = (0.5, 0.1, 0.01, 0.001)
Answer = Callable[[NDArray[np.float32]], list[int]]


@dataclasses.dataclass(frozen=True)
class Point:
    """What one setting reached: recall@10, queries/s in one thread, p95 in milliseconds."""

    setting: float
    recall: float
    per_second: float
    p95: float


def raw(data: datasets.Dataset, threads: int) -> tuple[faiss.IndexHNSWFlat, float, float]:
    """Build FAISS's index; return it with the seconds and the CPU seconds that it took."""
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexHNSWFlat(datasets.DIMENSIONS, 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 128
    cpu, begin = shard.cpu_seconds(), time.perf_counter()
    index.add(data.stored)
    return index, time.perf_counter() - begin, shard.cpu_seconds() - cpu


def measure(data: datasets.Dataset, truth: NDArray[np.int64], setting: float, answer: Answer) -> Point:
    """Ask each query alone, one after the other, in one thread."""
    faiss.omp_set_num_threads(1)
    answer(data.asked[:1])
    took, hits = [], 0
    for number, nearest in enumerate(truth):
        begin = time.perf_counter()
        found = answer(data.asked[number : number + 1])
        took.append(time.perf_counter() - begin)
        hits += len(set(found) & set(nearest.tolist()))
    return Point(setting, hits / truth.size, len(took) / sum(took), float(np.percentile(took, 95)) * 1000)


def raw_answer(index: faiss.IndexHNSWFlat, ef: int) -> Answer:
    """Return raw FAISS's search at an efSearch."""
    parameters = faiss.SearchParametersHNSW(efSearch=ef)
    return lambda query: index.search(query, K, params=parameters)[1][0].tolist()


def shard_answer(room: shard.Room, ef: int, limit: float = 1) -> Answer:
    """Return the shard's search, ids looked up included; `limit` is the share of rows that pass."""
    state = room.opened.shard.snapshot
    content = json.dumps({"part": {"$lt": round(limit * 10_000)}}).encode() if limit < 1 else b""
    wanted = filters.parse(content)

    def answer(query: NDArray[np.float32]) -> list[int]:
        queries = state.comparable(query)
        question = part.Question(namespace="", queries=queries, k=K, wanted=wanted, ef=ef, exact=False)
        place = state.search(question)[0][1]
        return [int(one) for one in state.take(place, part.Fields(False, False)).ids]

    return answer


def compare(
    data: datasets.Dataset, index: faiss.IndexHNSWFlat, room: shard.Room
) -> list[tuple[Point, Point]]:
    """Measure raw FAISS and the shard in turns at each efSearch."""
    truth = data.exact(K)
    pairs = []
    for ef in EFS:
        beside = measure(data, truth, ef, raw_answer(index, ef))
        pairs.append((beside, measure(data, truth, ef, shard_answer(room, ef))))
    return pairs


def filtered(data: datasets.Dataset, room: shard.Room) -> list[Point]:
    """Measure a range filter at each selectivity, the unfiltered query first; filters are remembered."""
    points = []
    for share in (1.0, *SELECTIVITIES):
        limit = round(share * 10_000)
        rows = np.array([n for n in range(len(data.stored)) if shard.part_of(n) < limit])
        points.append(measure(data, data.exact(K, rows), share, shard_answer(room, 100, share)))
    return points
