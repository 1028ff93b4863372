"""Two lists of matches, by vector and by text, become one. Pure.

Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009) looks at ranks alone:
    score = 1 / (k + rank by vector) + 1 / (k + rank by text)
The convex combination (Bruch, Gai and Ingber, TOIS 2023) looks at scores, each brought to 0 to 1:
    score = alpha * by vector + (1 - alpha) * by text
where a BM25 score is divided by the best (its least is 0), and a vector's counts from the list's worst (0)
to its best (1), since the metrics have no least in common. A row that a list lacks gets nothing from it.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import numpy as np

from . import routing


class Method(StrEnum):
    """The formula."""

    RRF = "rrf"
    WEIGHTED = "weighted"


class Source(StrEnum):
    """Which list a match is from."""

    VECTOR = "vector"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Fusion:
    """How to fuse.

    Attributes:
        method: the formula.
        candidates: matches of each list that are looked at.
        k: of reciprocal rank fusion; the greater, the less the first ranks stand out.
        alpha: weight of the vector's list, 0 to 1; the text's has the rest.
    """

    method: Method
    candidates: int
    k: int = 60
    alpha: float = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a match stood in one list, from 1, and its score there; `sparse` as in `routing.Hit`."""

    rank: int
    score: np.float32
    sparse: np.float32 | None = None


class Fused(msgspec.Struct, frozen=True):
    """A match of the fused list; `hit.score` is the fused score, greater is better.

    Attributes:
        hit: the row and its score.
        places: where it stood in each list.
        before: where it stood before it was ordered anew, if it was.
    """

    hit: routing.Hit
    places: Mapping[Source, Place] = {}
    before: Place | None = None


def fuse(lists: Mapping[Source, Sequence[routing.Hit]], how: Fusion, top_k: int) -> list[Fused]:
    """Return the best of some lists, each best first; of equal scores the lower id comes first."""
    scores: dict[str, float] = {}
    for source, hits in lists.items():
        parts = _ranked(hits, how) if how.method is Method.RRF else _scored(source, hits, how)
        for hit, part in zip(hits, parts, strict=True):
            scores[hit.row.id] = scores.get(hit.row.id, 0.0) + part
    best = heapq.nsmallest(top_k, scores, key=lambda name: (-scores[name], name))
    rows, places = _placed(lists, set(best))
    return [Fused(routing.Hit(rows[name], np.float32(scores[name])), places[name]) for name in best]


def _placed(
    lists: Mapping[Source, Sequence[routing.Hit]], wanted: set[str]
) -> tuple[dict[str, routing.Row], dict[str, dict[Source, Place]]]:
    """Return the rows with these ids, and where each stood; few of those that were looked at are returned."""
    rows: dict[str, routing.Row] = {}
    places: dict[str, dict[Source, Place]] = {name: {} for name in wanted}
    for source, hits in lists.items():
        for rank, hit in enumerate(hits, 1):
            if hit.row.id in wanted:
                rows.setdefault(hit.row.id, hit.row)
                places[hit.row.id][source] = Place(rank, hit.score, hit.sparse)
    return rows, places


def _ranked(hits: Sequence[routing.Hit], how: Fusion) -> list[float]:
    return [1.0 / (how.k + rank) for rank in range(1, len(hits) + 1)]


def _scored(source: Source, hits: Sequence[routing.Hit], how: Fusion) -> list[float]:
    if not hits:
        return []
    weight = how.alpha if source is Source.VECTOR else 1.0 - how.alpha
    best = float(hits[0].score)
    worst = float(hits[-1].score) if source is Source.VECTOR else 0.0
    if best == worst:
        return [weight] * len(hits)
    return [weight * (float(hit.score) - worst) / (best - worst) for hit in hits]
