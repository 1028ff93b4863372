"""Product codes of a bit a dimension, and FAISS's fast scan over them: comparing with all rows costs little.

A scan of full vectors is bound by the memory. Such a code takes a thirtieth of that, and the processor looks
up 32 rows at a time (16 centroids for each four dimensions; F. André et al., Cache locality is not enough:
high-performance nearest neighbor search with product quantization fast scan, 2015). What codes tell are
candidates, to be scored from full vectors.
"""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from ..api import config
from ..arrays import Bits, RowNumbers, Scores, Vectors
from . import base, selecting, turning

Codes = npt.NDArray[np.uint8]
"""(rows, bytes): two centroids' numbers a byte."""

_TOGETHER = 4  # dimensions that one centroid stands for
_BITS = 4
SAMPLE = 32 << _BITS
"""Rows that centroids are computed from."""
_ROUNDS = 4
"""Of k-means: with 25, on 2,048 rows, the same neighbours were found, and it took twenty times as long."""
_PIECE = 4_096  # rows at a time: what is computed of them takes 12 bytes a dimension
_LISTED = 8  # bytes of a row's number in FAISS's list


def bytes_of(dimensions: int) -> int:
    """Return what a row takes in memory: its code, the same as it is scanned, and its number."""
    return 2 * turning.padded(dimensions) // _TOGETHER * _BITS // 8 + _LISTED


class Quantiser:
    """What codes mean: the centroids.

    Args:
        metric: how to compare.
        sample: (rows, dimensions), comparable: of all the rows, `SAMPLE` of them if there are as many.
    """

    def __init__(self, metric: config.Metric, sample: Vectors) -> None:
        self._metric = base.faiss_metric(metric)
        width = turning.padded(sample.shape[1])
        self._turn = turning.Turn.drawn(sample.shape[1], width)
        self._centroids = faiss.ProductQuantizer(width, width // _TOGETHER, _BITS)
        self._centroids.cp.niter, self._centroids.cp.min_points_per_centroid = _ROUNDS, 1
        self._centroids.train(self._turn.apply(sample))

    def codes(self, vectors: Vectors) -> Codes:
        """Return the codes of comparable vectors; uses OpenMP's threads."""
        codes = np.empty((len(vectors), self._centroids.code_size), np.uint8)
        for start in range(0, len(vectors), _PIECE):
            piece = slice(start, start + _PIECE)
            codes[piece] = self._centroids.compute_codes(self._turn.apply(vectors[piece]))
        return codes

    def scan(self, codes: Codes) -> "Scan":
        """Return what scans these codes; a milli-second for some thousands of them."""
        return Scan(_packed(self._centroids, self._metric, codes), self._turn)


class Scan:
    """An index of FAISS's over the codes of rows, in their order. It is never written."""

    def __init__(self, index: Any, turn: turning.Turn) -> None:
        self._index, self._turn = index, turn

    def candidates(self, queries: Vectors, count: int, passing: Bits | None) -> tuple[Scores, RowNumbers]:
        """Return estimates of the best rows by their codes for each query, and the rows: (queries, count).

        Args:
            queries: (queries, dimensions), comparable.
            count: how many, as many as may be returned at most.
            passing: which rows may be returned; None for all.
        """
        selector = None if passing is None else selecting.selector(passing)
        parameters = faiss.SearchParametersIVF(sel=selector) if selector else None
        estimates, rows = self._index.search(self._turn.apply(queries), count, params=parameters)
        return estimates, rows


def _packed(centroids: Any, metric: int, codes: Codes) -> Any:
    """Return FAISS's index of codes. It has one inverted list of all rows: FAISS filters those, no others."""
    everywhere = faiss.IndexFlatL2(centroids.d)
    everywhere.add(np.zeros((1, centroids.d), np.float32))
    lists = faiss.IndexIVFPQ(everywhere, centroids.d, 1, centroids.M, _BITS, metric)
    lists.by_residual, lists.pq, lists.is_trained = False, centroids, True
    numbers, point = np.arange(len(codes)), faiss.swig_ptr
    lists.invlists.add_entries(0, len(codes), point(numbers), point(codes))
    lists.ntotal = len(codes)
    packed = faiss.IndexIVFPQFastScan(lists)
    lists.reset()  # it has its own
    packed.referenced_objects = (everywhere, lists)  # what it points to and does not own
    return packed
