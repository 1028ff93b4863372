"""`/query`: the best rows by vector, vector fields, text, or several of these; ordered anew, or grouped."""

from collections.abc import Awaitable
from typing import Protocol

import msgspec

from .. import call, consistency, explaining, fusion, index, metrics, questions, replies, routing, schemas
from ..caching import cache, keys
from ..embedding import wire
from . import grouped

_query = schemas.decoder(schemas.Query)


class Telling(Protocol):
    """How an answer is told; `key` tells two tellings of one answer apart."""

    @property
    def key(self) -> str:
        """One of its own."""
        ...

    def tell(self, answer: replies.Answer, read_units: int) -> replies.Reply:
        """Return the answer."""
        ...


class _AsMatches:
    key = ""
    tell = staticmethod(replies.matches)


def query(asked: call.Call, served: index.Index) -> Awaitable[replies.Reply]:
    """Find the best rows. An id that does not exist is near to nothing: the answer is empty."""
    return answer(asked, served, _query(asked.body), _AsMatches())


async def answer(
    asked: call.Call, served: index.Index, request: schemas.Query, telling: Telling
) -> replies.Reply:
    """Find the best rows for a query, and tell them."""
    name = schemas.given(request.namespace) or ""
    namespace = asked.namespace(name)
    with metrics.search(namespace):
        question = questions.parse(request, namespace, served.config)
        del request  # its numbers are as large as all the rest, and others' would find no room in the caches
        if question.row_id is not None:
            rows = await served.fetch(namespace, [question.row_id], asked.remaining())
            if not rows or rows[0].values is None:
                return telling.tell(_nothing(question, name), 1)
            question.with_row(rows[0], served.generation)
        course = explaining.Course()
        if question.embed is not None:
            embedded = await served.embed([question.embed], wire.Role.QUERY, asked.remaining())
            question.with_values(embedded.vectors[0])
            course = explaining.Course(embedded=embedded)
        whole = _Asked(asked, served, question, name, telling)
        # What a caller demands of a read is asked of the shards themselves.
        if served.cache is not None and question.group_by is None and not consistency.current().demands:
            return await _from(served.cache, whole, course)
        return _told(await _answer(whole, course), whole)


def _nothing(question: questions.Question, name: str) -> replies.Answer:
    return replies.Answer([], name, {}, groups=None if question.group_by is None else [])


class _Asked(msgspec.Struct, frozen=True):
    """A question and who is asked; `name` is the namespace as the caller wrote it."""

    call: call.Call
    served: index.Index
    question: questions.Question
    name: str
    telling: Telling


async def _from(kept: cache.ResultCache, asked: _Asked, course: explaining.Course) -> replies.Reply:
    """Return a kept answer that still holds, or one that is kept from now on."""
    key, question = keys.key_of(asked.question, asked.name, asked.telling.key), asked.question
    found = await kept.find(key, asked.call.remaining())
    if found is not None:
        told = explaining.cached(found.at, kept.now() - found.made) if question.explain else {}
        return replies.again(found.body, told)
    started = kept.now()
    fresh = await _answer(asked, msgspec.structs.replace(course, looked_up=True))
    if fresh.at is not None:
        plain = msgspec.structs.replace(fresh, explanation={})
        kept.put(key, _told(plain, asked).body, fresh.at, started)
    return _told(fresh, asked)


def _told(found: replies.Answer, asked: _Asked) -> replies.Reply:
    if found.missing:
        metrics.PARTIAL_ANSWERS.inc()
    return asked.telling.tell(found, asked.served.shards - len(found.missing))


async def _answer(asked: _Asked, course: explaining.Course) -> replies.Answer:
    question, served, name = asked.question, asked.served, asked.name
    if question.group_by is not None and question.fusion is None:
        found_groups = await grouped.search(asked.call, served, question, question.group_by)
        return _grouped(question, found_groups, name, course)
    queries = list(question.queries.values())
    found = await served.search(queries, asked.call.remaining(), partial=question.partial)
    lists = dict(zip(question.queries, found, strict=True))
    if question.explain:
        course = msgspec.structs.replace(course, lists=lists)
    if question.group_by is not None:
        return _grouped(question, grouped.of_fused(question, lists, question.group_by), name, course)
    matches = _merge(question, lists)
    if question.rerank is not None:
        left = asked.call.remaining()
        reranked = await served.rerank(question.rerank, matches, question.top_k, left)
        matches = list(reranked.matches)
        course = msgspec.structs.replace(course, reranked=reranked)
    missing = {number: why for one in found for number, why in one.missing.items()}
    alike = not missing and all(one.at == found[0].at for one in found)
    at = found[0].at if alike else None
    return replies.Answer(matches, name, explaining.explain(question, course), missing, at=at)


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
        return list(map(fusion.Fused, only.hits))
    depth = question.top_k if question.rerank is None else question.rerank.candidates
    return fusion.fuse({source: found.hits for source, found in lists.items()}, question.fusion, depth)
