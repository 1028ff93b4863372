"""Rows that may be returned, as FAISS takes them: a bitmap that it reads itself, never a callback."""

import faiss
import numpy as np

from .. import bits
from ..arrays import Bits, Mask, RowNumbers

AROUND = 100
"""Rows that count as the surroundings of a query."""
_THIN = 0.8


class Nodes:
    """What an index of FAISS holds: rows, and behind them ghosts, which are never returned.

    Args:
        rows: how many are rows.
        total: how many there are.
    """

    def __init__(self, rows: int, total: int) -> None:
        self.rows, self.total = rows, total
        self._every = selector(bits.every(rows)) if rows < total else None

    def selector(self, passing: Bits | None) -> faiss.IDSelectorBitmap | None:
        """Return FAISS's selector of the rows that pass; None where everything may be returned."""
        return self._every if passing is None else selector(passing)


def selector(passing: Bits) -> faiss.IDSelectorBitmap:
    """Return FAISS's selector of the rows that pass; nodes beyond its end don't."""
    return faiss.IDSelectorBitmap(passing.view(np.uint8))


def holds(passing: Bits, rows: RowNumbers) -> Mask:
    """Tell of each row whether it passes; -1 does not."""
    at = np.maximum(rows, 0)
    found: Mask = (passing[at >> 6] >> (at & 63).astype(np.uint64) & np.uint64(1)).astype(np.bool_)
    return found & (rows >= 0)


def thin(passing: Bits, rows: int, around: RowNumbers) -> Mask:
    """Tell for each query whether fewer rows pass around it than elsewhere, by more than chance.

    Then those that pass are farther away than a search of the surroundings comes.

    Args:
        passing: which rows pass.
        rows: of how many.
        around: (queries, rows), the nearest rows whether they pass or not; -1 for none.
    """
    expected = bits.count(passing) / rows * np.count_nonzero(around >= 0, axis=1)
    few: Mask = holds(passing, around).sum(axis=1) + np.sqrt(expected) < _THIN * expected
    return few
