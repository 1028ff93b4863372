"""The rows of a shard that are in no graph yet, by product codes: compared all together, however many parts
they are in, and the best of them scored from full vectors.

A scan of full vectors is bound by the memory, which a build beside it wants too, see `engines.fast_scan`.
Codes are kept in memory only, and are made by maintenance, not by who writes, once somebody has searched.

Rule: no index of FAISS's is written while it is read. What comes is put into a new one, in place of the old.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import faiss
import numpy as np

from . import bits, screening
from .api import config
from .arrays import Bits, Vectors
from .engines import fast_scan
from .segments import part

MIN_DIMENSIONS = 64
"""Shorter vectors are compared in full: codes tell too little of them, and they take little memory."""
MIN_ROWS = 1_024
"""Fewer rows are compared in full, which costs no more than codes."""
PIECE = 256
"""Rows of a part, while others come, up to which they are compared in full until codes are made of them."""

Numbered = tuple[int, part.Part]
"""A part, and its number in the state that is searched."""


def bytes_of(dimensions: int) -> int:
    """Return what a row's codes take in memory."""
    return fast_scan.bytes_of(dimensions) if dimensions >= MIN_DIMENSIONS else 0


@dataclasses.dataclass(frozen=True, eq=False)
class _Coded:
    """The codes of a segment's first rows."""

    segment: object
    codes: fast_scan.Codes


class _Table:
    """The codes of several segments, one behind the other, and what scans them."""

    def __init__(self, quantiser: fast_scan.Quantiser, coded: Sequence[_Coded]) -> None:
        self.quantiser, self.coded = quantiser, tuple(coded)
        ends = list(itertools.accumulate(len(one.codes) for one in coded))
        spans = itertools.pairwise([0, *ends])
        self._spans = {id(one.segment): span for one, span in zip(coded, spans, strict=True)}
        self.rows = ends[-1]
        self.scan = quantiser.scan(np.concatenate([one.codes for one in coded]))

    def of(self, segment: object) -> _Coded | None:
        """Return the codes of a segment, None where it has none."""
        return next((one for one in self.coded if one.segment is segment), None)

    def span(self, segment: object) -> tuple[int, int]:
        """Return where the codes of a segment begin and end."""
        return self._spans.get(id(segment), (0, 0))

    def up_to(self, view: part.Part, least: int) -> _Coded | None:
        """Return the codes of a part, made for rows that have none if they are `least` or more."""
        known = self.of(view.segment)
        covered = len(known.codes) if known else 0
        if len(view.live) - covered < least:
            return known
        added = self.quantiser.codes(view.comparable[covered:])
        return _Coded(view.segment, np.concatenate([known.codes, added]) if known else added)


class Sketch:
    """The codes of the rows that wait. Kept by one thread, searched by any."""

    def __init__(self) -> None:
        self._table: _Table | None = None
        self._searched = False
        self._seen: list[tuple[object, int]] = []
        self._trained_on = self._coded = 0  # rows

    def covered(self, segment: object) -> int:
        """Return how many rows of a segment have codes."""
        known = self._table.of(segment) if self._table else None
        return len(known.codes) if known else 0

    def look(self, views: Sequence[part.Part], metric: config.Metric) -> None:
        """Make codes of what has come since the last look, and forget those of what waits no more.

        Args:
            views: the parts that wait.
            metric: how to compare.
        """
        views = [view for view in views if len(view.live)]
        seen: list[tuple[object, int]] = [(view.segment, len(view.live)) for view in views]
        rests, self._seen = seen == self._seen, seen
        rows = sum(len(view.live) for view in views)
        if not self._searched or rows < MIN_ROWS or views[0].comparable.shape[1] < MIN_DIMENSIONS:
            self._table = None
            return
        faiss.omp_set_num_threads(1)
        if self._table is None or self._coded >= 2 * self._trained_on:
            # What came first may be unlike what has come since: a file that is loaded in order.
            quantiser = fast_scan.Quantiser(metric, _sample(views, rows))
            self._table = _Table(
                quantiser, [_Coded(view.segment, quantiser.codes(view.comparable)) for view in views]
            )
            self._trained_on = self._coded = rows
        else:
            self._table = self._renewed(self._table, views, 1 if rests else PIECE)

    def _renewed(self, table: _Table, views: Sequence[part.Part], least: int) -> _Table | None:
        found = [coded for view in views if (coded := table.up_to(view, least))]
        if found == list(table.coded):
            return table
        before = sum(len(known.codes) for one in found if (known := table.of(one.segment)))
        self._coded += sum(len(one.codes) for one in found) - before
        return _Table(table.quantiser, found) if found else None

    def carry_over(self, before: part.Part, after: part.Part) -> None:
        """Give a part that is to take the place of another one, row by row, the codes that the other has."""
        table = self._table
        if table is None or table.of(before.segment) is None or not (known := table.up_to(before, 1)):
            return
        rows, hashes, _ = before.versions()
        moved_to, their_hashes, _ = after.versions()
        if len(rows) == len(moved_to):
            codes = np.empty((len(rows), known.codes.shape[1]), np.uint8)
            codes[moved_to[np.argsort(their_hashes)]] = known.codes[rows[np.argsort(hashes)]]
            self._table = _Table(table.quantiser, [*table.coded, _Coded(after.segment, codes)])

    def search(self, views: Sequence[Numbered], question: part.Question) -> list[screening.Answer] | None:
        """Return the best rows of parts that wait; None where all of them are to be compared in full.

        Args:
            views: all the parts that wait.
            question: one that may be answered by estimates.
        """
        self._searched = True
        table = self._table
        if table is None:
            return None
        asked = [_asked(table, number, view, question) for number, view in views]
        passing, count = _passing(table, asked)
        if count < MIN_ROWS or not screening.pays(question.k, count):
            return None
        return screening.search(screening.Screen(table.scan, asked, passing, count), question)


def _asked(table: _Table, number: int, view: part.Part, question: part.Question) -> screening.Asked:
    start, stop = table.span(view.segment)
    vectors = view.comparable
    covered = min(stop - start, len(vectors))  # an older view may have fewer rows than have codes by now
    return screening.Asked(number, view.metric, vectors, view.chosen(question), start, covered)


def _passing(table: _Table, asked: Sequence[screening.Asked]) -> tuple[Bits | None, int]:
    """Return which rows of a table may be returned, None for all, and how many those are."""
    if all(one.chosen is None for one in asked) and sum(one.covered for one in asked) == table.rows:
        return None, table.rows
    mask = np.zeros(table.rows, np.bool_)
    for one in asked:
        own = slice(one.start, one.start + one.covered)
        mask[own] = True if one.chosen is None else one.chosen[: one.covered]
    return bits.of_mask(mask), int(np.count_nonzero(mask))


def _sample(views: Sequence[part.Part], rows: int) -> Vectors:
    """Return vectors from all over the parts."""
    chosen = np.linspace(0, rows - 1, min(rows, fast_scan.SAMPLE)).astype(np.int64)
    ends = np.cumsum([len(view.live) for view in views])
    cuts = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
    starts = [0, *ends[:-1].tolist()]
    picked = [view.comparable[cut - start] for view, cut, start in zip(views, cuts, starts, strict=True)]
    return np.concatenate(picked)
