"""HNSW by FAISS over a memory-mapped vectors file: the graph in its own file, the vectors shared.

The graph file holds links only. FAISS gets its view of the vectors from the same pages that exact
search reads, so a vector is in memory once. Dead and filtered rows are walked through but not returned.
"""

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from ..api import config
from ..arrays import Mask, Vectors
from . import base


def build(metric: config.Metric, vectors: Vectors, parameters: config.HnswParameters, path: Path) -> None:
    """Build the graph over comparable vectors and write it to `path`; uses OpenMP's threads."""
    index = faiss.IndexHNSWFlat(vectors.shape[1], parameters.m, base.faiss_metric(metric))
    index.hnsw.efConstruction = parameters.ef_construction
    index.add(vectors)
    faiss.write_index(index, str(path), faiss.IO_FLAG_SKIP_STORAGE)


class HnswEngine:
    """Searches one graph.

    Args:
        path: the graph file; its checksum was checked, because FAISS trusts what it reads.
        storage: FAISS's flat index over the segment's comparable vectors.
    """

    def __init__(self, path: Path, storage: Any) -> None:
        self._index = faiss.read_index(str(path))
        self._storage = storage  # kept alive here: the index only borrows it
        self._index.storage = storage
        self._index.own_fields = False

    def search(self, queries: Vectors, k: int, passing: Mask | None, ef: int) -> base.Neighbours:
        """Return the `k` best of the rows that pass, see `base.Engine`."""
        k = min(k, self._index.ntotal)
        parameters = faiss.SearchParametersHNSW(efSearch=max(ef, k))
        if passing is not None:
            bits = np.packbits(passing, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
            parameters = faiss.SearchParametersHNSW(efSearch=max(ef, k), sel=selector)
        scores, rows = self._index.search(queries, k, params=parameters)
        return base.Neighbours(scores, rows)
