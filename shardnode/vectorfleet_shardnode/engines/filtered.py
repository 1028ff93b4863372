"""An engine for what can't select rows itself: asks for more candidates, and drops those that don't pass.

Where too few are left, and where more would be asked for than can be had, every row that passes is
compared. What is returned is scored from full vectors.
"""

from typing import Protocol

import numpy as np

from .. import bits
from ..api import config
from ..arrays import Bits, RowNumbers, Vectors
from . import base, flat, rescoring, selecting


class Source(Protocol):
    """Finds the rows near a query among all rows."""

    @property
    def most(self) -> int:
        """How many candidates can be asked for."""

    def widened(self, passing: int, k: int, effort: base.Effort) -> base.Effort | None:
        """See `base.Engine`; `ef` says how many candidates are asked for."""

    def candidates(self, queries: Vectors, count: int, effort: base.Effort) -> RowNumbers | None:
        """Return (queries, count) rows, best first, -1 for none; None where so many can't be found."""


class FilteredEngine:
    """Searches a source.

    Args:
        source: what finds candidates.
        metric: how to compare.
        vectors: (rows, dimensions), comparable, full.
    """

    def __init__(self, source: Source, metric: config.Metric, vectors: Vectors) -> None:
        self._source, self._metric, self._vectors = source, metric, vectors

    def widened(self, passing: int, k: int, effort: base.Effort) -> base.Effort | None:
        """Return how many candidates to ask for, see `base.Engine`."""
        wider = self._source.widened(passing, k, effort)
        return wider if wider and max(k, wider.ef) <= self._source.most else None

    def search(self, queries: Vectors, k: int, passing: Bits | None, effort: base.Effort) -> base.Neighbours:
        """Return the `k` best of the rows that pass, see `base.Engine`."""
        rows = len(self._vectors) if passing is None else bits.count(passing)
        k, count = min(k, rows), min(len(self._vectors), max(k, effort.ef))
        found = self._source.candidates(queries, count, effort) if count <= self._source.most else None
        if found is not None and passing is not None:
            found = _kept(found, passing)
        if found is None or (np.count_nonzero(found >= 0, axis=1) < k).any():
            listed = None if passing is None else bits.to_rows(passing)
            return flat.search(self._metric, self._vectors, queries, k, listed)
        return rescoring.best(self._metric, self._vectors, queries, found, k)


def _kept(found: RowNumbers, passing: Bits) -> RowNumbers:
    """Return the candidates that pass, in their order, then -1."""
    dropped = ~selecting.holds(passing, found)
    order = np.argsort(dropped, axis=1, kind="stable")
    kept = np.take_along_axis(found, order, axis=1)
    kept[np.take_along_axis(dropped, order, axis=1)] = -1
    return kept
