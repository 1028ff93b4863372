"""HNSW by hnswlib: links and a copy of the vectors in one file, which is read into memory as a whole.

Its efSearch belongs to the index and not to the query, so it stays 1 and a query asks for efSearch
candidates. Its filter would be a Python callback for every row, so it is not used.
"""

from pathlib import Path

import hnswlib
import numpy as np

from ..api import config
from ..arrays import RowNumbers, Vectors
from . import base, choice

_SEED = 5


def build(spec: base.Spec, vectors: Vectors, threads: int, path: Path) -> None:
    """Build the graph over comparable vectors and write it to `path`."""
    index = hnswlib.Index(_space(spec.metric), vectors.shape[1])
    parameters = spec.hnsw
    index.init_index(
        len(vectors), M=parameters.m, ef_construction=parameters.ef_construction, random_seed=_SEED
    )
    index.add_items(vectors, np.arange(len(vectors)), num_threads=threads)
    index.save_index(str(path))


def _space(metric: config.Metric) -> str:
    return "ip" if base.larger_is_better(metric) else "l2"


class HnswlibGraph:
    """Finds candidates in one graph; a source for `filtered.FilteredEngine`.

    Args:
        path: its file; its checksum was checked.
        spec: what it was built from.
        dimensions: of its vectors.
    """

    def __init__(self, path: Path, spec: base.Spec, dimensions: int) -> None:
        self._index = hnswlib.Index(_space(spec.metric), dimensions)
        self._index.load_index(str(path))
        self._index.set_ef(1)
        self._m = spec.hnsw.m

    @property
    def most(self) -> int:
        """Every row can be a candidate."""
        return int(self._index.element_count)

    def widened(self, passing: int, k: int, effort: base.Effort) -> base.Effort | None:
        """Return the efSearch for a selection, see `base.Engine`."""
        ef = choice.graph_ef(choice.Question(passing, self.most, k, effort.ef, self._m))
        return base.Effort(ef=min(ef, self.most)) if ef else None

    def candidates(
        self,
        queries: Vectors,
        count: int,
        effort: base.Effort,  # noqa: ARG002 (the count is the effort)
    ) -> RowNumbers | None:
        """Return the rows near each query; None where the graph does not reach so many."""
        try:
            labels, _ = self._index.knn_query(queries, k=count, num_threads=1)
        except RuntimeError:
            return None
        found: RowNumbers = labels.view(np.int64)
        return found
