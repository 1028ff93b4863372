"""HNSW by FAISS: the graph in its own file, and what its nodes are compared by in another.

The graph file holds links only. FAISS compares by a view of the same pages that exact search reads, so a
vector is in memory once, or by codes. Dead and filtered rows are walked through but not returned.

A graph can be extended: inserting one vector costs the same whether the others were inserted just now or
long ago. What died since stays as a node behind the rows, a ghost: walked through, never returned.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import faiss

from ..api import config
from ..arrays import Bits, RowNumbers, Vectors
from . import base, choice, selecting

_REMEMBERED_EFFORTS = 64


def build(metric: config.Metric, vectors: Vectors, parameters: config.HnswParameters, path: Path) -> None:
    """Build the graph over comparable vectors and write it to `path`; uses OpenMP's threads."""
    index = faiss.IndexHNSWFlat(vectors.shape[1], parameters.m, base.faiss_metric(metric))
    index.hnsw.efConstruction = parameters.ef_construction
    index.add(vectors)
    faiss.write_index(index, str(path), faiss.IO_FLAG_SKIP_STORAGE)


@dataclasses.dataclass(frozen=True)
class Extension:
    """A graph to take over: its file, the comparable vectors of its nodes, and of those to insert.

    `order` holds the node that each node of the new graph was: numbers from len(nodes) on mean `added`.
    """

    graph: Path
    nodes: Vectors
    added: Vectors
    order: RowNumbers


def extend(metric: config.Metric, extension: Extension, path: Path) -> None:
    """Insert vectors into a graph, put its nodes into a new order, and write it to `path`."""
    index = faiss.read_index(str(extension.graph))
    storage = faiss.IndexFlat(extension.nodes.shape[1], base.faiss_metric(metric))
    storage.add(extension.nodes)
    index.storage, index.own_fields = storage, False
    if len(extension.added):
        index.add(extension.added)
    index.permute_entries(extension.order)
    faiss.write_index(index, str(path), faiss.IO_FLAG_SKIP_STORAGE)


class HnswEngine:
    """Searches one graph.

    Args:
        path: the graph file; its checksum was checked, because FAISS trusts what it reads.
        storage: FAISS's index over the vectors or codes of the graph's nodes.
        rows: how many of its nodes are rows; those behind them are ghosts.
        m: the graph's M.
    """

    def __init__(self, path: Path, storage: Any, rows: int, m: int) -> None:
        self._index = faiss.read_index(str(path))
        self._storage = storage  # kept alive here: the index only borrows it
        self._index.storage = storage
        self._index.own_fields = False
        self._nodes = selecting.Nodes(rows, self._index.ntotal)
        self._m = m
        self._unselective = functools.lru_cache(_REMEMBERED_EFFORTS)(self._parameters)
        self._graph_ef = functools.lru_cache(_REMEMBERED_EFFORTS)(self._wide_enough)

    def widened(self, passing: int, k: int, effort: base.Effort) -> base.Effort | None:
        """Return the efSearch for a selection, see `base.Engine`."""
        ef = self._graph_ef(passing, k, effort.ef)
        if not ef:
            return None
        return effort if ef == effort.ef else base.Effort(ef=ef)

    def _wide_enough(self, passing: int, k: int, ef: int) -> int:
        return choice.graph_ef(choice.Question(passing, self._nodes.total, k, ef, self._m))

    def search(self, queries: Vectors, k: int, passing: Bits | None, effort: base.Effort) -> base.Neighbours:
        """Return the `k` best of the rows that pass, see `base.Engine`."""
        k = min(k, self._nodes.rows)
        ef = max(effort.ef, k)
        parameters = self._unselective(ef) if passing is None else self._parameters(ef, passing)
        scores, rows = self._index.search(queries, k, params=parameters)
        return base.Neighbours(scores, rows)

    def _parameters(self, ef: int, passing: Bits | None = None) -> faiss.SearchParametersHNSW:
        return faiss.SearchParametersHNSW(efSearch=ef, sel=self._nodes.selector(passing))
