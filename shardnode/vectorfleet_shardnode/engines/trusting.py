"""Tells whether candidates that a code has chosen can be trusted to hold the best rows. Pure.

How far estimates are off shows where candidates are scored exactly. A row that is no candidate is estimated
worse than the worst candidate; where that is nearer to the score of the last match than estimates are
off, such a row may well be a better match. It is so where many rows are about equally far from the query, as
under a filter that leaves far rows only.
"""

import math

import numpy as np

from ..arrays import Mask, Scores

_BOUND_ERRORS = 1.75
"""How many standard errors below the last match a row may be estimated and still be one of the best."""
_ERRORS = 1.0
"""How many standard errors of an estimate must lie between the last match and the worst candidate."""


def bound(exact: Scores, estimates: Scores, k: int) -> float:
    """Return the estimate from which on a row may be one of the `k` best.

    Args:
        exact: scores of some rows, greater is better.
        estimates: of the same rows.
        k: at most as many as they are.
    """
    last = np.partition(exact, -k)[-k]
    off = exact - estimates
    off -= off.sum() / len(off)  # numpy's own deviation takes twice as long for so few
    return float(last - _BOUND_ERRORS * math.sqrt((off @ off) / len(off)))


def doubtful(estimates: Scores, exact: Scores, k: int) -> Mask:
    """Tell for each query whether better rows may not be among its candidates.

    Args:
        estimates: (queries, candidates), greater is better.
        exact: the same candidates' scores, greater is better.
        k: how many matches are wanted, at most as many as candidates.
    """
    off = np.std(exact - estimates, axis=1)
    last = np.partition(exact, -k, axis=1)[:, -k]
    unsure: Mask = last - estimates.min(axis=1) < _ERRORS * off
    return unsure
