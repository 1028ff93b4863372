"""The rows of a segment that a read may return: live, of one namespace, and passing a filter."""

import dataclasses
import functools
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .. import bits
from ..arrays import Bits, Mask, RowNumbers
from ..engines import clusters as centroids

_FEW_CLUSTERS, _MANY_CLUSTERS = 4, 64  # that say what passes around a query


@dataclasses.dataclass(frozen=True)
class Grouped:
    """Selected rows by cluster; `selected` has one boolean for each row of the segment."""

    clusters: centroids.Clusters
    selected: Mask

    def share(self, nearest: RowNumbers, around: int) -> float:
        """Return the share of selected rows among the `around` rows, or a few more, of the first clusters."""
        first = nearest[:_MANY_CLUSTERS]
        filled = np.cumsum(self.clusters.sizes[first])
        needed = max(_FEW_CLUSTERS, int(np.searchsorted(filled, around)) + 1)
        rows = _pieces(self.clusters.rows, self.clusters.offsets, first[:needed])
        return float(self.selected[rows].mean())

    def first(self, nearest: RowNumbers, count: int) -> RowNumbers:
        """Return `count` selected rows, or a few more, of the first clusters that have some."""
        rows, offsets = self._rows
        counts = offsets[nearest + 1] - offsets[nearest]
        needed = int(np.searchsorted(np.cumsum(counts), count)) + 1
        return _pieces(rows, offsets, nearest[:needed][counts[:needed] > 0])

    @functools.cached_property
    def _rows(self) -> tuple[RowNumbers, RowNumbers]:
        """The selected rows by cluster, and where each cluster's begin; made where they are needed."""
        places = np.flatnonzero(self.selected[self.clusters.rows])
        offsets = np.searchsorted(places, self.clusters.offsets)
        return self.clusters.rows[places].astype(np.int64), offsets


_Rows = TypeVar("_Rows", RowNumbers, npt.NDArray[np.uint32])


def _pieces(rows: _Rows, offsets: RowNumbers, chosen: RowNumbers) -> _Rows:
    """Return the rows of some clusters, one behind the other."""
    starts, stops = offsets[chosen].tolist(), offsets[chosen + 1].tolist()
    found: _Rows = np.concatenate([rows[start:stop] for start, stop in zip(starts, stops, strict=True)])
    return found


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

    @functools.cached_property
    def whole(self) -> bool:
        """Whether every row is selected."""
        return self.count == self.size

    @functools.cached_property
    def grouped(self) -> Grouped | None:
        """The rows by cluster, None where the segment has no clusters."""
        if self.clusters is None:
            return None
        return Grouped(self.clusters, bits.to_mask(self.chosen, self.size))
