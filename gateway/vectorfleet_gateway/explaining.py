"""What is told of a query that asked to be explained, as JSON has it. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from . import fusion, questions, routing
from .embedding import embedder
from .reranking import order


class Course(msgspec.Struct, frozen=True):
    """What was done for a query.

    Attributes:
        lists: the matches by vector, by text, or both.
        embedded: what its text was embedded as, where it was.
        reranked: what ordering anew came to, where it was asked for.
        looked_up: whether the cache of answers was asked, and had none.
    """

    lists: Mapping[fusion.Source, routing.Found] = msgspec.field(default_factory=dict)
    embedded: embedder.Embedded | None = None
    reranked: order.Reranked | None = None
    looked_up: bool = False


def explain(question: questions.Question, course: Course) -> dict[str, Any]:
    """Return what was done for a query; empty where it was not asked."""
    if not question.explain:
        return {}
    told: dict[str, Any] = {
        str(source): {
            "candidates": len(found.hits),
            "milliseconds": _milliseconds(found.seconds),
            "shards": [orjson.Fragment(one) for one in found.explanations],
        }
        for source, found in course.lists.items()
    }
    if (embedded := course.embedded) is not None:
        told["embedding"] = {
            "milliseconds": _milliseconds(embedded.seconds),
            "cached": embedded.cached == 1,
        }
    if (how := question.fusion) is not None:
        own = {"k": how.k} if how.method is fusion.Method.RRF else {"alpha": how.alpha}
        told["fusion"] = {"method": how.method, "candidates": how.candidates, **own}
    if (again := question.rerank) is not None and (reranked := course.reranked) is not None:
        told["rerank"] = {
            "field": again.field,
            "candidates": again.candidates,
            "withoutText": reranked.without_text,
            "milliseconds": _milliseconds(reranked.seconds),
        }
    if course.looked_up:
        told["cache"] = {"hit": False}
    return told


def cached(at: Mapping[int, tuple[int, int]], age: float) -> dict[str, Any]:
    """Return what is told of an answer from the cache, `age` seconds old."""
    stood = [{"shard": shard, "epoch": epoch, "seq": seq} for shard, (epoch, seq) in sorted(at.items())]
    return {"cache": {"hit": True, "ageMilliseconds": _milliseconds(age), "positions": stood}}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
