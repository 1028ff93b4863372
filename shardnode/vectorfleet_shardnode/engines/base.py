"""The engines' small interface, and what they share: scores as Pinecone defines them.

Cosine vectors are normalised in here and nowhere else; what a caller stores and gets back is untouched.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np

from ..api import config
from ..arrays import Bits, RowNumbers, Scores, Vectors

_LEAST, _MOST = np.float32(-1), np.float32(1)
_SHORTEST = 1e-300  # shorter than any vector of float32 but zeros, which stay zeros
_BLOCK_BYTES = 1 << 20  # of what is normalised at a time, in float64


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """The best rows for each query, best first: both (queries, k); row -1 where there are fewer."""

    scores: Scores
    rows: RowNumbers


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much a search looks at; 0 means the engine's own.

    Attributes:
        ef: HNSW's efSearch.
        probes: inverted lists that are looked into.
        oversampling: candidates that are scored anew with full vectors, as a multiple of k.
        rescore: whether they are; else scores are what codes tell of them.
    """

    ef: int = 0
    probes: int = 0
    oversampling: int = 0
    rescore: bool = True


class Engine(Protocol):
    """Searches the rows of one sealed segment."""

    def widened(self, passing: int, k: int, effort: Effort) -> Effort | None:
        """Return the effort that finds `k` of `passing` rows; None where comparing each costs less."""

    def search(self, queries: Vectors, k: int, passing: Bits | None, effort: Effort) -> Neighbours:
        """Return the `k` best of the rows that pass, for each query.

        Args:
            queries: (queries, dimensions), as `comparable` made them.
            k: how many, 1 or more.
            passing: which rows may be returned; None where every row passes.
            effort: as `widened` returned it.
        """


class Stored(Protocol):
    """The comparable vectors of a segment, on disk and mapped."""

    vectors: Vectors

    def faiss_index(self, metric: int) -> Any:
        """Return FAISS's flat index over these pages; it is valid as long as this object lives."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """What is built over vectors."""

    metric: config.Metric
    engine: config.EngineKind
    hnsw: config.HnswParameters
    ivf: config.IvfParameters
    quantization: config.Quantization

    @property
    def coded(self) -> bool:
        """Whether searches walk over codes in place of the vectors."""
        return self.quantization.kind is not config.QuantizationKind.NONE

    @property
    def measured(self) -> bool:
        """Whether recall depends so much on the rows that it is measured at the build."""
        return self.coded or self.engine in (config.EngineKind.IVF, config.EngineKind.GPU)

    @property
    def exact(self) -> bool:
        """Whether nothing is built: every vector is compared."""
        return self.engine is config.EngineKind.FLAT and not self.coded


@dataclasses.dataclass(frozen=True)
class Home:
    """Where an engine's files are: a folder, and what their names begin with."""

    folder: Path
    prefix: str = ""

    def path(self, name: str) -> Path:
        """Return a file's path."""
        return self.folder / (self.prefix + name)


def comparable(metric: config.Metric, vectors: Vectors) -> Vectors:
    """Return vectors as the engines compare them: of length 1 under cosine, else as they are."""
    if metric is not config.Metric.COSINE:
        return np.ascontiguousarray(vectors, np.float32)
    step = max(1, _BLOCK_BYTES // (8 * vectors.shape[1]))
    if len(vectors) <= step:
        return _normalised(vectors)
    starts = range(0, len(vectors), step)
    return np.concatenate([_normalised(vectors[start : start + step]) for start in starts])


def _normalised(vectors: Vectors) -> Vectors:
    exact = vectors.astype(np.float64)
    lengths = np.sqrt(np.vecdot(exact, exact))
    exact /= np.maximum(lengths, _SHORTEST, out=lengths)[:, np.newaxis]
    return exact.astype(np.float32)


def larger_is_better(metric: config.Metric) -> bool:
    """Tell whether a larger score is a better match."""
    return metric is not config.Metric.EUCLIDEAN


def sign_of(metric: config.Metric) -> int:
    """Return what makes a score one of which greater is better, when multiplied by it."""
    return 1 if larger_is_better(metric) else -1


def presented(metric: config.Metric, scores: Scores) -> Scores:
    """Return scores as callers get them: cosines within -1 and 1, whatever float32 rounded them to."""
    if metric is not config.Metric.COSINE:
        return scores
    within: Scores = np.minimum(np.maximum(scores, _LEAST), _MOST)
    return within


def faiss_metric(metric: config.Metric) -> int:
    """Return FAISS's name of the comparison that gives this metric's scores on comparable vectors."""
    return int(faiss.METRIC_INNER_PRODUCT if larger_is_better(metric) else faiss.METRIC_L2)


def joined(found: Sequence[Neighbours]) -> Neighbours:
    """Return what was found for each of several queries, with as many matches, as one answer."""
    return Neighbours(
        np.concatenate([one.scores for one in found]), np.concatenate([one.rows for one in found])
    )


def nothing(queries: int, k: int = 0) -> Neighbours:
    """Return the answer of a part that has no row to give."""
    return Neighbours(np.zeros((queries, k), np.float32), np.full((queries, k), -1, np.int64))
