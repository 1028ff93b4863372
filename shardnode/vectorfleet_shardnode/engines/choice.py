"""Decides for one query on one segment how to find its best passing rows. Pure.

A graph that is walked under a selector must look at about 1/share times as many candidates to find the
same number that pass. Where few pass, comparing with all of them is cheaper and exact. Where fewer rows
pass around the query than elsewhere, they are fewer the nearer one looks, and the walk ends before it has
come to them: then passing rows of the nearest clusters are compared as well, the more the fewer pass there.
Costs are in rows compared.
"""

import dataclasses

MAX_EF = 10_000
# A hop of the graph jumps to a cold cache line where a scan streams: measured at 784 and 384 dimensions.
_HOP_COST = 1.5
# Passing candidates that a walk should meet, as a multiple of k and of efSearch: measured at many shares.
_MET_BY_K = 4
_MET_BY_EF = 0.4
# How common passing rows must be around the query, relative to elsewhere, for a walk to be trusted alone.
# Below it recall falls, however many passing rows are met: measured, see decision 5, as what follows.
_THIN = 0.9
_BESIDE_EF = 0.5  # of efSearch; the clusters find most of what the other half would
_HOLE = 0.1  # density below which a walk meets so few that it adds nothing to what the clusters find
_COMPARED_SHARE = 0.16  # of passing rows, in a hole; half of that where they are half as common, or more
_COMPARED_LEAST = 2_600
_CLUSTERS_COST = 2_000
# Rows that are screened: each, and what a query takes beside them, with those that are scored in full.
_SCREENED, _SCREENING = 0.35, 1_400


@dataclasses.dataclass(frozen=True)
class Question:
    """What is known before the search: rows that pass, nodes of the graph, k, efSearch, and the graph's M."""

    passing: int
    rows: int
    k: int
    ef: int
    m: int
    screened: bool = False
    """Whether rows that are compared are looked at by their signs first, see `signs`."""

    @property
    def share(self) -> float:
        """The share of all rows that pass."""
        return self.passing / self.rows


@dataclasses.dataclass(frozen=True)
class Plan:
    """Whether the engine is asked, and how many passing rows of the nearest clusters are compared.

    Where neither is done all passing rows are compared. Beside clusters the engine walks with `ef`; alone, as
    wide as it needs.
    """

    asks: bool
    compared: int = 0
    ef: int = 0


EXACT = Plan(asks=False)
ENGINE = Plan(asks=True)


def graph_ef(question: Question) -> int:
    """Return the efSearch to walk the graph with, or 0 to compare with every passing row."""
    if question.passing == 0:
        return 0
    ef = _wide_enough(question)
    if ef > MAX_EF or question.passing <= _walked(question, ef):
        return 0
    return ef


def trusts(density: float) -> bool:
    """Tell whether a walk finds the best passing rows by itself.

    Args:
        density: how common passing rows are around the query, relative to the whole segment.
    """
    return density >= _THIN


def _wide_enough(question: Question) -> int:
    """Return the efSearch at which enough rows that pass are met, were they as common everywhere."""
    least = max(question.ef, question.k)
    met = min(least, max(_MET_BY_K * question.k, _MET_BY_EF * question.ef))
    return int(max(least, met / question.share))


def compares_few(question: Question) -> bool:
    """Tell whether so few rows pass that nothing can be gained by looking at the clusters."""
    least = _walked(question, max(question.ef, question.k)) + _CLUSTERS_COST
    return _compared(question, question.passing) <= least


def plan(question: Question, density: float) -> Plan:
    """Return the cheapest way to search a segment that has clusters.

    Args:
        question: what is known of the segment.
        density: how common passing rows are around the query, relative to the whole segment.
    """
    near = _near(question, density)
    costs = {EXACT: _compared(question, question.passing)}
    costs[near] = _walked(question, near.ef) + _compared(question, near.compared) + _CLUSTERS_COST
    if trusts(density) and (ef := graph_ef(question)):
        costs[ENGINE] = _walked(question, ef)
    return min(costs, key=lambda way: costs[way])


def _near(question: Question, density: float) -> Plan:
    """Return a narrower walk, or none, and the more rows compared the thinner passing rows lie around."""
    thinness = max(0.5, 1 - density)
    compared = _COMPARED_LEAST + _MET_BY_K * question.k + int(_COMPARED_SHARE * thinness * question.passing)
    if density < _HOLE:
        return Plan(asks=False, compared=compared)
    return Plan(asks=True, compared=compared, ef=max(question.k, int(_BESIDE_EF * question.ef)))


def _compared(question: Question, rows: int) -> float:
    return min(rows, _SCREENING + _SCREENED * rows) if question.screened else rows


def _walked(question: Question, ef: int) -> float:
    return ef * question.m * _HOP_COST
