"""Scores candidates anew with full vectors: what a code only estimates becomes exact before it is returned.

Rule: as in `flat`, Euclidean distances are summed from differences, so a row has one score whatever found it.
"""

import dataclasses

import faiss
import numpy as np

from .. import bits
from ..api import config
from ..arrays import Bits, Mask, RowNumbers, Scores, Vectors
from . import base, flat, trusting

_READ_BYTES = 32 << 20
"""Full vectors of rows that pass up to which all of them are compared where candidates are in doubt."""
_WIDER = 16
"""How many times more candidates are scored anew where those are too many."""


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
    # Names of their own: a pointer does not keep alive what it points to.
    asked, given = np.ascontiguousarray(queries), np.ascontiguousarray(candidates)
    compare = faiss.knn_inner_products_by_idx if base.larger_is_better(metric) else faiss.knn_L2sqr_by_idx
    arrays = (point(asked), point(vectors), point(given))
    sizes = (vectors.shape[1], len(queries), len(vectors), given.shape[1], k)
    # The last says how far apart the candidates of two queries are; FAISS would take the number of rows.
    compare(*arrays, *sizes, point(found.scores), point(found.rows), given.shape[1])
    return found


def scores(metric: config.Metric, vectors: Vectors, queries: Vectors, candidates: RowNumbers) -> Scores:
    """Return the exact scores of each query's candidates, in their order; arguments as for `best`."""
    found = np.empty(candidates.shape, np.float32)
    asked, given = np.ascontiguousarray(queries), np.ascontiguousarray(candidates)
    point = faiss.swig_ptr
    compare = faiss.fvec_inner_products_by_idx if base.larger_is_better(metric) else faiss.fvec_L2sqr_by_idx
    arrays = (point(asked), point(vectors), point(given))
    compare(point(found), *arrays, vectors.shape[1], *candidates.shape)
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
        """Return the `k` best candidates, by exact scores unless asked not to, see `base.Engine`.

        Under a filter candidates that can't be trusted are replaced by more, and then by all rows that pass.
        """
        count = self._count(k, effort)
        found = self._engine.search(queries, count, passing, effort)
        if not effort.rescore:
            return found
        answer = best(self._metric, self._vectors, queries, found.rows, min(k, count))
        if passing is None or not answer.rows.size:
            return answer
        unsure = self._doubtful(queries, found, answer.rows.shape[1])
        if unsure.any():
            again = self._widely(queries[unsure], k, passing, effort)
            answer.rows[unsure], answer.scores[unsure] = again.rows, again.scores
        return answer

    def _doubtful(self, queries: Vectors, found: base.Neighbours, k: int) -> Mask:
        """Tell for which queries better rows may be left; not where every row that passes was found."""
        exact = best(self._metric, self._vectors, queries, found.rows, found.rows.shape[1])
        by_row, by_estimate = np.argsort(exact.rows, axis=1), np.argsort(found.rows, axis=1)
        sign = base.sign_of(self._metric)
        exactly = sign * np.take_along_axis(exact.scores, by_row, axis=1)
        estimated = sign * np.take_along_axis(found.scores, by_estimate, axis=1)
        full: Mask = np.count_nonzero(found.rows < 0, axis=1) == 0
        full[full] = trusting.doubtful(estimated[full], exactly[full], k)
        return full

    def _widely(self, queries: Vectors, k: int, passing: Bits, effort: base.Effort) -> base.Neighbours:
        rows = bits.count(passing)
        count = min(self._count(k, effort) * _WIDER, rows)
        if rows * self._vectors.itemsize * self._vectors.shape[1] <= _READ_BYTES or count == rows:
            return flat.search(self._metric, self._vectors, queries, k, bits.to_rows(passing))
        found = self._engine.search(queries, count, passing, effort)
        return best(self._metric, self._vectors, queries, found.rows, min(k, self._count(k, effort)))
