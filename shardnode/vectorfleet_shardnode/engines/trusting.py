"""Tells whether candidates that a code has chosen can be trusted to hold the best rows. Pure.

How far estimates are off shows where candidates are scored exactly. A row that is no candidate is estimated
worse than the worst candidate; where that is nearer to the score of the last match than estimates are
off, such a row may well be a better match. It is so where many rows are about equally far from the query, as
under a filter that leaves far rows only.
"""

import numpy as np

from ..arrays import Mask, Scores

_ERRORS = 1.0
"""How many standard errors of an estimate must lie between the last match and the worst candidate."""


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
