"""What a query asks: from its JSON to what shards are asked, by vector, vector fields, text, or both. Pure.

A part that would do nothing is refused, never ignored: weights without vectors, a fusion of one list.

A text is searched in each way that the index has: by words where it has text fields, by its vector where it
has an embedder. Beside a vector of the caller's own it is searched by words alone. `search` narrows that
down.
"""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from vectorfleet_shardnode.api import config, shard_pb2

from . import errors, fields, fusion, grouping, limits, routing, schemas, sparse
from .reranking import order

CANDIDATES = 100
"""Matches of each list that a fusion looks at, unless more are to be returned or it says so."""
ONLY_SPARSE = (
    "a sparse vector alone is not searched: send a vector with it. "
    # In Pinecone's words, for programs that look for them.
    "Cannot query index with dense 'vector_type' with only sparse vector"
)
RERANKED = 50
"""Matches that are ordered anew, unless more are to be returned or the query says so."""


class Question(msgspec.Struct, frozen=True):
    """One query.

    Attributes:
        queries: what shards are asked: by vector, by text, or both.
        row_id: the row whose values are yet to be put in as the vector; see `with_row`.
        embed: the text whose vector is yet to be put in; see `with_values`.
        fusion: how the two lists become one; None where there is one list.
        top_k: how many matches to return.
        explain: whether to tell what was done.
        partial: whether the answers of some shards are enough.
        rerank: how the first matches are ordered anew; None where they are not.
        group_by: how matches are grouped; None where they are not.
        includes_metadata: whether matches are returned with their metadata.
    """

    queries: Mapping[fusion.Source, shard_pb2.Query]
    row_id: str | None
    embed: str | None
    fusion: fusion.Fusion | None
    top_k: int
    explain: bool
    partial: bool = False
    rerank: order.Rerank | None = None
    group_by: grouping.GroupBy | None = None
    includes_metadata: bool = False

    def with_row(self, row: routing.Row, generation: config.Generation) -> None:
        """Put in the values of the row that the query names, the sparse ones too."""
        if row.pairs is not None:
            _add_sparse(self.queries[fusion.Source.VECTOR], row.pairs, generation)
        if row.values is not None:
            self.with_values(row.values)

    def with_values(self, values: NDArray[np.float32]) -> None:
        """Put in the vector, such as what the query's text was embedded as."""
        data = values.astype("<f4", copy=False).tobytes()
        query = self.queries[fusion.Source.VECTOR]
        for part in query.parts:
            if not part.field:
                part.vectors = data
                return
        query.vector = data


def parse(request: schemas.Query, namespace: str, index: config.IndexConfig) -> Question:
    """Return what a request asks.

    Raises:
        InvalidArgumentError: it contradicts itself, or is not what the index takes.
    """
    limits.check_range("topK", request.top_k, 1, limits.MAX_TOP_K)
    template = _template(request, namespace)
    text = schemas.given(request.text)
    ways = _ways(request, index)
    by_text = None
    if fusion.Source.TEXT in ways:
        by_text = shard_pb2.Query(text=text)
        by_text.MergeFrom(template)
    queries = {}
    by_vector = _by_vector(request, template, index.serving, embeds=fusion.Source.VECTOR in ways)
    if by_vector is not None:
        queries[fusion.Source.VECTOR] = by_vector
    if by_text is not None:
        queries[fusion.Source.TEXT] = by_text
    if not queries:
        raise errors.InvalidArgumentError("a query needs a vector, the id of a row, vectors, or text")
    rerank, group_by = _rerank(request, index), _group_by(request, index.metadata)
    depth = request.top_k if rerank is None else rerank.candidates
    fused = _fusion(request, len(queries), depth)
    for query in queries.values():
        query.top_k = depth if fused is None else fused.candidates
        if rerank is not None or group_by is not None:
            query.include_metadata = True
    return Question(
        queries,
        schemas.given(request.id),
        text if fusion.Source.VECTOR in ways else None,
        fused,
        request.top_k,
        explain=bool(schemas.given(request.explain)),
        partial=bool(schemas.given(request.allow_partial)),
        rerank=rerank,
        group_by=group_by,
        includes_metadata=bool(schemas.given(request.include_metadata)),
    )


def _template(request: schemas.Query, namespace: str) -> shard_pb2.Query:
    condition = schemas.given(request.filter)
    return shard_pb2.Query(
        namespace=namespace,
        top_k=request.top_k,
        filter=limits.filter_of(condition) if condition else b"",
        include_values=bool(schemas.given(request.include_values)),
        include_metadata=bool(schemas.given(request.include_metadata)),
        explain=bool(schemas.given(request.explain)),
    )


