"""Ragged columns: none, one or many items for each row, one behind the other.

A named vector is a column of vectors whose counts are 0 or 1, a matrix of token vectors one with any counts;
sparse values are a column of pairs. Rule: items stand in the order of their rows, so that a run of rows is a
run of items.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import RowNumbers

Items = npt.NDArray[Any]
"""Vectors, (items, dimensions), or pairs of sparse values, (items,)."""


@dataclasses.dataclass(frozen=True)
class Ragged:
    """Items by row: row r has `items[offsets[r]:offsets[r + 1]]`.

    Attributes:
        offsets: (rows + 1,), from 0, never falling.
        items: offsets[-1] of them.
    """

    offsets: RowNumbers
    items: Items

    @property
    def rows(self) -> int:
        """How many rows there are, with items or without."""
        return len(self.offsets) - 1

    @functools.cached_property
    def counts(self) -> RowNumbers:
        """How many items each row has."""
        return np.diff(self.offsets)

    def positions(self, rows: RowNumbers) -> RowNumbers:
        """Return the positions of these rows' items, row after row."""
        counts = self.counts[rows]
        starts = np.cumsum(counts) - counts
        within = np.arange(int(counts.sum()), dtype=np.int64)
        shifts: RowNumbers = np.repeat(self.offsets[rows] - starts, counts)
        return within + shifts

    def take(self, rows: RowNumbers) -> "Ragged":
        """Return these rows, in their order."""
        return of_counts(self.counts[rows], self.items[self.positions(rows)])

    def owners(self, positions: RowNumbers) -> RowNumbers:
        """Return the row of each item."""
        owners: RowNumbers = np.searchsorted(self.offsets, positions, side="right") - 1
        return owners


def of_counts(counts: npt.NDArray[np.integer], items: Items) -> Ragged:
    """Return the column of rows that have these counts."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return Ragged(offsets, items)


def none(rows: int, dimensions: int) -> Ragged:
    """Return the column of rows that have no vectors."""
    return Ragged(np.zeros(rows + 1, np.int64), np.zeros((0, dimensions), np.float32))


def concatenated(columns: Sequence[Ragged]) -> Ragged:
    """Return the rows of one or more columns, one column behind the other."""
    counts = np.concatenate([column.counts for column in columns])
    return of_counts(counts, np.concatenate([column.items for column in columns]))
