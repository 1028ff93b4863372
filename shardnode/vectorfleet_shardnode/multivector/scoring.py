"""Scores rows exactly by a weighted sum over vector fields and sparse values. Pure: arrays in, scores out.

A term over plain vectors is the metric's score. A late term is MaxSim (Khattab and Zaharia, ColBERT, 2020):
the sum over the query's tokens of the greatest similarity to any of the row's. Work goes in pieces, so that
memory does not grow with the rows.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .. import ragged, sparse
from ..api import config
from ..arrays import Mask, RowNumbers, Scores, Vectors
from . import question

_PIECE_VALUES = 1 << 21  # float32 values of gathered vectors, and of the table of similarities
_GREATEST = float(np.finfo(np.float32).max)

Columns = Callable[[str], ragged.Ragged]
"""Gives the column of a field by its name, as it is compared."""


def comparable_rows(
    metric: config.Metric,
    terms: Sequence[question.Term],
    columns: Columns,
    rows: RowNumbers,
    products: sparse.Products | None = None,
) -> RowNumbers:
    """Return those of the rows that can match: by any term, or by all where scores are distances.

    A row that lacks a field adds nothing to a sum of similarities; of distances it would be the nearest.
    """
    distances = metric is config.Metric.EUCLIDEAN
    named = [term.field for term in terms if term.field]
    if len(named) < len(terms) and not (distances and named):
        return rows  # every row has values
    have: list[Mask] = [columns(field).counts[rows] > 0 for field in named]
    if products is not None:
        have.append(products.of(rows) != 0)
    together = np.logical_and if distances else np.logical_or
    return rows[together.reduce(have)]


def weighted(
    metric: config.Metric,
    terms: Sequence[question.Term],
    columns: Columns,
    rows: RowNumbers,
    products: sparse.Products | None = None,
) -> Scores:
    """Return the weighted sum of each row's scores; a term whose field a row lacks adds 0.

    `products` are those with the query's sparse vector, which are added. A sum that is too great for float32
    is its greatest number, which JSON has a form for.
    """
    total = np.zeros(len(rows), np.float64) if products is None else products.of(rows)
    for term in terms:
        total += term.weight * scored(metric, term, columns(term.field), rows)
    return np.clip(total, -_GREATEST, _GREATEST).astype(np.float32)


def scored(metric: config.Metric, term: question.Term, column: ragged.Ragged, rows: RowNumbers) -> Scores:
    """Return each row's score by one term, 0 where it lacks the field."""
    scores = np.zeros(len(rows), np.float32)
    having = np.flatnonzero(column.counts[rows])
    for at in _pieces(column, rows, having, term.queries.shape):
        chosen = rows[at]
        scores[at] = _scored_piece(metric, term.queries, _items(column, chosen), column.counts[chosen])
    return scores


def _pieces(
    column: ragged.Ragged, rows: RowNumbers, having: RowNumbers, shape: tuple[int, ...]
) -> Iterator[RowNumbers]:
    """Yield the positions in `rows` of those that have items, in runs of bounded size."""
    most = max(1, _PIECE_VALUES // max(shape))
    ends = np.cumsum(column.counts[rows[having]])
    at = 0
    while at < len(having):
        done = ends[at - 1] if at else 0
        stop = max(at + 1, int(np.searchsorted(ends, done + most, side="right")))
        yield having[at:stop]
        at = stop


def _items(column: ragged.Ragged, rows: RowNumbers) -> Vectors:
    """Return the items of rows that have some; neighbours without a copy."""
    first, last = int(column.offsets[rows[0]]), int(column.offsets[rows[-1] + 1])
    if last - first == int(column.counts[rows].sum()) and (np.diff(rows) > 0).all():
        return column.items[first:last]
    return column.items[column.positions(rows)]


def _scored_piece(metric: config.Metric, queries: Vectors, items: Vectors, counts: RowNumbers) -> Scores:
    if metric is config.Metric.EUCLIDEAN:
        differences = items - queries
        distances: Scores = np.einsum("ij,ij->i", differences, differences)
        return distances
    table = queries @ items.T
    if len(items) > len(counts):
        table = np.maximum.reduceat(table, np.cumsum(counts) - counts, axis=1)
    if metric is config.Metric.COSINE:
        table = np.clip(table, -1, 1)  # whatever float32 rounded them to
    total: Scores = table.sum(axis=0)
    return total