def _ways(request: schemas.Query, index: config.IndexConfig) -> frozenset[fusion.Source]:
    """Return how the text is searched: by its vector, its words, or both; in no way where there is none."""
    text, search = schemas.given(request.text), schemas.given(request.search)
    if text is None:
        if search is not None:
            raise errors.InvalidArgumentError("search says how a text is searched; this query has no text")
        return frozenset()
    limits.check_text(text)
    has_values = schemas.given(request.vector) is not None or schemas.given(request.id) is not None
    has_vector = has_values or bool(schemas.given(request.vectors))
    if search is None:
        return _own_ways(index, has_vector=has_vector)
    if search == "text" and has_vector:
        raise errors.InvalidArgumentError(
            "search: text leaves out the query's vector; leave out the vector, or search: hybrid"
        )
    if search == "vector" and has_values:
        raise errors.InvalidArgumentError(
            "search: vector leaves out the query's text, which has a vector already; leave out one of the two"
        )
    ways = {fusion.Source.TEXT} if search != "vector" else set()
    if search != "text" and not has_values:
        ways.add(fusion.Source.VECTOR)
    _check_ways(ways, index)
    return frozenset(ways)


def _own_ways(index: config.IndexConfig, *, has_vector: bool) -> frozenset[fusion.Source]:
    ways = {fusion.Source.TEXT} if index.metadata.text else set()
    if index.embedder is not None and not has_vector:
        ways.add(fusion.Source.VECTOR)
    if not ways:
        _check_ways({fusion.Source.TEXT}, index)
    return frozenset(ways)


def _check_ways(ways: set[fusion.Source], index: config.IndexConfig) -> None:
    if fusion.Source.TEXT in ways and not index.metadata.text:
        raise errors.InvalidArgumentError(
            "the index has no text field to search: name the metadata fields that hold text in its schema"
        )
    if fusion.Source.VECTOR in ways and index.embedder is None:
        raise errors.InvalidArgumentError(
            "the index has no embedder, so a text has no vector: name one in its manifest, or send a vector"
        )


def _by_vector(
    request: schemas.Query, query: shard_pb2.Query, generation: config.Generation, *, embeds: bool
) -> shard_pb2.Query | None:
    """Return `query` with all that is asked by vector; None where nothing is."""
    values, row_id = schemas.given(request.vector), schemas.given(request.id)
    params = schemas.given(request.params)
    if values is not None and row_id is not None:
        raise errors.InvalidArgumentError("a query needs a vector, or the id of a row, and not both")
    if row_id is not None:
        limits.check_id(row_id)
    if values is not None:
        (vector,) = limits.vectors_of([("the query", values)], generation.dimensions, generation.metric)
        query.vector = vector.tobytes()
    later = embeds or row_id is not None
    _weigh(request, query, generation, later=later)
    nothing = not query.vector and not query.parts and not later
    if nothing and schemas.given(request.sparse_vector) is not None:
        raise errors.InvalidArgumentError(ONLY_SPARSE)
    if (pairs := _sparse(request, generation)) is not None:
        _add_sparse(query, pairs, generation)
    if nothing:
        if params is not None:
            raise errors.InvalidArgumentError("params is of a search by vector; this query has none")
        return None
    _set_effort(query, generation)
    if params is not None:
        _set_params(params, query)
    return query


def _sparse(request: schemas.Query, generation: config.Generation) -> sparse.Pairs | None:
    given = schemas.given(request.sparse_vector)
    if given is None:
        return None
    if schemas.given(request.id) is not None:
        raise errors.InvalidArgumentError(
            "a query by the id of a row takes the row's own sparse values; leave out sparseVector, or the id"
        )
    return sparse.parse("the query: sparseVector", given.indices, given.values, generation)


def _add_sparse(query: shard_pb2.Query, pairs: sparse.Pairs, generation: config.Generation) -> None:
    """Turn a query into a sum, if it is none yet, of which sparse values are a term."""
    if not query.parts:
        query.parts.add(vectors=query.vector, weight=1)
        query.ClearField("vector")
        if query.oversampling == generation.quantization.oversampling:
            query.ClearField("oversampling")  # of a sum, shards look as deep as they need
    query.parts.append(sparse.part_of(pairs))


def _weigh(
    request: schemas.Query, query: shard_pb2.Query, generation: config.Generation, *, later: bool
) -> None:
    """Turn a query that has vector fields into a weighted sum; its vector, had now or later, is a term."""
    named, weights = schemas.given(request.vectors), dict(schemas.given(request.weights) or {})
    if not named:
        if weights:
            raise errors.InvalidArgumentError("weights is of a query with vectors; this one has none")
        return
    found = fields.parse("the query", named, generation, limits.MAX_QUERY_TOKENS)
    if empty := [name for name, vectors in found.items() if not vectors.size]:
        raise errors.InvalidArgumentError(f"the query: vectors.{empty[0]} is empty; leave it out")
    parts = {name: vectors.tobytes() for name, vectors in found.items()}
    if query.vector or later:
        parts[config.VALUES] = query.vector
        query.ClearField("vector")
    if unknown := [name for name in weights if name not in parts]:
        raise errors.InvalidArgumentError(
            f"weights.{unknown[0][:64]} has no vector in the query; its vectors are: {', '.join(parts)}"
        )
    for name, data in parts.items():
        weight = weights.get(name, 1.0)
        limits.check_weight(f"weights.{name}", weight)
        query.parts.add(field="" if name == config.VALUES else name, vectors=data, weight=weight)


