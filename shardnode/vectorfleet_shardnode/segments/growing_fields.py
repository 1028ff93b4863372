"""The vector fields of a growing segment: ragged columns that one writer appends to.

A reader asks for the first n rows, which never change; where arrays were replaced by longer ones meanwhile,
both have them.
"""

import numpy as np

from .. import ragged
from ..api import config
from ..arrays import Vectors
from ..engines import base
from . import appending


class GrowingField:
    """One vector field of all rows."""

    def __init__(self, field: config.VectorField, metric: config.Metric) -> None:
        self._field = field
        self._metric = metric
        self._rows = 0
        self._offsets = np.zeros(1, np.int64)
        self._items: Vectors = np.zeros((0, field.dimensions), np.float32)
        self._comparable = self._items

    def append(self, rows: int, column: ragged.Ragged | None) -> int:
        """Append a column of `rows` rows, None where none of them has the field; returns its bytes.

        Raises:
            ValueError: it is not of this field's dimensions, or of other rows.
        """
        added = column or ragged.none(rows, self._field.dimensions)
        if added.rows != rows or added.items.shape[1] != self._field.dimensions:
            raise ValueError(
                f'vector field "{self._field.name}" has {self._field.dimensions} dimensions; '
                f"{added.rows} rows of {added.items.shape[1]} came for {rows}"
            )
        start, end = self._rows, self._rows + rows
        first = int(self._offsets[start])
        self._append_items(first, added.items)
        self._offsets = appending.roomy(self._offsets, start + 1, end + 1)
        self._offsets[start : end + 1] = added.offsets + first
        self._rows = end
        return added.items.nbytes

    def _append_items(self, first: int, items: Vectors) -> None:
        end = first + len(items)
        self._items = appending.roomy(self._items, first, end)
        self._items[first:end] = items
        if self._metric is config.Metric.COSINE:
            self._comparable = appending.roomy(self._comparable, first, end)
            self._comparable[first:end] = base.comparable(self._metric, items)
        else:
            self._comparable = self._items

    def first(self, rows: int) -> ragged.Ragged:
        """Return the vectors of the first rows as they were sent, without copying."""
        return self._view(rows, self._items)

    def comparable(self, rows: int) -> ragged.Ragged:
        """Return the vectors of the first rows as they are compared, without copying."""
        return self._view(rows, self._comparable)

    def _view(self, rows: int, items: Vectors) -> ragged.Ragged:
        offsets = self._offsets[: rows + 1]
        return ragged.Ragged(offsets, items[: offsets[-1]])
