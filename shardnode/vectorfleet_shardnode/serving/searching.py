"""A batch of queries against one state of the shard: what messages ask, and what is found, as messages."""

import time
from collections.abc import Sequence

from .. import errors, filters, text_search
from .. import shape as shapes
from ..api import config, effort, shard_pb2
from ..arrays import Scores
from ..multivector import question as parts_question
from ..multivector import search as parts_search
from ..segments import part
from ..snapshot import Place, Snapshot
from . import explaining, replying

MAX_TOP_K = 10_000
MAX_OVERSAMPLING = 100
_SHORT_TOP_K = 100


class Searches:
    """Answers searches of one shard, in any thread.

    Args:
        serving: what queries leave open.
        number: of the shard.
    """

    def __init__(self, serving: config.Generation, number: int) -> None:
        self._serving = serving
        self._number = number

    def answer(self, state: Snapshot, request: shard_pb2.SearchRequest) -> shard_pb2.SearchReply:
        """Answer a batch of queries, in order; blocks.

        Raises:
            BadRequestError: what is wrong with one of them, and what would be right.
        """
        started = time.perf_counter()
        reply = shard_pb2.SearchReply(position=replying.position(self._number, state))
        queries, results = list(request.queries), []
        for query in queries:
            results.append(matches := reply.results.add())
            if query.text:
                _fill(matches, state, text_search.search(state, _text_question(state, query)), query)
            if query.parts:
                _answer_parts(matches, state, self._parts_question(state, query), query)
        for numbers in _alike(queries).values():
            question = self._question(state, [queries[number] for number in numbers])
            for number, found in zip(numbers, state.search(question), strict=True):
                _fill(results[number], state, found, queries[number])
        took = explaining.Pass(len(results), time.perf_counter() - started)
        for query, matches in zip(queries, results, strict=True):
            if query.explain:
                matches.explanation = explaining.explain(state, query, self._number, took)
        return reply

    def is_short(self, request: shard_pb2.SearchRequest) -> bool:
        """Tell whether a search is one walk for a few rows: short, unless disk or new rows hold it up."""
        if len(request.queries) != 1:
            return False
        query = request.queries[0]
        if query.exact or query.text or query.parts or query.explain:
            return False
        return query.top_k <= _SHORT_TOP_K and not effort.is_great(query, self._serving)

    def _question(self, state: Snapshot, queries: list[shard_pb2.Query]) -> part.Question:
        first = queries[0]
        _check_top_k(first)
        data = b"".join(query.vector for query in queries)
        vectors = shapes.parse_vectors(data, len(queries), state.shape)
        return part.Question(
            namespace=first.namespace,
            queries=state.comparable(vectors),
            k=first.top_k,
            wanted=filters.parse(first.filter, state.shape.declared),
            ef=first.ef_search or self._serving.hnsw.ef_search,
            exact=first.exact,
            probes=first.probes or self._serving.ivf.probes,
            oversampling=_oversampling(first) or self._serving.quantization.oversampling,
            rescore=self._serving.quantization.rescore,
        )

    def _parts_question(self, state: Snapshot, query: shard_pb2.Query) -> parts_question.Question:
        if query.vector or query.text:
            raise errors.BadRequestError("a query has one of vector, parts and text; send one of them")
        _check_top_k(query)
        serving = self._serving
        terms = parts_question.parse_terms(query.parts, state.shape, exact=query.exact)
        oversampling = (query.oversampling, serving.quantization.oversampling)
        return parts_question.Question(
            namespace=query.namespace,
            terms=terms,
            k=query.top_k,
            wanted=filters.parse(query.filter, state.shape.declared),
            ef=query.ef_search or serving.hnsw.ef_search,
            depths=parts_question.depths_of(query.top_k, *oversampling, terms),
            exact=query.exact,
            sparse_vector=parts_question.parse_sparse(query.parts, state.shape),
        )


def _text_question(state: Snapshot, query: shard_pb2.Query) -> text_search.Question:
    if query.vector or query.parts:
        raise errors.BadRequestError("a query has one of vector, parts and text; send one of them")
    _check_top_k(query)
    wanted = filters.parse(query.filter, state.shape.declared)
    return text_search.Question(query.namespace, query.text, query.top_k, wanted)


def _alike(queries: Sequence[shard_pb2.Query]) -> dict[object, list[int]]:
    """Group the numbers of queries that differ in nothing but their vectors: one pass serves them all."""
    groups: dict[object, list[int]] = {}
    for number, query in enumerate(queries):
        if query.parts or query.text:
            continue  # each is answered alone
        effort = (query.top_k, query.ef_search, query.exact, query.probes, query.oversampling)
        groups.setdefault((query.namespace, query.filter, effort), []).append(number)
    return groups


def _check_top_k(query: shard_pb2.Query) -> None:
    if not 1 <= query.top_k <= MAX_TOP_K:
        raise errors.BadRequestError(f"top_k is {query.top_k}; 1 to {MAX_TOP_K} are possible")


def _oversampling(query: shard_pb2.Query) -> int:
    if query.oversampling > MAX_OVERSAMPLING:
        raise errors.BadRequestError(
            f"oversampling is {query.oversampling}; up to {MAX_OVERSAMPLING} is possible"
        )
    return query.oversampling


def _answer_parts(
    matches: shard_pb2.Matches, state: Snapshot, asked: parts_question.Question, query: shard_pb2.Query
) -> None:
    found = parts_search.search(state, asked)
    _fill(matches, state, found, query)
    if query.explain and asked.sparse_vector is not None:
        scores = parts_search.sparse_scores(state, asked.sparse_vector, found[1])
        matches.sparse_scores = scores.astype("<f4", copy=False).tobytes()


def _fill(
    matches: shard_pb2.Matches, state: Snapshot, found: tuple[Scores, Place], query: shard_pb2.Query
) -> None:
    """Write what was found into a message that stands in the reply already, so that nothing is copied."""
    scores, place = found
    matches.scores = scores.astype("<f4", copy=False).tobytes()
    replying.fill_rows(
        matches.rows, state.take(place, part.Fields(query.include_values, query.include_metadata))
    )
