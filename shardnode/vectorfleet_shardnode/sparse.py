"""Sparse values: weights of a few of 2^32 dimensions, for rows, for queries, and by dimension. Pure arrays.

Rows have them as a ragged column of pairs, in the order that they were sent in. A query's dot product with
all rows is added up over the postings of its dimensions, in float64 and in the query's order.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from . import ragged
from .arrays import Mask, RowNumbers

PAIR = np.dtype([("index", "<u4"), ("value", "<f4")])
"""A dimension and its weight; the items of a column of sparse values."""

Pairs = npt.NDArray[np.void]
Indices = npt.NDArray[np.uint32]
Values = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]
Multiplied = tuple[npt.NDArray[np.integer], Sums]
"""Rows and what each adds to its sum; a row may come several times."""
_FEW = 8  # rows for each posting from which sorting the postings costs less than an array of all rows


@dataclasses.dataclass(frozen=True)
class Vector:
    """A sparse vector that is asked for: distinct dimensions and their weights, one at least."""

    indices: Indices
    weights: Sums


def pairs_of(indices: npt.NDArray[np.integer], values: npt.NDArray[np.floating]) -> Pairs:
    """Return dimensions and weights as pairs."""
    pairs = np.empty(len(indices), PAIR)
    pairs["index"], pairs["value"] = indices, values
    return pairs


def none(rows: int) -> ragged.Ragged:
    """Return the column of rows that have no sparse values."""
    return ragged.Ragged(np.zeros(rows + 1, np.int64), np.zeros(0, PAIR))


def concatenated(columns: Sequence[tuple[int, ragged.Ragged | None]]) -> ragged.Ragged | None:
    """Return the rows of some columns, one behind the other; None where none of them has any.

    Args:
        columns: how many rows each has, and the column, None where no row has sparse values.
    """
    if all(column is None for _, column in columns):
        return None
    return ragged.concatenated([column or none(rows) for rows, column in columns])


@dataclasses.dataclass(frozen=True)
class Products:
    """The dot products of one query with the rows of a part that have any of its dimensions.

    Attributes:
        rows: ascending.
        sums: beside each its product; other rows' is 0.
        every: the products of all rows, where they are known by number.
    """

    rows: RowNumbers
    sums: Sums
    every: Sums | None = None

    def of(self, rows: RowNumbers) -> Sums:
        """Return the products of these rows."""
        if self.every is not None:
            return self.every[rows]
        found = np.zeros(len(rows))
        if len(self.rows):
            at = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
            hits = self.rows[at] == rows
            found[hits] = self.sums[at[hits]]
        return found

    def among(self, chosen: Mask) -> "Products":
        """Return those of the rows that are chosen; what other rows have is not to be asked for."""
        kept = chosen[self.rows]
        return self if kept.all() else Products(self.rows[kept], self.sums[kept], self.every)


def added(rows: npt.NDArray[np.integer], products: Sums, size: int) -> Products:
    """Return the sums of products by row, each added in the order given; `size`: rows there are."""
    if len(rows) * _FEW >= size:
        every = np.bincount(rows, products, size).astype(np.float64, copy=False)
        found = np.flatnonzero(every)
        return Products(found, every[found], every)
    distinct, places = np.unique(rows, return_inverse=True)
    sums = np.bincount(places, products, len(distinct)).astype(np.float64, copy=False)
    return Products(distinct.astype(np.int64), sums)


@dataclasses.dataclass(frozen=True)
class Postings:
    """Sparse values by dimension.

    Attributes:
        dimensions: that some row has, ascending.
        starts: (dimensions + 1,) where each one's postings begin.
        rows: that have it, ascending within a dimension.
        values: the weight that each has.
        size: rows there are, with sparse values or without.
    """

    dimensions: Indices
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.uint32]
    values: Values
    size: int

    def multiplied(self, asked: Vector) -> Multiplied:
        """Return the rows of the query's dimensions and what each adds, dimension after dimension."""
        at = np.searchsorted(self.dimensions, asked.indices)
        known = at < len(self.dimensions)
        known[known] = self.dimensions[at[known]] == asked.indices[known]
        firsts, lasts = self.starts[at[known]].tolist(), self.starts[at[known] + 1].tolist()
        runs = [slice(first, last) for first, last in zip(firsts, lasts, strict=True)]
        if not runs:
            return self.rows[:0], np.zeros(0)
        pairs = zip(asked.weights[known], runs, strict=True)
        products = [weight * self.values[run].astype(np.float64) for weight, run in pairs]
        return np.concatenate([self.rows[run] for run in runs]), np.concatenate(products)

    def products(self, asked: Vector) -> Products:
        """Return the dot products of all rows that have a dimension of the query."""
        return added(*self.multiplied(asked), self.size)


def postings_of(column: ragged.Ragged) -> Postings:
    """Return a column's values by dimension."""
    order = np.argsort(column.items["index"], kind="stable")  # rows ascend, so they do within a dimension
    indices = column.items["index"][order]
    rows = np.repeat(np.arange(column.rows, dtype=np.uint32), column.counts)[order]
    dimensions, first = np.unique(indices, return_index=True)
    starts = np.append(first, len(indices)).astype(np.int64)
    return Postings(dimensions, starts, rows, column.items["value"][order], column.rows)


def scanned(column: ragged.Ragged, asked: Vector) -> Multiplied:
    """Return the same as `Postings.multiplied` of a few rows that have no postings, in the rows' order."""
    order = np.argsort(asked.indices)
    indices, wanted = asked.indices[order], column.items["index"]
    at = np.minimum(np.searchsorted(indices, wanted), len(indices) - 1)
    hits = np.flatnonzero(indices[at] == wanted)
    return column.owners(hits), asked.weights[order][at[hits]] * column.items["value"][hits].astype(
        np.float64
    )
