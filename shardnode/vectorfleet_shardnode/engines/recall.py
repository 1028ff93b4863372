"""Measures an engine's recall@10 as it is served, against exact search, on a sample of the segment's rows.

A sampled row is asked for as if it were a query; that it finds itself is no merit and does not count.
"""

import dataclasses

import numpy as np

from ..api import config
from ..arrays import RowNumbers, Vectors
from . import base, flat

QUERIES = 128
"""Rows that are asked for at most."""
AT = 10
_SEED = 11


@dataclasses.dataclass(frozen=True)
class Sample:
    """Rows as queries, and the rows nearest to each of them, itself left out: (queries, 10).

    There are at most `total` - 1 of them.
    """

    total: int
    rows: RowNumbers
    queries: Vectors
    nearest: RowNumbers

    def recall(self, engine: base.Engine, effort: base.Effort) -> float:
        """Return the share of the nearest that the engine finds; 1 where there is nothing to find."""
        k = self.nearest.shape[1] + 1
        served = engine.widened(self.total, k, effort)
        if served is None:
            return 1.0
        found = engine.search(self.queries, k, None, served).rows
        others = _without(found, self.rows)
        hits = sum(
            len(set(right.tolist()) & set(given.tolist()))
            for right, given in zip(self.nearest, others, strict=True)
        )
        return hits / self.nearest.size if self.nearest.size else 1.0


def sample_of(metric: config.Metric, vectors: Vectors) -> Sample:
    """Draw rows from a fixed seed, and find their nearest exactly."""
    count = min(QUERIES, len(vectors))
    rows = np.sort(np.random.default_rng(_SEED).choice(len(vectors), count, replace=False))
    queries = np.ascontiguousarray(vectors[rows])
    exact = flat.search(metric, vectors, queries, AT + 1).rows
    return Sample(len(vectors), rows, queries, _without(exact, rows))


def _without(found: RowNumbers, own: RowNumbers) -> RowNumbers:
    """Return each query's rows but for its own, one less than there were; the last where it is not there."""
    itself = found == own[:, np.newaxis]
    itself[~itself.any(axis=1), -1] = True
    kept: RowNumbers = found[~itself].reshape(len(found), -1)
    return kept
