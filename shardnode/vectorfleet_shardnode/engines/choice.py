"""Decides for one query on one segment: walk the graph, and how widely, or compare with every passing row.

Pure. A graph that is walked under a selector must look at about 1/share times as many candidates to find
the same number that pass; where few pass, comparing with all of them is cheaper and exact.
"""

import dataclasses

MAX_EF = 10_000
# A hop of the graph jumps to a cold cache line where a scan streams: measured at 784 and 384 dimensions.
_HOP_COST = 1.5


@dataclasses.dataclass(frozen=True)
class Question:
    """What is known before the search: rows that pass, nodes of the graph, k, efSearch, and the graph's M."""

    passing: int
    rows: int
    k: int
    ef: int
    m: int


def graph_ef(question: Question) -> int:
    """Return the efSearch to walk the graph with, or 0 to compare with every passing row."""
    if question.passing == 0:
        return 0
    share = question.passing / question.rows
    ef = int(max(question.ef, question.k) / share)
    compared = ef * question.m * _HOP_COST
    if ef > MAX_EF or question.passing <= compared:
        return 0
    return ef
