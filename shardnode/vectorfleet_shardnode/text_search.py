"""Answers a query by text over a snapshot: counts the live rows of each term, then scores those that pass.

The scores of several text fields add up. Equals are ordered by id, so that every replica returns the same
rows.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from . import errors, filters
from .api import config
from .arrays import RowNumbers, Scores
from .segments import part
from .snapshot import Place, Snapshot
from .text import analysis, bm25

MAX_CHARACTERS = 8_192
MAX_TERMS = 1_024
_SPARSE = 8  # rows for each posting from which sorting the postings costs less than an array of all rows


@dataclasses.dataclass(frozen=True)
class Question:
    """A query by text.

    Attributes:
        namespace: whose rows are searched.
        text: what is asked.
        k: how many matches, 1 or more.
        wanted: which rows may match; None for all.
    """

    namespace: str
    text: str
    k: int
    wanted: filters.Filter | None


@dataclasses.dataclass(frozen=True)
class Term:
    """A term of a query in one field: its stem, how often the query has it, and how many rows do."""

    field: str
    stem: str
    asked: int
    rows: int


@dataclasses.dataclass(frozen=True)
class _Weighed:
    """Rows of one part that have a term, and what that adds to the score of each."""

    rows: npt.NDArray[np.uint32]
    weights: bm25.Weights


def search(state: Snapshot, question: Question) -> tuple[Scores, Place]:
    """Return the best matches, best first; only rows that have a term of the text.

    Raises:
        BadRequestError: the index has no text fields, or the text is too long.
    """
    asked = Counter(_checked(state, question.text).terms(question.text))
    if len(asked) > MAX_TERMS:
        raise errors.BadRequestError(
            f"the text has {len(asked)} different words; at most {MAX_TERMS} are searched"
        )
    texts = _texts(state, question.namespace)
    weighed: list[list[_Weighed]] = [[] for _ in texts]
    for field in state.shape.schema.text:
        statistics = bm25.summed(text.statistics(field) for text in texts)
        for term, times in asked.items():
            found = [text.having(field, term) for text in texts]
            having = sum(len(rows) for rows, _ in found)
            factor = times * bm25.idf(statistics.rows, having)
            for text, (rows, counts), pieces in zip(texts, found, weighed, strict=True):
                lengths = text.lengths(field)[rows]
                saturated = bm25.weights(counts, lengths, statistics, state.shape.schema.bm25)
                pieces.append(_Weighed(rows, factor * saturated))
    best = [_best(text.view, pieces, question) for text, pieces in zip(texts, weighed, strict=True)]
    return _merged(state, best, question.k)


def explained(state: Snapshot, question: Question) -> tuple[Term, ...]:
    """Return the terms of a query by field."""
    analyzer = _checked(state, question.text)
    texts = _texts(state, question.namespace)
    terms = []
    for field in state.shape.schema.text:
        for stem, times in Counter(analyzer.stems(question.text)).items():
            hashed = analysis.hash_of(stem)
            rows = sum(len(text.having(field, hashed)[0]) for text in texts)
            terms.append(Term(field, stem, times, rows))
    return tuple(terms)


def _checked(state: Snapshot, text: str) -> analysis.Analyzer:
    """Return what turns a query's text into terms."""
    if not state.shape.schema.text:
        raise errors.BadRequestError(
            "the index has no text fields; declare some in spec.schema.text to search by text"
        )
    if len(text) > MAX_CHARACTERS:
        raise errors.BadRequestError(
            f"the text has {len(text)} characters; at most {MAX_CHARACTERS} are searched"
        )
    return analysis.analyzer(state.shape.schema.language)


def _texts(state: Snapshot, namespace: str) -> list["_Texts"]:
    return [_Texts(view, namespace, state.shape.schema.language) for view in state.parts]


class _Texts:
    """The texts of one part's live rows of a namespace."""

    def __init__(self, view: part.Part, namespace: str, language: config.Language) -> None:
        self.view = view
        self._namespace = namespace
        self._language = language
        self._mask = view.mask_of(namespace)
        self._held: dict[str, part.Texts] = {}

    def _of(self, field: str) -> part.Texts:
        if field not in self._held:
            self._held[field] = self.view.texts(field, self._language)
        return self._held[field]

    def lengths(self, field: str) -> npt.NDArray[np.uint32]:
        return self._of(field).lengths

    def statistics(self, field: str) -> bm25.Statistics:
        return bm25.Statistics(*self.view.text_sums(self._namespace, field, self._language))

    def having(self, field: str, term: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Return the live rows of the namespace that have a term, and how often."""
        rows, counts = self._of(field).find(term)
        live = self._mask[rows]
        return rows[live], counts[live]


def _best(view: part.Part, pieces: Sequence[_Weighed], question: Question) -> tuple[Scores, RowNumbers]:
    """Return the best rows of one part that pass, in no order; of equals those with the smallest ids."""
    sums, rows = _added(pieces, len(view.live))
    scores = sums.astype(np.float32)  # what callers see is what is ranked
    if question.wanted is not None and len(rows):
        passing = np.zeros(len(view.live), np.bool_)
        passing[view.matching(question.namespace, question.wanted)] = True
        scores, rows = scores[passing[rows]], rows[passing[rows]]
    if len(rows) > question.k:
        least = np.partition(scores, len(scores) - question.k)[len(scores) - question.k]
        better, equal = scores > least, rows[scores == least]
        equal = view.first_by_id(equal, question.k - int(np.count_nonzero(better)))
        scores = np.concatenate([scores[better], np.full(len(equal), least)])
        rows = np.concatenate([rows[better], equal])
    return scores, rows


def _added(pieces: Sequence[_Weighed], rows: int) -> tuple[bm25.Weights, RowNumbers]:
    """Return the rows that any piece has, ascending, and their sums, each added in the pieces' order."""
    total = sum(len(piece.rows) for piece in pieces)
    if total * _SPARSE >= rows:
        sums = np.zeros(rows)
        for piece in pieces:
            sums[piece.rows] += piece.weights
        found = np.flatnonzero(sums)
        return sums[found], found
    every = np.concatenate([piece.rows for piece in pieces]) if pieces else np.zeros(0, np.uint32)
    distinct, places = np.unique(every, return_inverse=True)
    weights = np.concatenate([piece.weights for piece in pieces]) if pieces else np.zeros(0)
    added: bm25.Weights = np.bincount(places, weights, len(distinct)).astype(np.float64)
    return added, distinct.astype(np.int64)


def _merged(state: Snapshot, best: Iterable[tuple[Scores, RowNumbers]], k: int) -> tuple[Scores, Place]:
    """Return the best of all parts: by score, equals by id."""
    found = list(best)
    scores = np.concatenate([scores for scores, _ in found])
    rows = np.concatenate([rows for _, rows in found])
    parts = np.repeat(np.arange(len(found)), [len(rows) for _, rows in found])
    ids = state.take(Place(parts, rows), part.Fields(values=False, metadata=False)).ids
    order = sorted(range(len(ids)), key=lambda at: (-scores[at], ids[at]))[:k]
    return scores[order], Place(parts[order], rows[order])
