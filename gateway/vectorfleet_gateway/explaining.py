"""What is told of a query that asked to be explained, as JSON has it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from . import fusion, questions, routing
from .embedding import embedder
from .reranking import order


@dataclass(frozen=True, slots=True)
class Course:
    """What was done for a query.

    Attributes:
        lists: the matches by vector, by text, or both.
        embedded: what its text was embedded as, where it was.
        reranked: what ordering anew came to, where it was asked for.
    """

    lists: Mapping[fusion.Source, routing.Found]
    embedded: embedder.Embedded | None = None
    reranked: order.Reranked | None = None


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
    return told


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
