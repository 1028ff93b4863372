"""Scores candidates anew with full vectors: what a code only estimates becomes exact before it is returned.

Rule: as in `flat`, Euclidean distances are summed from differences, so a row has one score whatever found it.
"""

import dataclasses

import faiss
import numpy as np

from ..api import config
from ..arrays import Bits, RowNumbers, Vectors
from . import base


def best(
    metric: config.Metric, vectors: Vectors, queries: Vectors, candidates: RowNumbers, k: int
) -> base.Neighbours:
    """Return the `k` best of each query's candidates, exactly.

    Args:
        metric: how to compare.
        vectors: (rows, dimensions), comparable.
        queries: (queries, dimensions), comparable.
        candidates: (queries, candidates) int64, no row twice; those behind the first -1 don't count.
        k: how many; -1 stands where there are fewer.
    """
    found = base.nothing(len(queries), k)
    if not candidates.size:
        return found
    point = faiss.swig_ptr
    given = np.ascontiguousarray(candidates)
    compare = faiss.knn_inner_products_by_idx if base.larger_is_better(metric) else faiss.knn_L2sqr_by_idx
    arrays = (point(np.ascontiguousarray(queries)), point(vectors), point(given))
    sizes = (vectors.shape[1], len(queries), len(vectors), given.shape[1], k)
    # The last says how far apart the candidates of two queries are; FAISS would take the number of rows.
    compare(*arrays, *sizes, point(found.scores), point(found.rows), given.shape[1])
    return found


class Rescored:
    """An engine whose candidates are scored anew.

    Args:
        engine: what finds candidates.
        metric: how to compare.
        vectors: (rows, dimensions), comparable, full.
        oversampling: candidates for each match, where the query doesn't say.
    """

    def __init__(
        self, engine: base.Engine, metric: config.Metric, vectors: Vectors, oversampling: int
    ) -> None:
        self._engine, self._metric, self._vectors = engine, metric, vectors
        self._oversampling = oversampling

    def _count(self, k: int, effort: base.Effort) -> int:
        times = (effort.oversampling or self._oversampling) if effort.rescore else 1
        return min(len(self._vectors), k * times)

    def widened(self, passing: int, k: int, effort: base.Effort) -> base.Effort | None:
        """Return the effort for as many candidates as are scored anew; None where that is all of them."""
        count = self._count(k, effort)
        wider = None if passing <= count else self._engine.widened(passing, count, effort)
        if wider is None:
            return None
        return dataclasses.replace(wider, oversampling=effort.oversampling, rescore=effort.rescore)

    def search(self, queries: Vectors, k: int, passing: Bits | None, effort: base.Effort) -> base.Neighbours:
        """Return the `k` best candidates, by exact scores unless asked not to, see `base.Engine`."""
        count = self._count(k, effort)
        found = self._engine.search(queries, count, passing, effort)
        if not effort.rescore:
            return found
        return best(self._metric, self._vectors, queries, found.rows, min(k, count))
