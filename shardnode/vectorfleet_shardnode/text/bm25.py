"""BM25: how well a row's text answers some terms. Pure.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), in Lucene's form:

    score = Σ over terms   idf(t) · tf / (tf + k1 · (1 - b + b · length / average length))
    idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5))

N, df and the average are those of the live rows of the namespace that have text in the field, counted at the
query: a pure function of what is stored, whatever segments it is in. Sums are in float64 and in the order of
the terms, so equal rows score equally bit by bit on every replica.
"""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ..api import config

Weights = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Of one field in one namespace: live rows that have text, and terms of all of them."""

    rows: int
    terms: int

    def plus(self, other: "Statistics") -> "Statistics":
        """Return those of both."""
        return Statistics(self.rows + other.rows, self.terms + other.terms)


def summed(each: Iterable[Statistics]) -> Statistics:
    """Return the statistics of all parts together."""
    total = Statistics(0, 0)
    for one in each:
        total = total.plus(one)
    return total


def idf(rows: int, having: int) -> float:
    """Return how much a term tells that `having` of `rows` rows have."""
    return math.log(1 + (rows - having + 0.5) / (having + 0.5))


def weights(
    counts: npt.NDArray[np.uint32],
    lengths: npt.NDArray[np.uint32],
    statistics: Statistics,
    parameters: config.Bm25Parameters,
) -> Weights:
    """Return the second factor of the score for each row that has a term.

    Args:
        counts: how often each row has it, 1 or more.
        lengths: how many terms each row's text has.
        statistics: of the field.
        parameters: k1 and b.
    """
    k1, b = parameters.k1, parameters.b
    average = statistics.terms / max(1, statistics.rows)
    often = counts.astype(np.float64)
    return often / (often + k1 * (1 - b + b * lengths.astype(np.float64) / average))
