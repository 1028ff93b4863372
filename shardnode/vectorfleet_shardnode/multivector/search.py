"""Answers a query by parts over a snapshot: candidates from each term's graph, rescored exactly on all terms.

Candidates are the rows nearest to each vector of the query. A row that is none of them can't have more than
the sum of what the last of them had: where the k-th best match has that much, no deeper look can change the
answer; else it goes deeper (the threshold algorithm of Fagin, Lotem and Naor, 2001). A candidate is bounded
likewise by where it was found, so most need not be scored. What sparse values add is known of
every row before the first look: of the rows that no graph found, those are scored that it may lift above the
k-th best. Rule: returned scores are exact, and there are as many as an exact search would return; only which
rows are seen is approximate.
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from .. import sparse
from ..api import config
from ..arrays import RowNumbers, Scores
from ..engines import base
from ..segments import part
from ..snapshot import Place, Snapshot
from . import question as questions
from . import scoring

_FIRST, _FIRST_LEAST = 4, 64  # candidates that are scored first, as a multiple of k and at least
_SORTED = 8  # up to how many for each of the k best sorting all of them costs least
_ROUNDING = 1e-4  # by how much a graph's scores may differ from exact ones


@dataclasses.dataclass(frozen=True)
class _Candidates:
    """Rows, how good each can be at most, and any other: weighted scores, larger is better."""

    rows: RowNumbers
    bounds: npt.NDArray[np.float64]
    bound: float


def search(state: Snapshot, question: questions.Question) -> tuple[Scores, Place]:
    """Return the best matches, best first.

    The newest part, which is small or grows, comes first: what it has bounds what others must be looked for.
    """
    found: list[tuple[Scores, RowNumbers]] = []
    for view in reversed(state.parts):
        floor = _floor(state.metric, [scores for scores, _ in found], question.k)
        found.insert(0, _PartSearch(view, state.metric, question).best(floor))
    scores = np.concatenate([scores for scores, _ in found])
    rows = np.concatenate([rows for _, rows in found])
    parts = np.repeat(np.arange(len(found)), [len(rows) for _, rows in found])
    best = _best(base.sign_of(state.metric) * scores, question.k)
    return scores[best], Place(parts[best], rows[best])


def sparse_scores(state: Snapshot, asked: sparse.Vector, place: Place) -> Scores:
    """Return what sparse values add to the score of each of some rows."""
    scores = np.zeros(len(place.rows), np.float32)
    for number in np.unique(place.parts):
        mine = place.parts == number
        scores[mine] = state.parts[number].products(asked).of(place.rows[mine])
    return scores


def _best(goodness: Scores, k: int) -> RowNumbers:
    """Return the positions of the best, best first; the first of equals first."""
    if len(goodness) <= _SORTED * k:
        return np.argsort(-goodness, kind="stable")[:k]
    least = np.partition(goodness, len(goodness) - k)[len(goodness) - k]
    able = np.flatnonzero(~(goodness < least))  # NaN, where numbers overflowed, among them
    return able[np.argsort(-goodness[able], kind="stable")[:k]]


def _floor(metric: config.Metric, found: list[Scores], k: int) -> float:
    """Return how good the k-th best is that was found so far."""
    goodness = base.sign_of(metric) * np.concatenate([np.zeros(0, np.float32), *found])
    return float(np.partition(goodness, -k)[-k]) if len(goodness) >= k else -math.inf


class _PartSearch:
    """One query on one part of the shard."""

    def __init__(self, view: part.Part, metric: config.Metric, question: questions.Question) -> None:
        self._view = view
        self._metric = metric
        self._question = question
        rows = view.matching(question.namespace, question.wanted)
        self._products = _products(view, question, rows)
        self._rows = scoring.comparable_rows(metric, question.terms, view.compared, rows, self._products)

    def best(self, floor: float) -> tuple[Scores, RowNumbers]:
        """Return the best rows, best first, with their scores; what is below `floor` may be missing."""
        depths = () if self._question.exact else self._question.depths
        for depth in depths:
            candidates = self._candidates(depth, floor)
            if candidates is None:
                break
            scores, rows = self._rescored(candidates)
            full = len(rows) == self._question.k
            least = max(floor, base.sign_of(self._metric) * float(scores[-1])) if full else floor
            if least >= candidates.bound or (full and depth == depths[-1]):
                return scores, rows
        return self._scored(self._rows)

    def _scored(self, rows: RowNumbers) -> tuple[Scores, RowNumbers]:
        terms, columns = self._question.terms, self._view.compared
        scores = scoring.weighted(self._metric, terms, columns, rows, self._products)
        best = _best(base.sign_of(self._metric) * scores, self._question.k)
        return scores[best], rows[best]

    def _rescored(self, candidates: _Candidates) -> tuple[Scores, RowNumbers]:
        """Return the best candidates; those that can't be among them by their bounds are not scored."""
        order = np.argsort(-candidates.bounds, kind="stable")
        first = max(_FIRST * self._question.k, _FIRST_LEAST)
        scores, rows = self._scored(np.sort(candidates.rows[order[:first]]))
        if len(rows) < self._question.k or len(order) <= first:
            return scores, rows
        worst = base.sign_of(self._metric) * float(scores[-1])
        others = order[first:][candidates.bounds[order[first:]] >= worst - _ROUNDING * abs(worst)]
        return self._scored(np.sort(np.concatenate([rows, candidates.rows[others]])))

    def _candidates(self, depth: int, floor: float) -> _Candidates | None:
        """Return rows that are worth an exact comparison; None where comparing all costs less."""
        if len(self._rows) <= depth:
            return None
        terms = [_leading(term) for term in self._question.terms]
        nearest = [self._view.nearest(self._sought(term, depth)) for term in terms]
        if all(near is None for near in nearest):
            return None
        found = [
            self._scanned(term, depth) if near is None else near
            for term, near in zip(terms, nearest, strict=True)
        ]
        rows = np.unique(np.concatenate([near.rows for near in found]))
        bound = sum(self._bound(term, near) for term, near in zip(terms, found, strict=True))
        bounds = np.full(len(rows), bound)
        for term, near in zip(terms, found, strict=True):
            bounds[np.searchsorted(rows, near.rows)] += term.weight * near.gains
        near_rows = _Candidates(rows, bounds, bound)
        return near_rows if self._products is None else self._lifted(near_rows, self._products, floor)

    def _sought(self, term: questions.Term, depth: int) -> part.Sought:
        look = (self._question.ef, term.oversampling, term.rescore)
        return part.Sought(term.field, term.queries, depth, self._rows, *look)

    def _lifted(self, near: _Candidates, products: sparse.Products, floor: float) -> _Candidates:
        """Return the rows near by vectors and those that sparse values may lift as high, with bounds."""
        found = _Candidates(near.rows, near.bounds + products.of(near.rows), near.bound)
        scores, _ = self._rescored(found)
        if len(scores) == self._question.k:
            floor = max(floor, float(scores[-1]))
        bounds = near.bound + products.sums
        able = np.flatnonzero(bounds >= floor - _ROUNDING * abs(floor)) if floor > -math.inf else slice(None)
        others = np.setdiff1d(products.rows[able], near.rows, assume_unique=True)
        more = near.bound + products.of(others)
        order = np.argsort(np.concatenate([near.rows, others]))
        rows = np.concatenate([near.rows, others])[order]
        return _Candidates(rows, np.concatenate([found.bounds, more])[order], near.bound)

    def _scanned(self, term: questions.Term, depth: int) -> part.Nearest:
        """Return the best rows by one term alone, compared with all that have its field."""
        column = self._view.compared(term.field)
        having = self._rows[column.counts[self._rows] > 0]
        scores = scoring.scored(self._metric, term, column, having)
        ranked = _best(base.sign_of(self._metric) * scores, depth)
        best, farthest = np.sort(ranked), scores[ranked[-1:]]
        return part.Nearest(having[best], np.abs(scores[best] - farthest), farthest)

    def _bound(self, term: questions.Term, near: part.Nearest) -> float:
        """Return what the term can add to a row that was not found."""
        most = term.weight * base.sign_of(self._metric) * float(near.farthest.sum())
        if not term.field:
            return most  # every row has values
        lacking = (self._view.compared(term.field).counts[self._rows] == 0).any()
        return max(most, 0.0) if lacking else most


def _products(view: part.Part, question: questions.Question, rows: RowNumbers) -> sparse.Products | None:
    """Return what the query's sparse vector adds to those rows that may match; None where it has none."""
    if question.sparse_vector is None:
        return None
    products = view.products(question.sparse_vector)
    if len(rows) == len(view.live):
        return products
    chosen = np.zeros(len(view.live), np.bool_)
    chosen[rows] = True
    return products.among(chosen)


def _leading(term: questions.Term) -> questions.Term:
    """Return the same term with a positive weight: unlike a vector is like its opposite."""
    if term.weight > 0:
        return term
    return dataclasses.replace(term, weight=-term.weight, queries=-term.queries)
