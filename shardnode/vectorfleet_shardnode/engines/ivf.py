"""Inverted lists by FAISS: vectors, or their codes, grouped around centroids; a query looks into the nearest.

The file holds the grouped vectors once more, beside the segment's own. How many lists a query looks into
is found out at the build, on rows of the segment, and written into the file.
"""

import math
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from .. import bits
from ..api import config
from ..arrays import Bits, Vectors
from . import base, codes, memory, recall, rescoring, selecting

TARGET = 0.95
"""The recall@10 for which probes are chosen."""
_TRAINED_PER_LIST = 64
_CHUNK_ROWS = 65_536
_CANDIDATES = 4  # rows compared for each that is wanted
_DENSE = 0.9  # share of rows that pass above which lists are looked into as if all passed
_Kind = config.QuantizationKind


def build(spec: base.Spec, vectors: Vectors, path: Path) -> None:
    """Group comparable vectors, choose the probes, and write the file."""
    index = untrained(spec, vectors)
    fill(index, vectors)
    write(spec, vectors, index, path)


def untrained(spec: base.Spec, vectors: Vectors) -> Any:
    """Return the empty index for these vectors."""
    rows, dimensions = vectors.shape
    coarse = faiss.IndexFlat(dimensions, base.faiss_metric(spec.metric))
    index = _of_codes(spec, coarse, memory.lists_of(rows, spec.ivf.lists))
    codes.bound_training(index.cp)
    index.cp.max_points_per_centroid = _TRAINED_PER_LIST
    return codes.rotated(index, spec)


def _of_codes(spec: base.Spec, coarse: Any, lists: int) -> Any:
    dimensions, metric = coarse.d, base.faiss_metric(spec.metric)
    scalar = faiss.ScalarQuantizer
    match spec.quantization.kind:
        case _Kind.NONE:
            return faiss.IndexIVFFlat(coarse, dimensions, lists, metric)
        case _Kind.FLOAT16:
            return faiss.IndexIVFScalarQuantizer(coarse, dimensions, lists, scalar.QT_fp16, metric, False)
        case _Kind.SQ8:
            return faiss.IndexIVFScalarQuantizer(coarse, dimensions, lists, scalar.QT_8bit, metric)
        case _Kind.PQ:
            index = faiss.IndexIVFPQ(coarse, dimensions, lists, codes.pieces(spec, dimensions), 8, metric)
            codes.bound_training(index.pq.cp)
            return index
        case _Kind.RABITQ:
            return faiss.IndexIVFRaBitQ(coarse, dimensions, lists, metric)


def fill(index: Any, vectors: Vectors) -> None:
    """Train an index on a sample of the vectors and add them all, in order."""
    lists = codes.unrotated(index).index.nlist
    index.train(codes.sample(vectors, max(codes.SAMPLE, lists * _TRAINED_PER_LIST)))
    for start in range(0, len(vectors), _CHUNK_ROWS):
        index.add(vectors[start : start + _CHUNK_ROWS])


def write(spec: base.Spec, vectors: Vectors, index: Any, path: Path) -> None:
    """Choose the probes of a filled index, and write it."""
    lists = codes.unrotated(index)
    engine: base.Engine = IvfEngine(lists)
    if spec.coded:
        engine = rescoring.Rescored(engine, spec.metric, vectors, spec.quantization.oversampling)
    lists.index.nprobe = choose_probes(spec, vectors, engine, lists.index.nlist)
    faiss.write_index(index, str(path))


def choose_probes(spec: base.Spec, vectors: Vectors, engine: base.Engine, lists: int) -> int:
    """Return the fewest probes, doubling from 1, that reach `TARGET`; else those near the most there is."""
    sample = recall.sample_of(spec.metric, vectors)
    tried: list[tuple[int, float]] = []
    probes = 1
    while not tried or (tried[-1][1] < TARGET and tried[-1][0] < lists):
        probes = min(probes, lists)
        tried.append((probes, sample.recall(engine, base.Effort(probes=probes))))
        probes *= 2
    wanted = min(TARGET, max(reached for _, reached in tried) - 0.01)
    return next(probes for probes, reached in tried if reached >= wanted)


class IvfEngine:
    """Searches the lists of one open index.

    Args:
        lists: FAISS's index of them.
    """

    def __init__(self, lists: codes.Searchable) -> None:
        self._prepare, self._index, self._kept = lists.prepare, lists.index, lists
        self._rows, self._lists = lists.index.ntotal, lists.index.nlist

    def widened(self, passing: int, k: int, effort: base.Effort) -> base.Effort | None:
        """Return more probes the fewer rows pass; None where the lists hold as many rows as pass."""
        if passing <= k:
            return None
        share = passing / self._rows
        enough = _CANDIDATES * k * self._lists / passing  # lists that hold k rows that pass, on average
        probes = math.ceil(max((effort.probes or self._index.nprobe) / share, enough))
        return base.Effort(probes=probes) if probes < self._lists or share == 1 else None

    def search(self, queries: Vectors, k: int, passing: Bits | None, effort: base.Effort) -> base.Neighbours:
        """Return the `k` best of the rows that pass, see `base.Engine`.

        Where many rows don't pass, those that do may all be far from the query: lists are added until they
        hold nothing better, and where fewer pass around a query than elsewhere, all are looked into.
        """
        asked, k = self._prepare(queries), min(k, self._rows)
        chosen = None if passing is None else selecting.selector(passing)
        probes = min(effort.probes or self._index.nprobe, self._lists)
        sparse = passing is not None and bits.count(passing) < _DENSE * self._rows
        if sparse and passing is not None:
            around = self._look(asked, selecting.AROUND, probes, None).rows
            if selecting.thin(passing, self._rows, around).any():
                return self._look(asked, k, self._lists, chosen)
        found = self._look(asked, k, probes, chosen)
        while sparse and probes < self._lists:
            probes = min(2 * probes, self._lists)
            before, found = found, self._look(asked, k, probes, chosen)
            sparse = not np.array_equal(before.rows, found.rows)
        return found

    def _look(self, queries: Vectors, k: int, probes: int, chosen: Any) -> base.Neighbours:
        parameters = faiss.SearchParametersIVF(nprobe=probes, sel=chosen)
        return base.Neighbours(*self._index.search(queries, k, params=parameters))
