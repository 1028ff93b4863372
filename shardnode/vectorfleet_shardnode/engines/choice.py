"""Decides for one query on one segment how to find its best passing rows. Pure.

A graph that is walked under a selector must look at about 1/share times as many candidates to find the
same number that pass. Where few pass, comparing with all of them is cheaper and exact. Where fewer rows
pass around the query than elsewhere, the walk ends before it has come to them: then the clusters that hold
passing rows are compared as well. Costs are in rows compared.
"""

import dataclasses

MAX_EF = 10_000
# A hop of the graph jumps to a cold cache line where a scan streams: measured at 784 and 384 dimensions.
_HOP_COST = 1.5
# Passing candidates that a walk should meet, as a multiple of k and of efSearch, and the share around the
# query, relative to the whole, below which it can't be trusted: measured, see the benchmarks.
_MET_BY_K = 4
_MET_BY_EF = 0.4
_THIN = 0.9
_COMPARED_SHARE = 0.08
_COMPARED_LEAST = 2_600
_CLUSTERS_COST = 2_000


@dataclasses.dataclass(frozen=True)
class Question:
    """What is known before the search: rows that pass, nodes of the graph, k, efSearch, and the graph's M."""

    passing: int
    rows: int
    k: int
    ef: int
    m: int

    @property
    def share(self) -> float:
        """The share of all rows that pass."""
        return self.passing / self.rows


@dataclasses.dataclass(frozen=True)
class Plan:
    """Whether the engine is asked, and how many passing rows of the nearest clusters are compared beside it.

    Where it is not asked all passing rows are compared.
    """

    asks: bool
    compared: int = 0


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


def trusts(question: Question, near: float) -> bool:
    """Tell whether a walk meets enough passing rows where this share of those around the query pass."""
    return near * _wide_enough(question) >= _THIN * _met(question)


def _met(question: Question) -> float:
    """Return how many passing candidates a walk should meet."""
    least = max(question.ef, question.k)
    return min(least, max(_MET_BY_K * question.k, _MET_BY_EF * question.ef))


def _wide_enough(question: Question) -> int:
    """Return the efSearch at which so many are met, were passing rows the same share everywhere."""
    return int(max(question.ef, question.k, _met(question) / question.share))


def compares_few(question: Question) -> bool:
    """Tell whether so few rows pass that nothing can be gained by looking at the clusters."""
    least = _walked(question, max(question.ef, question.k)) + _CLUSTERS_COST
    return question.passing <= least


def plan(question: Question, near: float) -> Plan:
    """Return the cheapest way to search a segment that has clusters.

    Args:
        question: what is known of the segment.
        near: the share of the rows around the query that pass.
    """
    compared = int(_COMPARED_SHARE * question.passing) + _COMPARED_LEAST + _MET_BY_K * question.k
    beside = _walked(question, max(question.ef, question.k)) + compared + _CLUSTERS_COST
    costs = {EXACT: float(question.passing), Plan(asks=True, compared=compared): beside}
    if trusts(question, near) and (ef := graph_ef(question)):
        costs[ENGINE] = _walked(question, ef)
    return min(costs, key=lambda way: costs[way])


def _walked(question: Question, ef: int) -> float:
    return ef * question.m * _HOP_COST
