"""Searches parts by one scan of their codes: candidates by estimate, scored from full vectors, or doubted.

How far estimates are off shows where candidates are scored. Where rows that are no candidates may be among
the best by that, all that may are scored as well; and where those are too many, codes tell nothing here.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from .api import config
from .arrays import Bits, Mask, RowNumbers, Scores, Vectors
from .engines import base, fast_scan, flat, rescoring, trusting
from .segments import part

_OVERSAMPLING = 16
_LEAST = 64  # candidates
_WIDER = 16  # times as many, where candidates are in doubt

Answer = tuple[int | RowNumbers, base.Neighbours]
"""What was found, and the number of the part of all of it, or of each match."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """A part that is searched.

    Attributes:
        number: in the state.
        metric: how to compare.
        vectors: (rows, dimensions), comparable.
        chosen: which rows may be returned; None for all.
        start: where its codes begin among those that are scanned.
        covered: how many of its rows have some.
    """

    number: int
    metric: config.Metric
    vectors: Vectors
    chosen: Mask | None
    start: int
    covered: int

    def behind(self, question: part.Question) -> base.Neighbours:
        """Return the best of the rows that have no codes."""
        vectors = self.vectors[self.covered :]
        chosen = None if self.chosen is None else np.flatnonzero(self.chosen[self.covered :])
        found = flat.search(self.metric, vectors, question.queries, question.k, chosen)
        return base.Neighbours(found.scores, found.rows + self.covered)


@dataclasses.dataclass(frozen=True)
class Screen:
    """What is scanned, of which parts, and which rows of that may be returned: None for all, or `count`."""

    scan: fast_scan.Scan
    asked: Sequence[Asked]
    passing: Bits | None
    count: int

    @property
    def sign(self) -> int:
        """What makes scores and estimates such that greater is better."""
        return base.sign_of(self.asked[0].metric)


def pays(k: int, count: int) -> bool:
    """Tell whether so few matches are wanted of so many rows that a scan costs less than comparing all."""
    return k <= count // (2 * _OVERSAMPLING)


def search(screen: Screen, question: part.Question) -> list[Answer] | None:
    """Return the best rows for each query; None where codes can't tell which those are."""
    wanted = min(screen.count, max(_LEAST, _OVERSAMPLING * question.k))
    estimates, rows = screen.scan.candidates(question.queries, wanted, screen.passing)
    if rows.min() < 0:  # estimates may be beyond what a scan can count up to
        return None
    found = []
    for query, guessed, candidates in zip(question.queries, estimates, rows, strict=True):
        scored = _scored(screen, query, guessed, candidates)
        bound = trusting.bound(scored.exact, scored.estimates, question.k)
        worst = screen.sign * guessed[-1]
        if worst >= bound and wanted < screen.count:
            wider = _wider(screen, query, min(screen.count, _WIDER * wanted), bound)
            if wider is None:
                return None
            scored = wider
        found.append(scored.best(question.k))
    scores, numbers, places = (np.array([one[column] for one in found]) for column in range(3))
    answers: list[Answer] = [(numbers, base.Neighbours(screen.sign * scores, places))]
    late = [one for one in screen.asked if one.covered < len(one.vectors)]
    return answers + [(one.number, one.behind(question)) for one in late]


@dataclasses.dataclass(frozen=True)
class _Candidates:
    """Candidates of one query: exact scores and estimates, greater is better; their parts, and rows there."""

    exact: Scores
    estimates: Scores
    numbers: RowNumbers
    rows: RowNumbers

    def best(self, k: int) -> tuple[Scores, RowNumbers, RowNumbers]:
        """Return scores, parts and rows of the `k` best, best first."""
        chosen = np.argsort(-self.exact, kind="stable")[:k]
        return self.exact[chosen], self.numbers[chosen], self.rows[chosen]


def _scored(screen: Screen, query: Vectors, estimates: Scores, found: RowNumbers) -> _Candidates:
    """Score candidates, rows of what is scanned, from full vectors."""
    order = np.argsort(found)
    found = found[order]
    exact, numbers, rows = np.empty(len(found), np.float32), np.empty_like(found), np.empty_like(found)
    for one in screen.asked:
        first, last = found.searchsorted((one.start, one.start + one.covered)).tolist()
        if last > first:
            own = slice(first, last)
            rows[own], numbers[own] = found[own] - one.start, one.number
            [exact[own]] = rescoring.scores(one.metric, one.vectors, query[np.newaxis], rows[np.newaxis, own])
    return _Candidates(screen.sign * exact, screen.sign * estimates[order], numbers, rows)


def _wider(screen: Screen, query: Vectors, count: int, bound: float) -> _Candidates | None:
    """Return all candidates that may be among the best; None where `count` are not all."""
    [estimates], [found] = screen.scan.candidates(query[np.newaxis], count, screen.passing)
    likely = (screen.sign * estimates >= bound) & (found >= 0)
    if likely.all() and count < screen.count:
        return None
    return _scored(screen, query, estimates[likely], found[likely])
