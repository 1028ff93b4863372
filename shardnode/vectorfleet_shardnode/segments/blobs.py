"""The strings of a column by row: few are read from its buffers at once, many by Arrow.

Arrow's machinery costs some microseconds whatever it takes; a query takes ten.
"""

from typing import Generic, TypeVar, cast

import numpy as np
import pyarrow as pa

from ..arrays import RowNumbers

FEW = 64
"""Values that are read here; Arrow takes more of them faster."""

_T = TypeVar("_T", str, bytes)


class Blobs(Generic[_T]):
    """The values of a column of `large_string` (as str) or `large_binary` (as bytes), none of them null."""

    def __init__(self, column: pa.Array) -> None:
        self._column = column
        self._is_text = pa.types.is_large_string(column.type)
        _, offsets, data = column.buffers()
        ends = column.offset + len(column) + 1
        self._offsets = np.frombuffer(offsets, np.int64, ends)[column.offset :]
        self._ends = self._offsets[1:]
        self._data = memoryview(data if data is not None else b"")

    def take(self, rows: RowNumbers | range) -> list[_T]:
        """Return values by row."""
        if isinstance(rows, range):
            return cast("list[_T]", self._column.slice(rows.start, len(rows)).to_pylist())
        if len(rows) > FEW:
            return cast("list[_T]", self._column.take(pa.array(rows)).to_pylist())
        pieces = zip(self._offsets[rows].tolist(), self._ends[rows].tolist(), strict=True)
        data = self._data
        if self._is_text:
            return cast("list[_T]", [str(data[start:end], "utf-8") for start, end in pieces])
        return cast("list[_T]", [bytes(data[start:end]) for start, end in pieces])

    def one(self, row: int) -> _T:
        """Return the value of one row."""
        start, end = self._offsets[row : row + 2].tolist()
        piece = self._data[start:end]
        return cast("_T", str(piece, "utf-8") if self._is_text else bytes(piece))
