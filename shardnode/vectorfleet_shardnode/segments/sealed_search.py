"""The nearest of the selected rows of a sealed segment: by its engine, its clusters, or compared with each.

The selection is made before the search and handed to it, so that nothing is filtered afterwards. What a
walk over the graph could not find, because it met too few selected rows, is searched exactly.
"""

import dataclasses

import numpy as np

from ..api import config
from ..arrays import RowNumbers, Vectors
from ..engines import base, choice, flat, signs
from . import part, selection

_AROUND = 10  # rows that count as the surroundings of a query, as a multiple of efSearch


@dataclasses.dataclass(frozen=True)
class Target:
    """What is searched: the comparable vectors, and the engine over them, None where there is none.

    Where the engine is a graph it has `nodes`, the rows and ghosts behind them, and links by `m`; of its rows
    under a filter `signed` may know good candidates.
    """

    metric: config.Metric
    vectors: Vectors
    engine: base.Engine | None
    nodes: int
    m: int
    signed: signs.Signs | None = None


def search(target: Target, question: part.Question, selected: selection.Selection) -> base.Neighbours:
    """Return the best selected rows for each query."""
    if not selected.count:
        return base.nothing(len(question.queries))
    if question.exact or target.engine is None:
        return _compare(target, question, selected)
    if selected.clusters is None or selected.whole:
        return _follow(target, question, selected, choice.ENGINE)
    screened = target.signed is not None
    known = choice.Question(selected.count, target.nodes, question.k, question.ef, target.m, screened)
    if choice.compares_few(known) or selected.grouped is None:
        return _compare(target, question, selected)
    return _search_grouped(target, question, selected, known)


def _search_grouped(
    target: Target, question: part.Question, selected: selection.Selection, known: choice.Question
) -> base.Neighbours:
    """Search by the way that suits the surroundings of each query."""
    assert selected.grouped is not None
    least = selected.grouped.least_known
    if choice.trusts(least) and not (way := choice.plan(known, least)).compared:
        return _follow(target, question, selected, way)
    ranks = [selected.grouped.clusters.nearest(query) for query in question.queries]
    around = _AROUND * max(question.ef, question.k)
    ways = [choice.plan(known, selected.grouped.density(rank, around)) for rank in ranks]
    if len(set(ways)) == 1 and not ways[0].compared:
        return _follow(target, question, selected, ways[0])
    alone = [dataclasses.replace(question, queries=query[np.newaxis]) for query in question.queries]
    found = [
        _near(target, one, selected, way, rank) if way.compared else _follow(target, one, selected, way)
        for one, way, rank in zip(alone, ways, ranks, strict=True)
    ]
    return base.joined(found)


def _follow(
    target: Target, question: part.Question, selected: selection.Selection, way: choice.Plan
) -> base.Neighbours:
    found = _ask(target, question, selected) if way.asks else None
    return found or _compare(target, question, selected)


def _near(
    target: Target,
    question: part.Question,
    selected: selection.Selection,
    way: choice.Plan,
    nearest: RowNumbers,
) -> base.Neighbours:
    """Return the best of selected rows of the clusters that are nearest to one query, and of a walk."""
    assert selected.grouped is not None
    assert target.engine is not None
    places = selected.grouped.first(nearest, way.compared)
    if target.signed and _pays(target, question, len(places)):
        compared = target.signed.search(target.vectors, question.queries, question.k, places)
    else:
        rows = selected.grouped.clusters.rows.take(places).astype(np.int64)
        compared = flat.search(target.metric, target.vectors, question.queries, question.k, rows)
    if not way.asks:
        return compared
    k, effort = min(question.k, selected.count), dataclasses.replace(question.effort, ef=way.ef)
    walked = target.engine.search(question.queries, k, selected.chosen, effort)
    return _joined(target, walked, compared)


def _ask(target: Target, question: part.Question, selected: selection.Selection) -> base.Neighbours | None:
    """Return what the engine finds; None where comparing costs less, or where it reaches too few rows."""
    k = min(question.k, selected.count)
    effort = target.engine.widened(selected.count, k, question.effort) if target.engine else None
    if target.engine is None or effort is None:
        return None
    passing = None if selected.whole else selected.chosen
    found = target.engine.search(question.queries, k, passing, effort)
    return None if -1 in found.rows[:, k - 1].tolist() else found  # what does not exist stands at the end


def _compare(target: Target, question: part.Question, selected: selection.Selection) -> base.Neighbours:
    if target.signed and selected.grouped and not question.exact and _pays(target, question, selected.count):
        places = selected.grouped.places
        return target.signed.search(target.vectors, question.queries, question.k, places)
    rows = selected.rows
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 > selected.count:
        return flat.search(target.metric, target.vectors, question.queries, question.k, rows)
    piece = target.vectors[first : last + 1]
    found = flat.search(target.metric, piece, question.queries, question.k)
    return base.Neighbours(found.scores, np.where(found.rows >= 0, found.rows + first, -1))


def _pays(target: Target, question: part.Question, rows: int) -> bool:
    return signs.pays(rows, question.k, target.vectors.shape[1])


def _joined(target: Target, walked: base.Neighbours, compared: base.Neighbours) -> base.Neighbours:
    """Return the best of what was found for one query on both ways, each row once."""
    joined = base.nothing(1, walked.rows.shape[1])
    sign = base.sign_of(target.metric)
    rows = np.concatenate([compared.rows[0], walked.rows[0]])
    scores = np.concatenate([compared.scores[0], walked.scores[0]])
    _, first = np.unique(rows, return_index=True)
    first = first[rows[first] >= 0]
    best = first[np.argsort(-sign * scores[first], kind="stable")][: joined.rows.shape[1]]
    joined.rows[0, : len(best)], joined.scores[0, : len(best)] = rows[best], scores[best]
    return joined
