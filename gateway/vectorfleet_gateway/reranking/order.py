"""What is to be ordered anew, and what it comes to. Pure.

A row without a text in the field has nothing that could be judged: it is left out, and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import orjson

from .. import fusion, routing


@dataclass(frozen=True, slots=True)
class Rerank:
    """How to order anew.

    Attributes:
        query: what texts are compared with.
        field: the metadata field that holds a row's text.
        candidates: how many of the first matches are looked at.
        shows_metadata: whether the answer is to have the matches' metadata.
    """

    query: str
    field: str
    candidates: int
    shows_metadata: bool


@dataclass(frozen=True, slots=True)
class Reranked:
    """What it came to.

    Attributes:
        matches: best first; scores are the service's, and `before` says where a match stood.
        without_text: how many were left out.
        seconds: that it took.
    """

    matches: Sequence[fusion.Fused]
    without_text: int
    seconds: float


def texts_of(matches: Sequence[fusion.Fused], field: str) -> list[str]:
    """Return each match's text, empty where it has none; a list of strings is one text."""
    return [_text(match.hit.row.metadata, field) for match in matches]


def reorder(
    matches: Sequence[fusion.Fused], scores: Sequence[float | None], how: Rerank, top_k: int
) -> list[fusion.Fused]:
    """Return the best matches by their new scores; of equals, whichever stood first. None is left out."""
    ranked = [
        (-score, place, match)
        for place, (match, score) in enumerate(zip(matches, scores, strict=True), 1)
        if score is not None
    ]
    ranked.sort(key=lambda one: one[:2])
    return [_judged(match, -worst, place, how) for worst, place, match in ranked[:top_k]]


def _judged(match: fusion.Fused, score: float, place: int, how: Rerank) -> fusion.Fused:
    row = match.hit.row if how.shows_metadata else msgspec.structs.replace(match.hit.row, metadata=b"")
    before = fusion.Place(place, match.hit.score)
    return msgspec.structs.replace(match, hit=routing.Hit(row, np.float32(score)), before=before)


def _text(metadata: bytes, field: str) -> str:
    value = orjson.loads(metadata).get(field) if metadata else None
    if isinstance(value, list):
        value = " ".join(one for one in value if isinstance(one, str))
    return value if isinstance(value, str) and value.strip() else ""