def _set_effort(query: shard_pb2.Query, generation: config.Generation) -> None:
    """Say how hard to search by the index's own configuration: when it changes, no shard need restart."""
    if generation.engine in (config.EngineKind.HNSW, config.EngineKind.HNSWLIB):
        query.ef_search = generation.hnsw.ef_search
    if generation.engine in (config.EngineKind.IVF, config.EngineKind.GPU):
        query.probes = generation.ivf.probes
    # Of a weighted sum, shards look as deep as they need, unless the query says how deep.
    if generation.quantization.kind is not config.QuantizationKind.NONE and not query.parts:
        query.oversampling = generation.quantization.oversampling


def _set_params(params: schemas.SearchParams, query: shard_pb2.Query) -> None:
    query.exact = bool(schemas.given(params.exact))
    for name, field, value, most in (
        ("efSearch", "ef_search", schemas.given(params.ef_search), limits.MAX_EF_SEARCH),
        ("probes", "probes", schemas.given(params.probes), limits.MAX_PROBES),
        ("oversampling", "oversampling", schemas.given(params.oversampling), limits.MAX_OVERSAMPLING),
    ):
        if value is not None:
            limits.check_range(f"params.{name}", value, 1, most)
            setattr(query, field, value)


def _rerank(request: schemas.Query, index: config.IndexConfig) -> order.Rerank | None:
    given = schemas.given(request.rerank)
    if given is None:
        return None
    if index.reranker is None:
        raise errors.InvalidArgumentError(
            "the index has no reranker: name one in its manifest, or leave rerank out"
        )
    own, text = schemas.given(given.query), schemas.given(request.text)
    query = text if own is None else own
    if query is None:
        raise errors.InvalidArgumentError("rerank.query is needed where a query has no text")
    limits.check_text(query)
    candidates = schemas.given(given.candidates)
    candidates = max(request.top_k, RERANKED) if candidates is None else candidates
    limits.check_range("rerank.candidates", candidates, request.top_k, limits.MAX_RERANKED)
    field = schemas.given(given.field) or index.reranker.field or index.text_field
    return order.Rerank(query, field, candidates, bool(schemas.given(request.include_metadata)))


def _fusion(request: schemas.Query, lists: int, depth: int) -> fusion.Fusion | None:
    given = schemas.given(request.fusion)
    if lists < 2:
        if given is not None:
            raise errors.InvalidArgumentError(
                "fusion is of a query by vector and text; this one has one list"
            )
        return None
    given = given or schemas.Fusion()
    k, alpha = schemas.given(given.k), schemas.given(given.alpha)
    method = fusion.Method(schemas.given(given.method) or fusion.Method.RRF)
    if method is fusion.Method.RRF and alpha is not None:
        raise errors.InvalidArgumentError("fusion.alpha is of the method weighted, and k of rrf")
    if method is fusion.Method.WEIGHTED and k is not None:
        raise errors.InvalidArgumentError("fusion.k is of the method rrf, and alpha of weighted")
    candidates = schemas.given(given.candidates)
    candidates = max(depth, CANDIDATES) if candidates is None else candidates
    limits.check_range("fusion.candidates", candidates, depth, limits.MAX_TOP_K)
    k, alpha = 60 if k is None else k, 0.5 if alpha is None else alpha
    limits.check_range("fusion.k", k, 1, limits.MAX_RRF_K)
    limits.check_range("fusion.alpha", alpha, 0, 1)
    return fusion.Fusion(method, candidates, k, alpha)


def _group_by(request: schemas.Query, schema: config.Schema) -> grouping.GroupBy | None:
    given = schemas.given(request.group_by)
    if given is None:
        return None
    if schemas.given(request.rerank) is not None:
        raise errors.InvalidArgumentError("rerank orders one list of matches; leave out rerank or groupBy")
    if not given.field or given.field.startswith("$"):
        raise errors.InvalidArgumentError(
            f"groupBy.field is {given.field[:64]!r}; it must be the name of a metadata field"
        )
    limits.check_range("topK, with groupBy the number of groups,", request.top_k, 1, limits.MAX_GROUPS)
    rows = schemas.given(given.rows)
    rows = 1 if rows is None else rows
    limits.check_range("groupBy.rows", rows, 1, limits.MAX_GROUP_ROWS)
    kind = next((one.type for one in schema.fields if one.name == given.field), None)
    return grouping.GroupBy(given.field, request.top_k, rows, kind)
