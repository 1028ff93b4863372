"""The nearest of the selected rows of a sealed segment: by its engine, or compared with each of them."""

import dataclasses

import numpy as np

from ..api import config
from ..arrays import Vectors
from ..engines import base, flat
from . import part, selection


@dataclasses.dataclass(frozen=True)
class Target:
    """What is searched: the comparable vectors, and the engine over them, None where there is none."""

    metric: config.Metric
    vectors: Vectors
    engine: base.Engine | None


def search(target: Target, question: part.Question, selected: selection.Selection) -> base.Neighbours:
    """Return the best selected rows for each query."""
    if not selected.count:
        return base.nothing(len(question.queries))
    found = None if question.exact else _ask(target, question, selected)
    return found or _search_exactly(target, question, selected)


def _ask(target: Target, question: part.Question, selected: selection.Selection) -> base.Neighbours | None:
    """Return what the engine finds; None where comparing costs less, or where it reaches too few rows."""
    k = min(question.k, selected.count)
    effort = target.engine.widened(selected.count, k, question.effort) if target.engine else None
    if target.engine is None or effort is None:
        return None
    passing = None if selected.whole else selected.chosen
    found = target.engine.search(question.queries, k, passing, effort)
    return found if (found.rows[:, k - 1 :] >= 0).all() else None


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
