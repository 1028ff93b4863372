"""Exact search: compares a query with every row that may pass. The oracle of every other engine.

Rule: Euclidean distances are summed from differences, never from norms and products, whose rounding
would reorder near neighbours of long vectors.
"""

import faiss
import numpy as np

from ..api import config
from ..arrays import RowNumbers, Vectors
from . import base

# From 20 queries on FAISS computes Euclidean distances by matrix products; smaller groups stay exact.
_GROUP = 16


def search(
    metric: config.Metric, vectors: Vectors, queries: Vectors, k: int, rows: RowNumbers | None = None
) -> base.Neighbours:
    """Return the `k` best rows for each query, exactly.

    Args:
        metric: how to compare.
        vectors: (rows, dimensions), comparable.
        queries: (queries, dimensions), comparable.
        k: how many; fewer come where fewer rows exist.
        rows: the rows that may be returned, int64; None for all.
    """
    k = min(k, len(vectors) if rows is None else len(rows))
    if k == 0 or not len(queries):
        return base.nothing(len(queries))
    found = base.nothing(len(queries), k)
    queries = np.ascontiguousarray(queries)
    selector = None if rows is None else faiss.IDSelectorArray(rows)
    for start in range(0, len(queries), _GROUP):
        group = slice(start, start + _GROUP)
        answer = base.Neighbours(found.scores[group], found.rows[group])
        _search_group(metric, vectors, queries[group], answer, selector)
    return found


def _search_group(
    metric: config.Metric,
    vectors: Vectors,
    queries: Vectors,
    answer: base.Neighbours,
    selector: faiss.IDSelector | None,
) -> None:
    point = faiss.swig_ptr
    count, dimensions = queries.shape
    sizes = (dimensions, count, len(vectors), answer.rows.shape[1])
    outputs = (point(answer.scores), point(answer.rows))
    arrays = (point(queries), point(vectors))
    if base.larger_is_better(metric):
        faiss.knn_inner_product(*arrays, *sizes, *outputs, selector)
    else:
        faiss.knn_L2sqr(*arrays, *sizes, *outputs, None, selector)
