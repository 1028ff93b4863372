"""What is measured: exact neighbours to compare with, recall, latency, throughput."""

import concurrent.futures
import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

import vectorfleet

Progress = Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class Answers:
    """The ids that each query got, the seconds that each took, and the seconds that all took."""

    ids: tuple[tuple[str, ...], ...]
    latencies: tuple[float, ...]
    seconds: float

    def percentile(self, percent: float) -> float:
        """Return the latency, in milliseconds, below which that share of the queries stayed."""
        return float(np.percentile(self.latencies, percent)) * 1000

    @property
    def per_second(self) -> float:
        """Queries answered in a second."""
        return len(self.ids) / self.seconds


def ask(
    client: vectorfleet.Client, vectors: NDArray[np.float32], k: int, concurrency: int, seen: Progress
) -> Answers:
    """Ask for the `k` nearest rows of each vector, `concurrency` queries at a time."""

    def one(vector: NDArray[np.float32]) -> tuple[tuple[str, ...], float]:
        begin = time.perf_counter()
        found = client.query(vector, top_k=k)
        return tuple(match.id for match in found.matches), time.perf_counter() - begin

    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        answered = []
        for answer in pool.map(one, vectors):
            answered.append(answer)
            seen(len(answered))
    seconds = time.perf_counter() - begin
    return Answers(tuple(ids for ids, _ in answered), tuple(took for _, took in answered), seconds)


def exact_neighbours(
    stored: NDArray[np.float32], asked: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return squared distances, shape (asked, stored), and those of the k-th nearest, shape (asked,)."""
    a, b = stored.astype(np.float64), asked.astype(np.float64)
    distances = (b * b).sum(axis=1)[:, None] - 2 * b @ a.T + (a * a).sum(axis=1)[None, :]
    return distances, np.partition(distances, k - 1, axis=1)[:, k - 1]


def recall(
    ids: Sequence[Sequence[str]], stored: NDArray[np.float32], asked: NDArray[np.float32], k: int
) -> float:
    """Return recall@k: the share of the k found rows that are as near as the k-th nearest of all.

    Compared by distance, as ANN-benchmarks does, so that of rows at the same distance any may be found.
    """
    hits = 0
    for start in range(0, len(asked), 100):
        part = slice(start, start + 100)
        distances, bound = exact_neighbours(stored, asked[part], k)
        for found, row, limit in zip(ids[part], distances, bound, strict=True):
            numbers = [int(one) for one in dict.fromkeys(found)]
            hits += int((row[numbers] <= limit * (1 + 1e-6)).sum())
    return hits / (len(asked) * k)
