"""`/query`: the best rows by vector, vector fields, text, or several of these; ordered anew, or grouped."""

from .. import call, explaining, fusion, index, metrics, questions, replies, routing, schemas
from ..embedding import wire
from . import grouped

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
                return replies.matches(_nothing(question, name), read_units=1)
            question.with_values(rows[0].values)
        answer = await _answer(asked, served, question, name)
        metrics.PARTIAL_ANSWERS.inc(bool(answer.missing))
        return replies.matches(answer, read_units=served.shards - len(answer.missing))


def _nothing(question: questions.Question, name: str) -> replies.Answer:
    return replies.Answer([], name, {}, groups=None if question.group_by is None else [])


async def _answer(
    asked: call.Call, served: index.Index, question: questions.Question, name: str
) -> replies.Answer:
    embedded = reranked = None
    if question.embed is not None:
        embedded = await served.embed([question.embed], wire.Role.QUERY, asked.remaining())
        question.with_values(embedded.vectors[0])
    if question.group_by is not None and question.fusion is None:
        found_groups = await grouped.search(asked, served, question, question.group_by)
        return _grouped(question, found_groups, name, explaining.Course({}, embedded, None))
    queries = list(question.queries.values())
    found = await served.search(queries, asked.remaining(), partial=question.partial)
    lists = dict(zip(question.queries, found, strict=True))
    if question.group_by is not None:
        found_groups = grouped.of_fused(question, lists, question.group_by)
        return _grouped(question, found_groups, name, explaining.Course(lists, embedded, None))
    matches = _merge(question, lists)
    if question.rerank is not None:
        reranked = await served.rerank(question.rerank, matches, question.top_k, asked.remaining())
        matches = list(reranked.matches)
    missing = {number: why for one in found for number, why in one.missing.items()}
    told = explaining.explain(question, explaining.Course(lists, embedded, reranked))
    return replies.Answer(matches, name, told, missing)


def _grouped(
    question: questions.Question, found: grouped.Grouped, name: str, course: explaining.Course
) -> replies.Answer:
    told = explaining.explain(question, course)
    if question.explain:
        told |= {"groups": found.told}
    return replies.Answer([], name, told, found.missing, found.groups, found.complete)


def _merge(question: questions.Question, lists: dict[fusion.Source, routing.Found]) -> list[fusion.Fused]:
    if question.fusion is None:
        (only,) = lists.values()
        return [fusion.Fused(hit) for hit in only.hits]
    depth = question.top_k if question.rerank is None else question.rerank.candidates
    return fusion.fuse({source: found.hits for source, found in lists.items()}, question.fusion, depth)
