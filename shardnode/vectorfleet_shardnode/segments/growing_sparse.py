"""The sparse values of a growing segment: a ragged column that one writer appends to, and postings of it.

Postings are made when a query asks, of runs of rows: a new run takes in those before it that are no longer
than itself, up to a bound, for sorting takes memory of its own. So runs are few, and a row is sorted a few
times. The rows behind them are scanned. A reader asks for the first n rows, which never change.
"""

import dataclasses
import threading

import numpy as np

from .. import ragged, sparse
from . import appending

_LEAST_RUN = 256  # rows
_LARGEST_RUN = 1 << 17  # pairs, unless one row has more
_POSTING_BYTES = 8


@dataclasses.dataclass(frozen=True)
class _Run:
    """The postings of the rows from `start` to before `stop`."""

    start: int
    stop: int
    postings: sparse.Postings


class GrowingSparse:
    """The sparse values of all rows."""

    def __init__(self) -> None:
        self._rows = 0
        self._offsets = np.zeros(0, np.int64)
        self._items: sparse.Pairs = np.zeros(0, sparse.PAIR)
        self._runs: tuple[_Run, ...] = ()
        self._sorting = threading.Lock()

    def append(self, rows: int, column: ragged.Ragged | None) -> int:
        """Append a column of `rows` rows, None where none of them has sparse values; returns its bytes."""
        start, end = self._rows, self._rows + rows
        self._rows = end
        if column is None and len(self._offsets) <= start:
            return 0  # nothing is kept of rows without sparse values until the first that has some
        if len(self._offsets) <= start:
            self._offsets = np.zeros(start + 1, np.int64)
        added = column or sparse.none(rows)
        first = int(self._offsets[start])
        last = first + len(added.items)
        self._items = appending.roomy(self._items, first, last)
        self._items[first:last] = added.items
        self._offsets = appending.roomy(self._offsets, start + 1, end + 1)
        self._offsets[start : end + 1] = added.offsets + first
        return (sparse.PAIR.itemsize + _POSTING_BYTES) * len(added.items)

    def first(self, rows: int) -> ragged.Ragged | None:
        """Return the sparse values of the first rows, without copying; None where none of them has any."""
        offsets = self._offsets
        if len(offsets) <= rows or not offsets[rows]:
            return None
        return ragged.Ragged(offsets[: rows + 1], self._items[: offsets[rows]])

    def products(self, asked: sparse.Vector, rows: int) -> sparse.Products:
        """Return the dot products of a query with the first rows."""
        column = self.first(rows)
        if column is None:
            return sparse.added(np.zeros(0, np.int64), np.zeros(0), rows)
        runs = self._sorted(column)
        behind = runs[-1].stop if runs else 0
        found: list[tuple[int, sparse.Multiplied]] = [
            (run.start, run.postings.multiplied(asked)) for run in runs
        ]
        if behind < rows:
            found.append((behind, sparse.scanned(_part_of(column, behind, rows), asked)))
        numbers = [multiplied[0].astype(np.int64) + start for start, multiplied in found]
        every = np.concatenate([np.zeros(0, np.int64), *numbers])
        sums = np.concatenate([np.zeros(0), *(multiplied[1] for _, multiplied in found)])
        if behind > rows:  # a run that was made for a reader of more rows
            every, sums = every[every < rows], sums[every < rows]
        return sparse.added(every, sums, rows)

    def _sorted(self, column: ragged.Ragged) -> tuple[_Run, ...]:
        """Return runs of postings that leave few rows of the column out; they may hold rows behind it."""
        runs, rows = self._runs, column.rows
        if rows - (runs[-1].stop if runs else 0) < _LEAST_RUN:
            return runs
        with self._sorting:
            kept = list(self._runs)
            start = kept[-1].stop if kept else 0
            if rows - start < _LEAST_RUN:
                return self._runs
            offsets = column.offsets
            while kept and kept[-1].stop - kept[-1].start <= rows - start:
                if offsets[rows] - offsets[kept[-1].start] > _LARGEST_RUN:
                    break
                start = kept.pop().start
            while start < rows:
                most = int(np.searchsorted(offsets, offsets[start] + _LARGEST_RUN, side="right")) - 1
                stop = min(rows, max(start + 1, most))
                kept.append(_Run(start, stop, sparse.postings_of(_part_of(column, start, stop))))
                start = stop
            self._runs = tuple(kept)
            return self._runs


def _part_of(column: ragged.Ragged, start: int, stop: int) -> ragged.Ragged:
    """Return a run of rows, without copying their items."""
    offsets = column.offsets[start : stop + 1]
    return ragged.Ragged(offsets - offsets[0], column.items[offsets[0] : offsets[-1]])
