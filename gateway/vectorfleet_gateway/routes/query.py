"""`/query`: the nearest rows to a vector, or to a row that is named by its id."""

import numpy as np
from numpy.typing import NDArray

from vectorfleet_shardnode.api import shard_pb2

from .. import call, errors, index, limits, metrics, replies, schemas

_query = schemas.decoder(schemas.Query)


async def query(asked: call.Call, served: index.Index) -> replies.Reply:
    """Find the nearest rows. An id that does not exist has no nearest rows: the answer is empty."""
    request: schemas.Query = _query(asked.body)
    name = schemas.given(request.namespace) or ""
    namespace = limits.namespace_of(name)
    with metrics.search(namespace):
        question = _question(request, namespace)
        vector = await _vector(request, namespace, asked, served)
        if vector is None:
            return replies.matches([], name, read_units=1)
        question.vector = vector.astype("<f4", copy=False).tobytes()
        hits = await served.search(question, asked.remaining())
        return replies.matches(hits, name, read_units=served.shards)


def _question(request: schemas.Query, namespace: str) -> shard_pb2.Query:
    """Return the query that shards are asked, its vector apart."""
    schemas.refuse_sparse("query", request.sparse_vector)
    limits.check_top_k(request.top_k)
    condition = schemas.given(request.filter)
    params = schemas.given(request.params) or schemas.SearchParams()
    ef_search = schemas.given(params.ef_search)
    if ef_search is not None:
        limits.check_ef_search(ef_search)
    return shard_pb2.Query(
        namespace=namespace,
        top_k=request.top_k,
        filter=limits.filter_of(condition) if condition else b"",
        include_values=bool(schemas.given(request.include_values)),
        include_metadata=bool(schemas.given(request.include_metadata)),
        ef_search=ef_search or 0,
        exact=bool(schemas.given(params.exact)),
    )


async def _vector(
    request: schemas.Query, namespace: str, asked: call.Call, served: index.Index
) -> NDArray[np.float32] | None:
    """Return what to compare with, or None where it was to be a row that does not exist."""
    values, row_id = schemas.given(request.vector), schemas.given(request.id)
    if values is not None and row_id is None:
        generation = served.generation
        (vector,) = limits.vectors_of([("the query", values)], generation.dimensions, generation.metric)
        return np.asarray(vector)
    if row_id is None or values is not None:
        raise errors.InvalidArgumentError("a query needs a vector, or the id of a row, and not both")
    limits.check_id(row_id)
    rows = await served.fetch(namespace, [row_id], asked.remaining())
    return rows[0].values if rows else None
