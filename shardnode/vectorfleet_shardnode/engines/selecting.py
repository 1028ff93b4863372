"""Rows that may be returned, as FAISS takes them: a bitmap that it reads itself, never a callback."""

import faiss
import numpy as np

from .. import bits
from ..arrays import Bits


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
