"""Vectors as short codes: float16, one byte a dimension, product quantisation, one bit a dimension.

A code estimates a vector's score. The quantiser is trained on a sample of the segment's own rows, drawn and
trained from a fixed seed: the same rows give the same file on every replica.
"""

import dataclasses
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from .. import bits
from ..api import config
from ..arrays import Bits, RowNumbers, Vectors
from . import base, selecting

SAMPLE = 5_120
"""Rows that a quantiser is trained on at most; 20 for each of a product quantiser's 256 centroids."""
SEED = 5
_ITERATIONS = 6  # with twice the sample and 10, recall differs in the third digit and training takes 3 x
_CENTROIDS = 256
_CHUNK_ROWS = 65_536
_Kind = config.QuantizationKind


def build(spec: base.Spec, vectors: Vectors, path: Path) -> None:
    """Train a quantiser on comparable vectors, encode them all, and write the codes to `path`."""
    index = rotated(_untrained(spec, vectors.shape[1]), spec)
    index.train(sample(vectors))
    for start in range(0, len(vectors), _CHUNK_ROWS):
        index.add(vectors[start : start + _CHUNK_ROWS])
    faiss.write_index(index, str(path))


def sample(vectors: Vectors, bound: int = SAMPLE) -> Vectors:
    """Return rows to train on, in their order, `_CENTROIDS` at least: where there are fewer, they repeat."""
    if len(vectors) < _CENTROIDS:
        return np.resize(vectors, (_CENTROIDS, vectors.shape[1]))
    if len(vectors) <= bound:
        return vectors
    chosen = np.random.default_rng(SEED).choice(len(vectors), bound, replace=False)
    return vectors[np.sort(chosen)]


def _untrained(spec: base.Spec, dimensions: int) -> Any:
    metric = base.faiss_metric(spec.metric)
    match spec.quantization.kind:
        case _Kind.FLOAT16:
            return faiss.IndexScalarQuantizer(dimensions, faiss.ScalarQuantizer.QT_fp16, metric)
        case _Kind.SQ8:
            return faiss.IndexScalarQuantizer(dimensions, faiss.ScalarQuantizer.QT_8bit, metric)
        case _Kind.PQ:
            index = faiss.IndexPQ(dimensions, pieces(spec, dimensions), 8, metric)
            bound_training(index.pq.cp)
            return index
        case _Kind.RABITQ:
            return faiss.IndexRaBitQ(dimensions, metric)
        case _Kind.NONE:
            raise ValueError("vectors without a quantiser have no codes")


def pieces(spec: base.Spec, dimensions: int) -> int:
    """Return into how many pieces of one byte product quantisation cuts a vector."""
    return dimensions * 4 // spec.quantization.ratio


def bound_training(parameters: Any) -> None:
    """Bound a k-means training's time; fix its chance."""
    parameters.niter, parameters.seed = _ITERATIONS, SEED
    parameters.max_points_per_centroid = SAMPLE // _CENTROIDS
    parameters.min_points_per_centroid = 1  # few rows are told by the recall that is measured, not here


def rotated(index: Any, spec: base.Spec) -> Any:
    """Return an index of codes of single bits behind the rotation that makes bits equally telling."""
    if spec.quantization.kind is not _Kind.RABITQ:
        return index
    rotation = faiss.RandomRotationMatrix(index.d, index.d)
    rotation.init(SEED)
    return faiss.IndexPreTransform(rotation, index)


@dataclasses.dataclass(frozen=True)
class Searchable:
    """FAISS's index of codes, what makes queries into what it compares with, and what both live on."""

    index: Any
    prepare: Callable[[Vectors], Vectors]
    kept: object = None


def unrotated(whole: Any, kept: object = None) -> Searchable:
    """Return the index behind a rotation, and the rotation."""
    if not isinstance(whole, faiss.IndexPreTransform):
        return Searchable(whole, lambda queries: queries, kept)
    rotation = faiss.downcast_VectorTransform(whole.chain.at(0))
    return Searchable(faiss.downcast_index(whole.index), rotation.apply, (whole, kept))


def opened(path: Path) -> Searchable:
    """Open an index file of FAISS, mapped: codes stay the file's own pages, shared and evictable."""
    with path.open("rb") as source:
        pages = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)
    pages.madvise(mmap.MADV_WILLNEED)
    content = np.frombuffer(pages, np.uint8)
    reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(content), content.size)
    flags = faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE
    return unrotated(faiss.read_index(reader, flags), (pages, content, reader))


