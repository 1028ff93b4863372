"""Postings: for each term of a text field the rows that have it, and how often. Pure arrays.

Rule: rows ascend within a term, and terms within the whole, so that a term is found by binary search, a
namespace's rows are one run of each term's, and two builds of the same rows are equal byte for byte.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..arrays import RowNumbers

Terms = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.uint32]


@dataclasses.dataclass(frozen=True)
class Postings:
    """The terms of some rows' texts.

    Attributes:
        terms: hashes of the terms, ascending.
        starts: (terms + 1,) where each term's postings begin.
        rows: rows that have the term.
        counts: how often each has it.
        lengths: how many terms each row's text has; 0 where it has none.
    """

    terms: Terms
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.uint32]
    counts: Counts
    lengths: Counts

    def find(self, term: int) -> tuple[npt.NDArray[np.uint32], Counts]:
        """Return the rows that have a term, ascending, and how often."""
        at = int(np.searchsorted(self.terms, np.uint64(term)))
        if at == len(self.terms) or int(self.terms[at]) != term:
            return self.rows[:0], self.counts[:0]
        run = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return self.rows[run], self.counts[run]


@dataclasses.dataclass(frozen=True)
class Source:
    """Postings of one part, and those of its rows that are wanted."""

    postings: Postings
    rows: RowNumbers


def of_rows(texts: Sequence[Sequence[int]]) -> Postings:
    """Return the postings of rows whose texts are lists of terms."""
    lengths = np.fromiter(map(len, texts), np.uint32, len(texts))
    terms = np.fromiter((term for text in texts for term in text), np.uint64, int(lengths.sum()))
    rows = np.repeat(np.arange(len(texts), dtype=np.uint32), lengths)
    order = np.lexsort((rows, terms))
    terms, rows = terms[order], rows[order]
    first = np.ones(len(terms), np.bool_)
    first[1:] = (terms[1:] != terms[:-1]) | (rows[1:] != rows[:-1])
    starts = np.flatnonzero(first)
    counts = np.diff(starts, append=len(terms)).astype(np.uint32)
    return _grouped(terms[starts], rows[starts], counts, lengths)


def merged(sources: Sequence[Source], order: RowNumbers) -> Postings:
    """Return the postings of the sources' rows, concatenated and in this order."""
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    lengths = np.concatenate([source.postings.lengths[source.rows] for source in sources])[order]
    terms, rows, counts, start = [], [], [], 0
    for source in sources:
        held = source.postings
        moved = np.full(len(held.lengths), -1, np.int64)
        moved[source.rows] = places[start : start + len(source.rows)]
        start += len(source.rows)
        target = moved[held.rows]
        kept = target >= 0
        terms.append(np.repeat(held.terms, np.diff(held.starts))[kept])
        rows.append(target[kept].astype(np.uint32))
        counts.append(held.counts[kept])
    every, row = np.concatenate(terms), np.concatenate(rows)
    sorting = np.lexsort((row, every))
    return _grouped(every[sorting], row[sorting], np.concatenate(counts)[sorting], lengths)


def _grouped(terms: Terms, rows: npt.NDArray[np.uint32], counts: Counts, lengths: Counts) -> Postings:
    """Return postings that stand in order, one for each term and row, grouped by term."""
    distinct, first = np.unique(terms, return_index=True)
    starts = np.append(first, len(terms)).astype(np.int64)
    return Postings(distinct, starts, rows, counts, lengths)
