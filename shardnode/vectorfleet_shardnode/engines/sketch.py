"""Vectors that wait for a graph, in one bit a dimension beside them: comparing with all of them costs little.

A scan of full vectors is bound by the memory, which a build beside it wants too. The bits of a vector take
a thirtieth of that; the best by bits are scored from full vectors. Bits are kept in memory only, and are
made by maintenance, not by who writes, once somebody has searched.

Rule: no index of FAISS's is written while it is read. What comes is put into a new one, in place of the old.
"""

import dataclasses
from typing import Any

import faiss
import numpy as np

from .. import bits
from ..api import config
from ..arrays import Bits, Mask, RowNumbers, Vectors
from . import base, rescoring, selecting

MIN_DIMENSIONS = 64
"""Shorter vectors are compared in full: bits tell too little of them, and they take little memory."""
MIN_ROWS = 1_024
"""Rows that are compared in full, since that costs no more than bits; bits are made for as many at a time."""
_OVERSAMPLING = 8
_LEAST = 64  # candidates
_SEED = 5


def bytes_of(dimensions: int) -> int:
    """Return what a row's bits take in memory."""
    return dimensions // 8 + 8 if dimensions >= MIN_DIMENSIONS else 0


@dataclasses.dataclass(frozen=True)
class _Scan:
    """FAISS's index over the bits of the first `rows` rows, turned so that each bit is equally telling."""

    index: Any
    rotation: Any
    rows: int

    def candidates(self, queries: Vectors, k: int, passing: Bits | None) -> RowNumbers:
        count = min(self.rows, max(_LEAST, _OVERSAMPLING * k))
        selector = None if passing is None else selecting.selector(passing)
        parameters = faiss.SearchParameters(sel=selector) if selector else None
        found: RowNumbers = self.index.search(self.rotation.apply(queries), count, params=parameters)[1]
        return found


class Sketch:
    """The bits of a segment's vectors, or of its first ones. Extended by one thread, read by any.

    Args:
        metric: how to compare.
    """

    def __init__(self, metric: config.Metric) -> None:
        self._metric = metric
        self._scan: _Scan | None = None
        self._searched = False

    def covers_too_few(self, rows: int) -> bool:
        """Tell whether bits of more rows, of so many in all, would serve those who search."""
        covered = self._scan.rows if self._scan else 0
        return self._searched and rows - covered >= MIN_ROWS

    def extend(self, vectors: Vectors) -> None:
        """Make bits of the vectors behind those that have some, in one thread.

        Args:
            vectors: (rows, dimensions), comparable: all of the segment so far.
        """
        faiss.omp_set_num_threads(1)
        if vectors.shape[1] >= MIN_DIMENSIONS:
            self._scan = self._extended(vectors)

    def _extended(self, vectors: Vectors) -> _Scan:
        old, dimensions = self._scan, vectors.shape[1]
        if old is None:
            rotation = faiss.RandomRotationMatrix(dimensions, dimensions)
            rotation.init(_SEED)
            index = faiss.IndexRaBitQ(dimensions, base.faiss_metric(self._metric))
            turned = rotation.apply(vectors)
            index.train(turned)
            index.add(turned)
            return _Scan(index, rotation, len(vectors))
        index = faiss.clone_index(old.index)
        index.add(old.rotation.apply(np.ascontiguousarray(vectors[old.rows :])))
        return _Scan(index, old.rotation, len(vectors))

    def search(
        self, vectors: Vectors, queries: Vectors, k: int, chosen: Mask | None
    ) -> base.Neighbours | None:
        """Return the `k` best rows, scored from full vectors; None where comparing all in full costs no more.

        Args:
            vectors: (rows, dimensions), comparable.
            queries: (queries, dimensions), comparable.
            k: how many.
            chosen: which rows may be returned, more than `k`; None for all.
        """
        self._searched = True
        scan = self._scan
        if scan is None or scan.rows < MIN_ROWS or k > scan.rows // (2 * _OVERSAMPLING):
            return None
        if chosen is None and len(vectors) < scan.rows:
            chosen = np.ones(len(vectors), np.bool_)  # an older view: what came since is not in it
        passing = None if chosen is None else bits.of_mask(chosen[: scan.rows])
        if passing is not None and bits.count(passing) < MIN_ROWS:
            return None
        behind = np.arange(scan.rows, len(vectors)) if chosen is None else _set(chosen, scan.rows)
        found = scan.candidates(queries, k, passing)
        every = np.concatenate([np.broadcast_to(behind, (len(queries), len(behind))), found], axis=1)
        return rescoring.best(self._metric, vectors, queries, every, k)


def _set(chosen: Mask, start: int) -> RowNumbers:
    rows: RowNumbers = np.flatnonzero(chosen[start:]) + start
    return rows
