"""The engines' small interface, and what they share: scores as Pinecone defines them.

Cosine vectors are normalised in here and nowhere else; what a caller stores and gets back is untouched.
"""

import dataclasses
from typing import Protocol

import faiss
import numpy as np

from ..api import config
from ..arrays import Bits, RowNumbers, Scores, Vectors


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """The best rows for each query, best first: both (queries, k); row -1 where there are fewer."""

    scores: Scores
    rows: RowNumbers


class Engine(Protocol):
    """Searches the rows of one sealed segment."""

    def search(self, queries: Vectors, k: int, passing: Bits | None, ef: int) -> Neighbours:
        """Return the `k` best of the rows that pass, for each query.

        Args:
            queries: (queries, dimensions), as `comparable` made them.
            k: how many, 1 or more.
            passing: which rows may be returned; None where every row passes.
            ef: how many candidates to keep while searching, at least `k`.
        """


def comparable(metric: config.Metric, vectors: Vectors) -> Vectors:
    """Return vectors as the engines compare them: of length 1 under cosine, else as they are."""
    if metric is not config.Metric.COSINE:
        return np.ascontiguousarray(vectors, np.float32)
    exact = vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", exact, exact))[:, np.newaxis]
    lengths[lengths == 0] = 1
    return np.asarray(exact / lengths, np.float32)


def larger_is_better(metric: config.Metric) -> bool:
    """Tell whether a larger score is a better match."""
    return metric is not config.Metric.EUCLIDEAN


def presented(metric: config.Metric, scores: Scores) -> Scores:
    """Return scores as callers get them: cosines within -1 and 1, whatever float32 rounded them to."""
    return np.clip(scores, -1, 1) if metric is config.Metric.COSINE else scores


def faiss_metric(metric: config.Metric) -> int:
    """Return FAISS's name of the comparison that gives this metric's scores on comparable vectors."""
    return int(faiss.METRIC_INNER_PRODUCT if larger_is_better(metric) else faiss.METRIC_L2)


def nothing(queries: int, k: int = 0) -> Neighbours:
    """Return the answer of a part that has no row to give."""
    return Neighbours(np.zeros((queries, k), np.float32), np.full((queries, k), -1, np.int64))
