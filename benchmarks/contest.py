"""Times contenders in turns on the same queries, so that a noisy machine is noisy for all of them.

Beside the time on the clock stands the CPU's: on a machine that others use too it says what a query costs,
where the clock says how long others held the core.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

Answer = Callable[[NDArray[np.float32]], Sequence[int]]
_TURN = 50


@dataclasses.dataclass(frozen=True)
class Point:
    """What one contender reached: recall, queries/s in one thread, and percentiles in milliseconds.

    Attributes:
        per_second: queries a second on the clock, from each query's median.
        per_cpu_second: queries for each second of CPU, from the median of all turns.
    """

    recall: float
    per_second: float
    per_cpu_second: float
    p50: float
    p95: float


def compare(
    asked: NDArray[np.float32], truth: NDArray[np.int64], contenders: Mapping[str, Answer], rounds: int = 3
) -> dict[str, Point]:
    """Ask each query alone, one after the other, in one thread; contenders change every 50 queries.

    Args:
        asked: (queries, dimensions).
        truth: (queries, k), the nearest rows.
        contenders: by name, what returns the rows found for a query of (1, dimensions).
        rounds: how often each query is asked; its median counts.
    """
    faiss.omp_set_num_threads(1)
    tracks = {name: _Track(np.zeros((rounds, len(asked)))) for name in contenders}
    for answer in contenders.values():
        answer(asked[:1])
    for turn in range(rounds):
        for start in range(0, len(asked), _TURN):
            numbers = range(start, min(start + _TURN, len(asked)))
            for name, answer in contenders.items():
                tracks[name].ask(answer, asked, numbers, turn)
                if turn == 0:
                    tracks[name].hits += _hits(answer, asked, truth, numbers)
    return {name: track.point(truth.size) for name, track in tracks.items()}


@dataclasses.dataclass
class _Track:
    """One contender's times: (rounds, queries) on the clock, and the CPU's for each turn, by query."""

    took: NDArray[np.float64]
    cpu: list[float] = dataclasses.field(default_factory=list)
    hits: int = 0

    def ask(self, answer: Answer, asked: NDArray[np.float32], numbers: range, turn: int) -> None:
        cpu = time.process_time()
        for number in numbers:
            begin = time.perf_counter()
            answer(asked[number : number + 1])
            self.took[turn, number] = time.perf_counter() - begin
        self.cpu.append((time.process_time() - cpu) / len(numbers))

    def point(self, wanted: int) -> Point:
        usual = np.median(self.took, axis=0)
        p50, p95 = np.percentile(usual, [50, 95]) * 1000
        clock, cpu = 1 / float(usual.mean()), 1 / float(np.median(self.cpu))
        return Point(self.hits / wanted, clock, cpu, float(p50), float(p95))


def _hits(answer: Answer, asked: NDArray[np.float32], truth: NDArray[np.int64], numbers: range) -> int:
    found = (set(answer(asked[number : number + 1])) & set(truth[number].tolist()) for number in numbers)
    return sum(map(len, found))
