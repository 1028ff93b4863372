"""FAISS and hnswlib in the benchmark's own process: what a search costs without any server."""

import concurrent.futures
import contextlib
import importlib.metadata
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence

import faiss
import hnswlib
import numpy as np
from numpy.typing import NDArray

from . import contender, workload

CORES = len(os.sched_getaffinity(0))
Search = Callable[[NDArray[np.float32], int], NDArray[np.int64]]


class Running:
    """An index of a library; each caller is a thread, no more of them than cores.

    Args:
        work: rows and queries.
        build: adds rows, (n, dimensions).
        search: returns the rows found for a query of (1, dimensions) at an effort.
    """

    roots: Sequence[int] = ()

    def __init__(self, work: workload.Workload, build: Callable[[NDArray[np.float32]], None], search: Search):
        self._work, self._build, self._search = work, build, search

    def prepare(self, work: workload.Workload) -> list[bytes]:  # noqa: ARG002  # arrays are taken as they are
        """Return nothing: rows are taken as they are."""
        return []

    def load(self, bodies: list[bytes]) -> None:  # noqa: ARG002  # see prepare
        """Build the graph of all rows, by all cores."""
        faiss.omp_set_num_threads(CORES)
        self._build(self._work.data.stored)
        faiss.omp_set_num_threads(1)

    def settle(self) -> float:
        """Return at once: what is loaded is indexed."""
        return time.perf_counter()

    def answers(self, effort: int) -> NDArray[np.int64]:
        """Ask every query once."""
        asked = self._work.data.asked
        return np.vstack([self._search(asked[number : number + 1], effort) for number in range(len(asked))])

    def press(self, effort: int, pressure: contender.Pressure) -> contender.Load:
        """Ask in threads, each one query at a time."""
        threads = min(pressure.connections, CORES)
        end = time.perf_counter() + pressure.seconds
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            took = np.concatenate(list(pool.map(lambda first: self._ask(first, effort, end), range(threads))))
        p50, p95, p99 = np.percentile(took, [50, 95, 99]) * 1000
        return contender.Load(len(took) / pressure.seconds, p50, p95, p99)

    def _ask(self, first: int, effort: int, end: float) -> NDArray[np.float64]:
        took, number, asked, begin = [], first, self._work.data.asked, time.perf_counter()
        while begin < end:
            self._search(asked[number : number + 1], effort)
            number, now = (number + 1) % len(asked), time.perf_counter()
            took.append(now - begin)
            begin = now
        return np.array(took)


class Faiss:
    """FAISS's HNSW over full vectors."""

    name = "FAISS, in process"
    served = False
    origin = "`requirements/dev.lock`"
    command = "in the benchmark's own process"
    settings = f"IndexHNSWFlat, M {contender.M}, efConstruction {contender.EF_CONSTRUCTION}"
    durable = "no"
    driver = "threads of Python"
    efforts = contender.EFFORTS

    def version(self) -> str:
        """Return the package's version."""
        return importlib.metadata.version("faiss-cpu")

    @contextlib.contextmanager
    def start(self, folder: pathlib.Path, work: workload.Workload) -> Iterator[Running]:  # noqa: ARG002
        """Make an empty index."""
        index = faiss.IndexHNSWFlat(work.dimensions, contender.M, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = contender.EF_CONSTRUCTION

        def search(query: NDArray[np.float32], effort: int) -> NDArray[np.int64]:
            found: NDArray[np.int64] = index.search(
                query, work.k, params=faiss.SearchParametersHNSW(efSearch=effort)
            )[1]
            return found

        yield Running(work, index.add, search)


class Hnswlib:
    """hnswlib."""

    name = "hnswlib, in process"
    served = False
    origin = Faiss.origin
    command = Faiss.command
    settings = f"M {contender.M}, ef_construction {contender.EF_CONSTRUCTION}, space ip"
    durable = "no"
    driver = "threads of Python"
    efforts = contender.EFFORTS

    def version(self) -> str:
        """Return the package's version."""
        return importlib.metadata.version("hnswlib")

    @contextlib.contextmanager
    def start(self, folder: pathlib.Path, work: workload.Workload) -> Iterator[Running]:  # noqa: ARG002
        """Make an empty index."""
        index = hnswlib.Index(space="ip", dim=work.dimensions)
        index.init_index(work.count, M=contender.M, ef_construction=contender.EF_CONSTRUCTION)

        def build(vectors: NDArray[np.float32]) -> None:
            index.add_items(vectors, num_threads=CORES)

        def search(query: NDArray[np.float32], effort: int) -> NDArray[np.int64]:
            index.set_ef(effort)
            return np.asarray(index.knn_query(query, work.k, num_threads=1)[0], np.int64)

        yield Running(work, build, search)
