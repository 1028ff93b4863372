"""The rows of a segment that a read may return: live, of one namespace, and passing a filter."""

import dataclasses
import functools

import numpy as np
import numpy.typing as npt

from .. import bits
from ..arrays import Bits, RowNumbers
from ..engines import clusters as centroids

_FEW_CLUSTERS = 4  # fewer say little of a query's surroundings


@dataclasses.dataclass(frozen=True)
class Grouped:
    """Selected rows by cluster: cluster c has `rows[offsets[c]:offsets[c + 1]]`."""

    clusters: centroids.Clusters
    rows: RowNumbers
    offsets: npt.NDArray[np.int64]

    def share(self, nearest: RowNumbers, around: int) -> float:
        """Return the share of selected rows among the `around` rows, or a few more, of the first clusters."""
        sizes = self.clusters.sizes[nearest[: _FEW_CLUSTERS * 16]]
        needed = max(_FEW_CLUSTERS, int(np.searchsorted(np.cumsum(sizes), around)) + 1)
        selected = self.counts[nearest[:needed]].sum()
        return float(selected / max(1, sizes[:needed].sum()))

    def first(self, nearest: RowNumbers, count: int) -> RowNumbers:
        """Return `count` selected rows, or a few more, of the first clusters that have some."""
        filled = nearest[self.counts[nearest] > 0]
        needed = int(np.searchsorted(np.cumsum(self.counts[filled]), count)) + 1
        pieces = [self.rows[self.offsets[one] : self.offsets[one + 1]] for one in filled[:needed].tolist()]
        return np.concatenate(pieces)

    @functools.cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many selected rows each cluster has."""
        return np.diff(self.offsets)


@dataclasses.dataclass(frozen=True)
class Selection:
    """A set of a segment's rows; `size` is how many the segment has, and `clusters` its own, if any."""

    chosen: Bits
    size: int
    clusters: centroids.Clusters | None = None

    @functools.cached_property
    def count(self) -> int:
        """How many rows are selected."""
        return bits.count(self.chosen)

    @functools.cached_property
    def rows(self) -> RowNumbers:
        """The rows in ascending order."""
        return bits.to_rows(self.chosen)

    @property
    def whole(self) -> bool:
        """Whether every row is selected."""
        return self.count == self.size

    @functools.cached_property
    def grouped(self) -> Grouped | None:
        """The rows by cluster, None where the segment has no clusters."""
        if self.clusters is None:
            return None
        selected = bits.to_mask(self.chosen, self.size)[self.clusters.rows]
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(selected)])
        rows = self.clusters.rows[selected].astype(np.int64)
        return Grouped(self.clusters, rows, before[self.clusters.offsets])
