"""`/query`: the best rows by vector, by vector fields, by text, or by vector and text together."""

from typing import Any

import orjson

from .. import call, fusion, index, metrics, questions, replies, routing, schemas
from ..embedding import embedder, wire

_query = schemas.decoder(schemas.Query)


async def query(asked: call.Call, served: index.Index) -> replies.Reply:
    """Find the best rows. An id that does not exist is near to nothing: the answer is empty."""
    request: schemas.Query = _query(asked.body)
    name = schemas.given(request.namespace) or ""
    namespace = asked.namespace(name)
    with metrics.search(namespace):
        question = questions.parse(request, namespace, served.config)
        if question.row_id is not None:
            rows = await served.fetch(namespace, [question.row_id], asked.remaining())
            if not rows or rows[0].values is None:
                return replies.matches(replies.Answer([], name, {}), read_units=1)
            question.with_values(rows[0].values)
        embedded = None
        if question.embed is not None:
            embedded = await served.embed([question.embed], wire.Role.QUERY, asked.remaining())
            question.with_values(embedded.vectors[0])
        queries = list(question.queries.values())
        found = await served.search(queries, asked.remaining(), partial=question.partial)
        lists = dict(zip(question.queries, found, strict=True))
        missing = {number: why for one in found for number, why in one.missing.items()}
        metrics.PARTIAL_ANSWERS.inc(bool(missing))
        told = _explain(question, lists, embedded)
        answer = replies.Answer(_merge(question, lists), name, told, missing)
        return replies.matches(answer, read_units=served.shards - len(missing))


def _merge(question: questions.Question, lists: dict[fusion.Source, routing.Found]) -> list[fusion.Fused]:
    if question.fusion is None:
        (only,) = lists.values()
        return [fusion.Fused(hit) for hit in only.hits]
    return fusion.fuse(
        {source: found.hits for source, found in lists.items()}, question.fusion, question.top_k
    )


def _explain(
    question: questions.Question,
    lists: dict[fusion.Source, routing.Found],
    embedded: embedder.Embedded | None,
) -> dict[str, Any]:
    """Return what was done for a query, as JSON has it; empty where it was not asked."""
    if not question.explain:
        return {}
    told: dict[str, Any] = {
        str(source): {
            "candidates": len(found.hits),
            "milliseconds": round(found.seconds * 1000, 3),
            "shards": [orjson.Fragment(one) for one in found.explanations],
        }
        for source, found in lists.items()
    }
    if embedded is not None:
        took = round(embedded.seconds * 1000, 3)
        told["embedding"] = {"milliseconds": took, "cached": embedded.cached == 1}
    how = question.fusion
    if how is not None:
        own = {"k": how.k} if how.method is fusion.Method.RRF else {"alpha": how.alpha}
        told["fusion"] = {"method": how.method, "candidates": how.candidates, **own}
    return told
