"""The postings of one text field of a growing segment: appended by the writer, read up to some row.

Readers copy what they need of lists that only grow, so neither waits for the other.
"""

import bisect
import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .. import filters
from ..text import analysis, postings

_BYTES_PER_POSTING = 24  # two list entries of eight bytes, and a part of what holds them


class GrowingText:
    """One field.

    Args:
        field: of the metadata.
        analyzer: of the index's language.
    """

    def __init__(self, field: str, analyzer: analysis.Analyzer) -> None:
        self._field = field
        self._analyzer = analyzer
        self._rows: dict[int, list[int]] = {}
        self._counts: dict[int, list[int]] = {}
        self._texts: list[list[int]] = []
        self._lengths = np.zeros(256, np.uint32)

    def append(self, metadata: Sequence[filters.Metadata | None]) -> int:
        """Append rows; returns the bytes that they take."""
        added = 0
        for row in metadata:
            text = self._analyzer.terms_of(row, self._field)
            number = len(self._texts)
            counted = Counter(text)
            for term, count in counted.items():
                # Counts first: who finds a row finds its count.
                self._counts.setdefault(term, []).append(count)
                self._rows.setdefault(term, []).append(number)
            self._note_length(number, len(text))
            self._texts.append(text)
            added += _BYTES_PER_POSTING * len(counted) + 8 * len(text)
        return added

    def _note_length(self, row: int, length: int) -> None:
        if row == len(self._lengths):
            self._lengths = np.concatenate([self._lengths, np.zeros_like(self._lengths)])
        self._lengths[row] = length

    def lengths(self, limit: int) -> npt.NDArray[np.uint32]:
        """Return how many terms each of the first `limit` rows has."""
        return self._lengths[:limit]

    def first(self, limit: int) -> "GrowingTexts":
        """Return the texts of the first `limit` rows."""
        return GrowingTexts(self, limit)

    def find(self, term: int, limit: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Return which of the first `limit` rows have a term, ascending, and how often."""
        rows = self._rows.get(term)
        if rows is None:
            nothing = np.zeros(0, np.uint32)
            return nothing, nothing
        stop = bisect.bisect_left(rows, limit)
        return np.array(rows[:stop], np.uint32), np.array(self._counts[term][:stop], np.uint32)

    def terms(self, limit: int) -> Sequence[Sequence[int]]:
        """Return the terms of the first `limit` rows, in order."""
        return self._texts[:limit]


@dataclasses.dataclass(frozen=True)
class GrowingTexts:
    """The texts of the first rows, see `part.Texts`."""

    text: GrowingText
    limit: int

    @property
    def lengths(self) -> npt.NDArray[np.uint32]:
        """How many terms each row has."""
        return self.text.lengths(self.limit)

    def find(self, term: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Return the rows that have a term, ascending, and how often."""
        return self.text.find(term, self.limit)

    def postings(self) -> postings.Postings:
        """Return the postings of these rows."""
        return postings.of_rows(self.text.terms(self.limit))
