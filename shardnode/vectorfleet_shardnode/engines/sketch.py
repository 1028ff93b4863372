"""Vectors that wait for a graph, in two bits a dimension beside them: comparing with all costs little.

A scan of full vectors is bound by the memory, which a build beside it wants too. Such a code takes a
sixteenth of that, and the processor looks up 32 rows at a time (FAISS's fast scan, 16 centroids for each two
dimensions); the best by codes are scored from full vectors. Codes are kept in memory only, and are made by
maintenance, not by who writes, once somebody has searched.

Rule: no index of FAISS's is written while it is read. What comes is put into a new one, in place of the old.
"""

import dataclasses
import functools
from typing import Any

import faiss
import numpy as np

from .. import bits
from ..api import config
from ..arrays import Bits, Mask, RowNumbers, Vectors
from . import base, rescoring, selecting

MIN_DIMENSIONS = 64
"""Shorter vectors are compared in full: codes tell too little of them, and they take little memory."""
MIN_ROWS = 1_024
"""Fewer rows are compared in full, which costs no more than codes."""
PIECE = 256
"""Rows behind the last codes that are compared in full until codes are made for them."""
_OVERSAMPLING = 8
_LEAST = 64  # candidates
_SEED = 5
_CENTROIDS = 16
_SAMPLE = 32 * _CENTROIDS  # rows that centroids are computed from
_ROUNDS = 4
"""Of k-means: with 25, on 2,048 rows, the same neighbours were found, and it took twenty times as long."""
_LISTED = 8  # bytes of a row's number in FAISS's list


def bytes_of(dimensions: int) -> int:
    """Return what a row's code takes in memory."""
    return _even(dimensions) // 4 + _LISTED if dimensions >= MIN_DIMENSIONS else 0


@dataclasses.dataclass(frozen=True)
class Queries:
    """Comparable queries, (queries, dimensions), turned once for all segments that they are compared with."""

    vectors: Vectors

    @functools.cached_property
    def turned(self) -> Vectors:
        """The queries as codes are made: turned, so that each dimension is equally telling."""
        return _turned(self.vectors)


@dataclasses.dataclass(frozen=True)
class _Scan:
    """FAISS's index over the codes of the first `rows` rows; its centroids are of the first `sampled`."""

    index: Any
    rows: int
    sampled: int

    def candidates(self, queries: Queries, k: int, passing: Bits | None) -> RowNumbers:
        count = min(self.rows, max(_LEAST, _OVERSAMPLING * k))
        selector = None if passing is None else selecting.selector(passing)
        parameters = faiss.SearchParametersIVF(sel=selector) if selector else None
        found: RowNumbers = self.index.search(queries.turned, count, params=parameters)[1]
        return found


class Sketch:
    """The codes of a segment's vectors, or of its first ones. Extended by one thread, read by any.

    Args:
        metric: how to compare.
    """

    def __init__(self, metric: config.Metric) -> None:
        self._metric = metric
        self._scan: _Scan | None = None
        self._searched = False

    def covers_too_few(self, rows: int) -> bool:
        """Tell whether codes of more rows, of so many in all, would serve those who search."""
        covered = self._scan.rows if self._scan else 0
        return self._searched and rows >= MIN_ROWS and rows - covered >= PIECE

    def extend(self, vectors: Vectors) -> None:
        """Make codes of the vectors behind those that have some, in one thread.

        Args:
            vectors: (rows, dimensions), comparable: all of the segment so far.
        """
        faiss.omp_set_num_threads(1)
        if vectors.shape[1] >= MIN_DIMENSIONS:
            self._scan = self._extended(vectors)

    def _extended(self, vectors: Vectors) -> _Scan:
        """Return codes of all; centroids are computed anew once there are twice as many rows.

        What comes first may be unlike the rest: a file that is loaded in order.
        """
        old, rows = self._scan, len(vectors)
        if old is None or rows >= 2 * old.sampled:
            turned = _turned(vectors)
            sample = turned[np.linspace(0, rows - 1, min(rows, _SAMPLE)).astype(np.int64)]
            index = _trained(self._metric, sample)
            index.add(turned)
            return _Scan(index, rows, rows)
        index = faiss.clone_index(old.index)
        index.add(_turned(vectors[old.rows :]))
        return _Scan(index, rows, old.sampled)

    def search(
        self, vectors: Vectors, queries: Queries, k: int, chosen: Mask | None
    ) -> base.Neighbours | None:
        """Return the `k` best rows, scored from full vectors; None where comparing all in full costs no more.

        Args:
            vectors: (rows, dimensions), comparable.
            queries: of as many dimensions.
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
        found = scan.candidates(queries, k, passing)
        behind = np.arange(scan.rows, len(vectors)) if chosen is None else _set(chosen, scan.rows)
        if len(behind):
            every = np.broadcast_to(behind, (len(found), len(behind)))
            found = np.concatenate([every, found], axis=1)
        return rescoring.best(self._metric, vectors, queries.vectors, found, k)


def _even(dimensions: int) -> int:
    return dimensions + dimensions % 2  # a code is of two at a time


@functools.lru_cache(4)
def _rotation(dimensions: int) -> Any:
    rotation = faiss.RandomRotationMatrix(dimensions, _even(dimensions))
    rotation.init(_SEED)
    return rotation


def _turned(vectors: Vectors) -> Vectors:
    turned: Vectors = _rotation(vectors.shape[1]).apply(np.ascontiguousarray(vectors))
    return turned


def _trained(metric: config.Metric, sample: Vectors) -> Any:
    """Return an empty index. It has one inverted list of all rows: FAISS filters those, and no others."""
    dimensions = sample.shape[1]
    everywhere = faiss.IndexFlatL2(dimensions)
    everywhere.add(np.zeros((1, dimensions), np.float32))
    index = faiss.IndexIVFPQFastScan(everywhere, dimensions, 1, dimensions // 2, 4, base.faiss_metric(metric))
    index.by_residual = False
    index.pq.cp.niter, index.pq.cp.min_points_per_centroid = _ROUNDS, 1
    index.train(sample)
    return index


def _set(chosen: Mask, start: int) -> RowNumbers:
    rows: RowNumbers = np.flatnonzero(chosen[start:]) + start
    return rows
