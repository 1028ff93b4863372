"""`/vectors/…`: upsert, fetch, update, delete, list."""

from vectorfleet_shardnode.api import shard_pb2

from .. import call, errors, fields, index, limits, metrics, replies, routing, schemas, tokens

LIST_LIMIT = 100
"""Ids of a page where the caller does not say."""

_upsert = schemas.decoder(schemas.Upsert)
_update = schemas.decoder(schemas.Update)
_delete = schemas.decoder(schemas.Delete)


async def upsert(asked: call.Call, served: index.Index) -> replies.Reply:
    """Write whole rows. All of the request is checked before any of it is written."""
    request: schemas.Upsert = _upsert(asked.body)
    namespace = asked.namespace(schemas.given(request.namespace))
    rows = _rows(request.vectors, served)
    asked.charge(len(rows))
    await served.upsert(namespace, rows, asked.remaining())
    metrics.ROWS_WRITTEN.inc(len(rows))
    return replies.upserted(len(rows))


async def fetch(asked: call.Call, served: index.Index) -> replies.Reply:
    """Read rows by id; those that do not exist are left out."""
    asked.check_fields("ids", "namespace")
    ids = asked.query.get("ids", ())
    limits.check_ids(ids)
    name = asked.text("namespace")
    rows = await served.fetch(asked.namespace(name), ids, asked.remaining())
    return replies.fetched(rows, name, read_units=served.shards)


async def update(asked: call.Call, served: index.Index) -> replies.Reply:
    """Replace a row's values, vectors, or fields of its metadata; nothing where there is no such row."""
    request: schemas.Update = _update(asked.body)
    owner = f"id {request.id[:64]!r}"
    schemas.refuse_sparse(owner, request.sparse_values)
    limits.check_id(request.id)
    values, metadata = schemas.given(request.values), schemas.given(request.set_metadata)
    vectors = schemas.given(request.vectors)
    if values is None and not metadata and not vectors:
        raise errors.InvalidArgumentError("an update needs values, vectors or setMetadata")
    change, generation = shard_pb2.Update(id=request.id), served.generation
    if values is not None:
        matrix = limits.vectors_of([(owner, values)], generation.dimensions, generation.metric)
        change.vector = matrix.tobytes()
    if metadata:
        change.merge_metadata = limits.metadata_of(owner, metadata, served.types)
    if vectors:
        change.fields.extend(fields.pack([fields.parse(owner, vectors, generation)]))
    await served.update(asked.namespace(schemas.given(request.namespace)), change, asked.remaining())
    return replies.EMPTY


async def delete(asked: call.Call, served: index.Index) -> replies.Reply:
    """Delete rows by id, by filter, or all of a namespace. What does not exist is no error."""
    request: schemas.Delete = _delete(asked.body)
    namespace = asked.namespace(schemas.given(request.namespace))
    ids, condition = schemas.given(request.ids), schemas.given(request.filter)
    everything = bool(schemas.given(request.delete_all))
    if (ids is not None) + (condition is not None) + everything != 1:
        raise errors.InvalidArgumentError("a delete needs exactly one of ids, filter and deleteAll: true")
    if ids is not None:
        limits.check_ids(ids)
        await served.delete_ids(namespace, ids, asked.remaining())
    else:
        encoded = b"" if condition is None else limits.filter_of(condition)
        await served.delete_where(namespace, encoded, asked.remaining())
    return replies.EMPTY


async def list_ids(asked: call.Call, served: index.Index) -> replies.Reply:
    """List ids by prefix, in ascending order of their UTF-8 bytes, a page at a time."""
    asked.check_fields("namespace", "prefix", "limit", "paginationToken")
    limit = asked.number("limit", LIST_LIMIT)
    limits.check_range("limit", limit, 1, limits.MAX_LIST_LIMIT)
    prefix = asked.text("prefix")
    if prefix:
        limits.check_id(prefix)
    name = asked.text("namespace")
    after = tokens.decode(asked.text("paginationToken"))
    # One more than the page has tells whether another page is.
    asked_for = min(limit + 1, limits.MAX_LIST_LIMIT)
    request = shard_pb2.ListRequest(
        namespace=asked.namespace(name), prefix=prefix, after=after, limit=asked_for
    )
    ids = await served.list(request, asked.remaining())
    more = tokens.encode(ids[:limit][-1]) if len(ids) == asked_for else None
    return replies.listed(ids[:limit], more, name, read_units=served.shards)


def _rows(vectors: list[schemas.Vector], served: index.Index) -> list[routing.Row]:
    if not vectors:
        raise errors.InvalidArgumentError("vectors is empty; an upsert needs at least one")
    if len(vectors) > limits.MAX_VECTORS:
        raise errors.InvalidArgumentError(
            f"{len(vectors)} vectors in one request; at most {limits.MAX_VECTORS} are taken"
        )
    for vector in vectors:
        limits.check_id(vector.id)
        schemas.refuse_sparse(f"id {vector.id[:64]!r}", vector.sparse_values)
    named = [(f"id {vector.id[:64]!r}", schemas.given(vector.values) or []) for vector in vectors]
    matrix = limits.vectors_of(named, served.generation.dimensions, served.generation.metric)
    return [
        routing.Row(vector.id, values, _metadata(vector, served), _vectors(vector, served))
        for vector, values in zip(vectors, matrix, strict=True)
    ]


def _vectors(vector: schemas.Vector, served: index.Index) -> fields.Named | None:
    given = schemas.given(vector.vectors)
    if not given:
        return None
    found = fields.parse(f"id {vector.id[:64]!r}", given, served.generation)
    return {name: values for name, values in found.items() if values.size}


def _metadata(vector: schemas.Vector, served: index.Index) -> bytes:
    given = schemas.given(vector.metadata)
    return limits.metadata_of(f"id {vector.id[:64]!r}", given, served.types) if given else b""
