"""`/query`: the best rows by vector, by vector fields, by text, or by several of these, and ordered anew."""

from .. import call, explaining, fusion, index, metrics, questions, replies, routing, schemas
from ..embedding import wire

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
        return await _answer(asked, served, question, name)


async def _answer(
    asked: call.Call, served: index.Index, question: questions.Question, name: str
) -> replies.Reply:
    embedded = reranked = None
    if question.embed is not None:
        embedded = await served.embed([question.embed], wire.Role.QUERY, asked.remaining())
        question.with_values(embedded.vectors[0])
    queries = list(question.queries.values())
    found = await served.search(queries, asked.remaining(), partial=question.partial)
    lists = dict(zip(question.queries, found, strict=True))
    matches = _merge(question, lists)
    if question.rerank is not None:
        reranked = await served.rerank(question.rerank, matches, question.top_k, asked.remaining())
        matches = list(reranked.matches)
    missing = {number: why for one in found for number, why in one.missing.items()}
    metrics.PARTIAL_ANSWERS.inc(bool(missing))
    told = explaining.explain(question, explaining.Course(lists, embedded, reranked))
    answer = replies.Answer(matches, name, told, missing)
    return replies.matches(answer, read_units=served.shards - len(missing))


def _merge(question: questions.Question, lists: dict[fusion.Source, routing.Found]) -> list[fusion.Fused]:
    if question.fusion is None:
        (only,) = lists.values()
        return [fusion.Fused(hit) for hit in only.hits]
    depth = question.top_k if question.rerank is None else question.rerank.candidates
    return fusion.fuse({source: found.hits for source, found in lists.items()}, question.fusion, depth)