class CodesEngine:
    """Compares a query with the code of every row that passes.

    Args:
        codes: the open file.
        rows: how many of its codes are rows'.
    """

    def __init__(self, codes: Searchable, rows: int) -> None:
        self._codes = codes
        self._nodes = selecting.Nodes(rows, codes.index.ntotal)

    def widened(self, passing: int, k: int, effort: base.Effort) -> base.Effort | None:  # noqa: ARG002
        """Return the same effort: codes cost less than vectors, however few pass."""
        return effort if passing else None

    def search(
        self,
        queries: Vectors,
        k: int,
        passing: Bits | None,
        effort: base.Effort,  # noqa: ARG002 (a scan has one effort)
    ) -> base.Neighbours:
        """Return the `k` best of the rows that pass by their codes, see `base.Engine`."""
        index, asked = self._codes.index, self._codes.prepare(queries)
        k, chosen = min(k, self._nodes.rows), self._nodes.selector(passing)
        if chosen is None:
            return base.Neighbours(*index.search(asked, k))
        if isinstance(index, faiss.IndexPQ):
            every = np.arange(self._nodes.rows)
            return _search_listed(index, asked, k, every if passing is None else bits.to_rows(passing))
        return base.Neighbours(*index.search(asked, k, params=faiss.SearchParameters(sel=chosen)))


def _search_listed(index: Any, queries: Vectors, k: int, listed: RowNumbers) -> base.Neighbours:
    """Search a product quantiser, which takes no selector, in a copy of the codes of listed rows."""
    every = faiss.rev_swig_ptr(index.codes.data(), index.ntotal * index.code_size)
    chosen = every.reshape(index.ntotal, index.code_size)[listed]
    found = base.nothing(len(queries), min(k, len(listed)))
    point = faiss.swig_ptr
    product = index.metric_type == faiss.METRIC_INNER_PRODUCT
    heaps = faiss.float_minheap_array_t() if product else faiss.float_maxheap_array_t()
    heaps.nh, heaps.k = found.rows.shape
    heaps.val, heaps.ids = point(found.scores), point(found.rows)
    search = index.pq.search_ip if product else index.pq.search
    search(point(queries), len(queries), point(chosen), len(listed), heaps)
    return base.Neighbours(found.scores, np.where(found.rows < 0, -1, listed[found.rows]))


class CodedGraphEngine:
    """Walks a graph over the codes of its nodes, or compares with every code that passes.

    It does the latter where few rows pass, and where fewer pass around a query than elsewhere: the walk
    would end before it has come to them.

    Args:
        graph: the graph, over `codes`.
        codes: the open file.
        rows: how many of its codes are rows'.
    """

    def __init__(self, graph: base.Engine, codes: Searchable, rows: int) -> None:
        self._graph, self._codes, self._rows = graph, codes, rows
        self._scan = CodesEngine(codes, rows)

    def widened(self, passing: int, k: int, effort: base.Effort) -> base.Effort | None:
        """Return the efSearch for a selection, 0 for a scan, see `base.Engine`."""
        return (self._graph.widened(passing, k, effort) or base.Effort()) if passing else None

    def search(self, queries: Vectors, k: int, passing: Bits | None, effort: base.Effort) -> base.Neighbours:
        """Return the `k` best of the rows that pass by their codes, see `base.Engine`."""
        if not effort.ef:
            return self._scan.search(queries, k, passing, effort)
        asked = self._codes.prepare(queries)
        if passing is None:
            return self._graph.search(asked, k, None, effort)
        around = self._graph.search(asked, selecting.AROUND, None, base.Effort(ef=selecting.AROUND)).rows
        far = selecting.thin(passing, self._rows, around)
        if not far.any():
            return self._graph.search(asked, k, passing, effort)
        found = base.nothing(len(queries), min(k, self._rows))
        for some, engine, given in ((far, self._scan, queries), (~far, self._graph, asked)):
            answer = engine.search(given[some], k, passing, effort)
            width = answer.rows.shape[1]
            found.rows[some, :width], found.scores[some, :width] = answer.rows, answer.scores
        return found
