"""The rows of a segment that a read may return: live, of one namespace, and passing a filter."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .. import bits
from ..arrays import Bits, Mask, RowNumbers
from ..engines import clusters as centroids

_TELLING_ROWS = 16  # of a cluster that are enough to speak of a share; smaller ones weigh little
_FEW_CLUSTERS, _MANY_CLUSTERS = 4, 64  # that say what passes around a query


@dataclasses.dataclass(frozen=True)
class Grouped:
    """Selected rows by cluster; `selected` has one boolean for each row of the segment."""

    clusters: centroids.Clusters
    selected: Mask
    _looks: Iterator[int] = dataclasses.field(default_factory=itertools.count, compare=False)

    @property
    def least_known(self) -> float:
        """The least share of selected rows that a cluster has; 0 at the first look, when it is not known yet.

        It takes a look at every row, so it is for selections that are asked for again.
        """
        return self._least if next(self._looks) else 0.0

    @functools.cached_property
    def _least(self) -> float:
        sizes = self.clusters.sizes
        counts, large = np.diff(self._rows[1]), sizes >= _TELLING_ROWS
        return float((counts[large] / sizes[large]).min(initial=1.0))

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
    def mask(self) -> Mask:
        """One boolean for each row."""
        return bits.to_mask(self.chosen, self.size)

    @functools.cached_property
    def whole(self) -> bool:
        """Whether every row is selected."""
        return self.count == self.size

    @functools.cached_property
    def grouped(self) -> Grouped | None:
        """The rows by cluster, None where the segment has no clusters."""
        if self.clusters is None:
            return None
        return Grouped(self.clusters, self.mask)
