"""The nearest of the selected rows of a sealed segment: by its graph, or compared with each of them."""

import dataclasses

import numpy as np

from ..api import config
from ..arrays import Vectors
from ..engines import base, choice, flat
from . import part, selection


@dataclasses.dataclass(frozen=True)
class Target:
    """What is searched: the comparable vectors, and the graph over them, None where there is none.

    The graph has `nodes`: the rows, and ghosts behind them.
    """

    metric: config.Metric
    vectors: Vectors
    engine: base.Engine | None
    nodes: int
    m: int


def search(target: Target, question: part.Question, selected: selection.Selection) -> base.Neighbours:
    """Return the best selected rows for each query."""
    if not selected.count:
        return base.nothing(len(question.queries))
    ef = 0 if question.exact else _graph_ef(target, question, selected)
    if ef == 0 or target.engine is None:
        return _search_exactly(target, question, selected)
    passing = None if selected.whole else selected.chosen
    return target.engine.search(question.queries, min(question.k, selected.count), passing, ef)


def _graph_ef(target: Target, question: part.Question, selected: selection.Selection) -> int:
    known = choice.Question(selected.count, target.nodes, question.k, question.ef, target.m)
    return choice.graph_ef(known)


def _search_exactly(
    target: Target, question: part.Question, selected: selection.Selection
) -> base.Neighbours:
    rows = selected.rows
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 > selected.count:
        return flat.search(target.metric, target.vectors, question.queries, question.k, rows)
    piece = target.vectors[first : last + 1]
    found = flat.search(target.metric, piece, question.queries, question.k)
    return base.Neighbours(found.scores, np.where(found.rows >= 0, found.rows + first, -1))
