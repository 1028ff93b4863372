"""Times contenders in turns on the same queries, so that a noisy machine is noisy for all of them."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

Answer = Callable[[NDArray[np.float32]], Sequence[int]]
_TURN = 100


@dataclasses.dataclass(frozen=True)
class Point:
    """What one contender reached: recall, queries/s in one thread, and percentiles in milliseconds."""

    recall: float
    per_second: float
    p50: float
    p95: float


def compare(
    asked: NDArray[np.float32], truth: NDArray[np.int64], contenders: Mapping[str, Answer], rounds: int = 3
) -> dict[str, Point]:
    """Ask each query alone, one after the other, in one thread; contenders change every hundred queries.

    Args:
        asked: (queries, dimensions).
        truth: (queries, k), the nearest rows.
        contenders: by name, what returns the rows found for a query of (1, dimensions).
        rounds: how often each query is asked; its median counts.
    """
    faiss.omp_set_num_threads(1)
    took = {name: np.zeros((rounds, len(asked))) for name in contenders}
    hits = dict.fromkeys(contenders, 0)
    for answer in contenders.values():
        answer(asked[:1])
    for turn in range(rounds):
        for start in range(0, len(asked), _TURN):
            for name, answer in contenders.items():
                for number in range(start, min(start + _TURN, len(asked))):
                    begin = time.perf_counter()
                    found = answer(asked[number : number + 1])
                    took[name][turn, number] = time.perf_counter() - begin
                    if turn == 0:
                        hits[name] += len(set(found) & set(truth[number].tolist()))
    return {name: _point(times, hits[name] / truth.size) for name, times in took.items()}


def _point(times: NDArray[np.float64], recall: float) -> Point:
    usual = np.median(times, axis=0)
    p50, p95 = np.percentile(usual, [50, 95]) * 1000
    return Point(recall, 1 / float(usual.mean()), float(p50), float(p95))
