"""The rows of a segment that a read may return: live, of one namespace, and passing a filter."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import bits
from ..arrays import Bits, Mask, RowNumbers
from ..engines import clusters as centroids

_CHANCE = 3  # standard deviations of how many rows of a cluster are selected where which ones is chance
_FEW_CLUSTERS, _MANY_CLUSTERS = 4, 64  # that say what passes around a query


@dataclasses.dataclass(frozen=True)
class Grouped:
    """Selected rows by cluster; `selected` has one boolean for each row of the segment, `count` are true."""

    clusters: centroids.Clusters
    selected: Mask
    count: int
    _looks: Iterator[int] = dataclasses.field(default_factory=itertools.count, compare=False)

    @property
    def least_known(self) -> float:
        """The least density around any query, see `density`; 0 at the first look, when it is not known yet.

        It takes a look at every row, so it is for selections that are asked for again.
        """
        return self._least if next(self._looks) else 0.0

    @functools.cached_property
    def _least(self) -> float:
        counts, sizes = np.diff(self._offsets), self.clusters.sizes
        filled = sizes > 0
        return float(_density(counts[filled], sizes[filled], self._share).min())

    def density(self, nearest: RowNumbers, around: int) -> float:
        """Return how common selected rows are around a query, relative to the whole segment.

        It is the lesser of two densities: among the `around` rows, or a few more, of the first clusters, and
        in the very first one, for rows may be far enough apart that a walk sees little else.
        """
        first = nearest[:_MANY_CLUSTERS]
        filled = np.cumsum(self.clusters.sizes[first])
        closest, needed = (int(np.searchsorted(filled, rows)) + 1 for rows in (1, around))
        rows = _pieces(self.clusters.rows, self.clusters.offsets, first[: max(_FEW_CLUSTERS, needed)])
        passing, close = self.selected.take(rows), filled[closest - 1 : closest]
        near = _density(np.count_nonzero(passing[: int(close[0])], keepdims=True), close, self._share)
        return min(float(near[0]), np.count_nonzero(passing) / len(passing) / self._share)

    @property
    def _share(self) -> float:
        """The share of the segment's rows that are selected; some are."""
        return self.count / len(self.selected)

    def first(self, nearest: RowNumbers, count: int) -> RowNumbers:
        """Return the places of `count` selected rows, or a few more, of the first clusters that have some."""
        counts = self._offsets[nearest + 1] - self._offsets[nearest]
        needed = int(np.searchsorted(np.cumsum(counts), count)) + 1
        return _pieces(self.places, self._offsets, nearest[:needed][counts[:needed] > 0])

    @functools.cached_property
    def places(self) -> RowNumbers:
        """Where the selected rows stand among the rows by cluster, ascending."""
        return np.flatnonzero(self.selected.take(self.clusters.rows))

    @functools.cached_property
    def _offsets(self) -> RowNumbers:
        """Where the places of each cluster begin."""
        return np.searchsorted(self.places, self.clusters.offsets)


def _density(counts: RowNumbers, sizes: RowNumbers, share: float) -> npt.NDArray[np.float64]:
    """Return the density in clusters of which so many rows are selected; what chance leaves is not few."""
    by_chance = _CHANCE * np.sqrt(sizes * share * (1 - share))
    found: npt.NDArray[np.float64] = (counts + by_chance) / (sizes * share)
    return found


def _pieces(given: npt.NDArray[Any], offsets: RowNumbers, chosen: RowNumbers) -> npt.NDArray[Any]:
    """Return what is given of some clusters, one behind the other."""
    starts, sizes = offsets[chosen], offsets[chosen + 1] - offsets[chosen]
    ends = np.cumsum(sizes)
    found: npt.NDArray[Any] = given.take(np.arange(int(ends[-1])) + np.repeat(starts - ends + sizes, sizes))
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
        return Grouped(self.clusters, self.mask, self.count)
