"""`/vectors/…`: upsert, fetch, update, delete, list."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from vectorfleet_shardnode.api import shard_pb2

from .. import call, errors, fields, index, limits, metrics, replies, routing, schemas, sparse, texts, tokens
from ..embedding import wire

LIST_LIMIT = 100
"""Ids of a page where the caller does not say."""

_upsert = schemas.decoder(schemas.Upsert)
_update = schemas.decoder(schemas.Update)
_delete = schemas.decoder(schemas.Delete)


async def upsert(asked: call.Call, served: index.Index) -> replies.Reply:
    """Write whole rows, of values or of text. All is checked, and embedded, before any of it is written."""
    request: schemas.Upsert = _upsert(asked.body)
    await write(asked, served, asked.namespace(schemas.given(request.namespace)), request.vectors)
    return replies.upserted(len(request.vectors))


async def write(asked: call.Call, served: index.Index, namespace: str, vectors: list[schemas.Vector]) -> None:
    """Write rows, once all of them are checked and embedded."""
    to_embed = _texts(vectors, served)
    rows = _rows(vectors, to_embed, served)
    asked.charge(len(rows))
    if to_embed:
        embedded = await served.embed(list(to_embed.values()), wire.Role.DOCUMENT, asked.remaining())
        for number, values in zip(to_embed, embedded.vectors, strict=True):
            rows[number] = msgspec.structs.replace(rows[number], values=values)
    await served.upsert(namespace, rows, asked.remaining())
    metrics.ROWS_WRITTEN.inc(len(rows))


async def fetch(asked: call.Call, served: index.Index) -> replies.Reply:
    """Read rows by id; those that do not exist are left out."""
    asked.check_fields(*schemas.names_of(schemas.FetchQuery))
    ids = asked.query.get("ids", ())
    limits.check_ids(ids)
    name = asked.text("namespace")
    rows = await served.fetch(asked.namespace(name), ids, asked.remaining())
    return replies.fetched(rows, name, read_units=served.shards)


async def update(asked: call.Call, served: index.Index) -> replies.Reply:
    """Replace a row's values, sparse values, text, vectors, or fields of its metadata, where it exists."""
    request: schemas.Update = _update(asked.body)
    owner = f"id {request.id[:64]!r}"
    limits.check_id(request.id)
    pairs = _pairs(owner, request.sparse_values, served)
    values, metadata = schemas.given(request.values), schemas.given(request.set_metadata)
    vectors, text = schemas.given(request.vectors), schemas.given(request.text)
    if values is None and not metadata and not vectors and text is None and pairs is None:
        raise errors.InvalidArgumentError(
            "an update needs values, sparseValues, a text, vectors or setMetadata"
        )
    if text is not None:
        texts.check(owner, text, served.config, has_values=values is not None)
        metadata = texts.keep(owner, metadata, text, served.config)
    change, generation = shard_pb2.Update(id=request.id), served.generation
    if values is not None:
        matrix = limits.vectors_of([(owner, values)], generation.dimensions, generation.metric)
        change.vector = matrix.tobytes()
    if metadata:
        change.merge_metadata = limits.metadata_of(owner, metadata, served.types)
    if vectors:
        change.fields.extend(fields.pack([fields.parse(owner, vectors, generation)]))
    change.fields.extend(sparse.pack([pairs]))
    namespace = asked.namespace(schemas.given(request.namespace))
    if text is not None:
        embedded = await served.embed([text], wire.Role.DOCUMENT, asked.remaining())
        change.vector = embedded.vectors[0].astype("<f4", copy=False).tobytes()
    await served.update(namespace, change, asked.remaining())
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
    asked.check_fields(*schemas.names_of(schemas.ListQuery))
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


def _texts(vectors: list[schemas.Vector], served: index.Index) -> dict[int, str]:
    """Return the texts of rows that come without values, by the row's number."""
    if not vectors:
        raise errors.InvalidArgumentError("Invalid request: vectors is empty; an upsert needs at least one")
    if len(vectors) > limits.MAX_VECTORS:
        raise errors.InvalidArgumentError(
            f"{len(vectors)} vectors in one request; at most {limits.MAX_VECTORS} are taken"
        )
    return texts.of_rows(vectors, served.config)


def _rows(
    vectors: list[schemas.Vector], to_embed: Mapping[int, str], served: index.Index
) -> list[routing.Row]:
    """Return the rows; those that are to be embedded are without values yet."""
    for vector in vectors:
        limits.check_id(vector.id)
    matrix = iter(_matrix([one for number, one in enumerate(vectors) if number not in to_embed], served))
    return [
        routing.Row(
            vector.id,
            None if number in to_embed else next(matrix),
            _metadata(vector, to_embed.get(number), served),
            _vectors(vector, served),
            _pairs(f"id {vector.id[:64]!r}", vector.sparse_values, served),
        )
        for number, vector in enumerate(vectors)
    ]


def _matrix(vectors: list[schemas.Vector], served: index.Index) -> Sequence[NDArray[np.float32]]:
    if not vectors:
        return []
    named = [(f"id {vector.id[:64]!r}", schemas.given(vector.values) or []) for vector in vectors]
    return list(limits.vectors_of(named, served.generation.dimensions, served.generation.metric))


def _vectors(vector: schemas.Vector, served: index.Index) -> fields.Named | None:
    given = schemas.given(vector.vectors)
    if not given:
        return None
    found = fields.parse(f"id {vector.id[:64]!r}", given, served.generation)
    return {name: values for name, values in found.items() if values.size}


def _pairs(
    owner: str, given: schemas.SparseValues | msgspec.UnsetType | None, served: index.Index
) -> sparse.Pairs | None:
    found = schemas.given(given)
    if found is None:
        return None
    return sparse.parse(f"{owner}: sparseValues", found.indices, found.values, served.generation)


def _metadata(vector: schemas.Vector, text: str | None, served: index.Index) -> bytes:
    owner, given = f"id {vector.id[:64]!r}", schemas.given(vector.metadata)
    if text is not None:
        given = texts.keep(owner, given, text, served.config)
    return limits.metadata_of(owner, given, served.types) if given else b""
