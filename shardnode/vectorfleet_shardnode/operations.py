"""What a caller may ask to be written, checked; and what it comes to: one record of full post-images.

`plan` reads the state before the write. It is called by the one writer, so nothing changes in between.
"""

import dataclasses
from typing import Any

import msgspec
import numpy as np

from . import errors, filters, keys, ragged, records, typed_metadata
from . import shape as shapes
from .api import config, shard_pb2
from .arrays import Vectors
from .segments import part
from .snapshot import Snapshot

MAX_ID_CHARACTERS = 512
MAX_METADATA_BYTES = 40 * 1024
"""Of what updates add up to: each is checked at the edge, their sum can only be checked here."""


@dataclasses.dataclass(frozen=True)
class Upsert:
    """Replace whole rows; ids are distinct."""

    namespace: str
    rows: records.Rows


@dataclasses.dataclass(frozen=True)
class Update:
    """Change parts of one row: its vector, (1, dimensions), metadata fields, vector fields, sparse values.

    A vector field with no items is removed; one that is not named is kept. So are sparse values.
    """

    namespace: str
    row_id: str
    vector: Vectors | None
    merge: dict[str, Any]
    fields: dict[str, ragged.Ragged] = dataclasses.field(default_factory=dict)
    sparse: ragged.Ragged | None = None


@dataclasses.dataclass(frozen=True)
class DeleteIds:
    """Delete rows by id."""

    namespace: str
    ids: list[str]


@dataclasses.dataclass(frozen=True)
class DeleteMatching:
    """Delete the rows that pass."""

    namespace: str
    wanted: filters.Filter | None


Operation = Upsert | Update | DeleteIds | DeleteMatching | records.Clear


def grows(operation: Operation) -> bool:
    """Tell whether a write may make the shard grow; what only removes rows frees room."""
    return isinstance(operation, Upsert | Update)


@dataclasses.dataclass(frozen=True)
class Planned:
    """What to write, None where nothing changes, and how many rows it concerns."""

    record: records.Record | None
    affected: int


def parse(request: shard_pb2.WriteRequest, shape: shapes.Shape) -> Operation:
    """Check a request whole.

    Raises:
        BadRequestError: what is wrong with it, and what would be right.
    """
    namespace = check_namespace(request.namespace)
    match request.WhichOneof("operation"):
        case "upsert":
            return _parse_upsert(namespace, request.upsert.rows, shape)
        case "update":
            return _parse_update(namespace, request.update, shape)
        case "delete":
            return _parse_delete(namespace, request.delete, shape)
    raise errors.BadRequestError("a write needs one of upsert, update or delete")


def check_namespace(namespace: str) -> str:
    """Return the namespace.

    Raises:
        BadRequestError: it holds NUL, which separates namespace and id where keys are hashed.
    """
    if "\0" in namespace:
        raise errors.BadRequestError("a namespace can't hold the character NUL")
    return namespace


def _parse_upsert(namespace: str, rows: shard_pb2.Rows, shape: shapes.Shape) -> Upsert:
    ids, metadata = list(rows.ids), list(rows.metadata) or [b""] * len(rows.ids)
    if not ids:
        raise errors.BadRequestError("an upsert needs at least one row")
    if len(metadata) != len(ids):
        raise errors.BadRequestError(
            f"{len(ids)} ids came with {len(metadata)} metadata; send one for each, or none"
        )
    _check_ids(ids)
    for row_id, content in zip(ids, metadata, strict=True):
        if content:
            typed_metadata.check(decode_metadata(content, row_id), shape.types, row_id)
    vectors = shapes.parse_vectors(rows.vectors, len(ids), shape)
    fields = shapes.parse_columns(rows.fields, len(ids), shape)
    last = {row_id: at for at, row_id in enumerate(ids)}  # a repeated id: the last one counts
    if len(last) < len(ids):
        kept = np.fromiter(last.values(), np.int64, len(last))
        ids, metadata, vectors = list(last), [metadata[at] for at in kept], vectors[kept]
        fields = {name: column.take(kept) for name, column in fields.items()}
    pairs = fields.pop(config.SPARSE, None)
    return Upsert(namespace, records.Rows(ids, vectors, metadata, fields, pairs))


def _parse_update(namespace: str, update: shard_pb2.Update, shape: shapes.Shape) -> Update:
    _check_ids([update.id])
    vector = shapes.parse_vectors(update.vector, 1, shape) if update.vector else None
    merge = decode_metadata(update.merge_metadata, update.id) if update.merge_metadata else {}
    typed_metadata.check(merge, shape.types, update.id)
    fields = shapes.parse_columns(update.fields, 1, shape)
    pairs = fields.pop(config.SPARSE, None)
    return Update(namespace, update.id, vector, merge, fields, pairs)


def _parse_delete(namespace: str, delete: shard_pb2.Delete, shape: shapes.Shape) -> Operation:
    match delete.WhichOneof("what"):
        case "ids":
            return DeleteIds(namespace, list(dict.fromkeys(delete.ids.ids)))
        case "filter":
            return DeleteMatching(namespace, filters.parse(delete.filter, shape.declared))
        case "all" if delete.all:
            return records.Clear(namespace)
    raise errors.BadRequestError("a delete needs one of ids, filter, or all set to true")


def _check_ids(ids: list[str]) -> None:
    for row_id in ids:
        if not 1 <= len(row_id) <= MAX_ID_CHARACTERS:
            raise errors.BadRequestError(
                f"an id has {len(row_id)} characters; 1 to {MAX_ID_CHARACTERS} are possible"
            )


def decode_metadata(content: bytes, row_id: str) -> dict[str, Any]:
    """Return metadata as an object.

    Raises:
        BadRequestError: it is not a JSON object.
    """
    try:
        decoded: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as broken:
        raise errors.BadRequestError(f'metadata of id "{row_id}" is not a JSON object: {broken}') from broken
    return decoded


def plan(operation: Operation, before: Snapshot) -> Planned:
    """Return the record of an operation on this state.

    Raises:
        BadRequestError: an update would make the row's metadata too long.
    """
    match operation:
        case Upsert():
            return Planned(records.Put(operation.namespace, operation.rows), len(operation.rows.ids))
        case Update():
            return _plan_update(operation, before)
        case DeleteIds(namespace, ids):
            place = before.locate(keys.keys_of(namespace, ids))
            return _plan_remove(namespace, [ids[at] for at in np.flatnonzero(place.parts >= 0)])
        case DeleteMatching(namespace, wanted):
            return _plan_remove(namespace, before.matching_ids(namespace, wanted))
        case records.Clear(namespace):
            rows = sum(len(view.matching(namespace, None)) for view in before.parts)
            return Planned(operation if rows else None, rows)


def _plan_remove(namespace: str, ids: list[str]) -> Planned:
    return Planned(records.Remove(namespace, ids) if ids else None, len(ids))


def _plan_update(update: Update, before: Snapshot) -> Planned:
    place = before.locate(keys.keys_of(update.namespace, [update.row_id]))
    rows = before.take(place, part.Fields(values=True, metadata=True)) if place.parts[0] >= 0 else None
    if rows is None:
        return Planned(None, 0)
    metadata = rows.metadata
    if update.merge:
        metadata = [_merged(metadata[0], update)]
    vectors = rows.vectors if update.vector is None else update.vector
    fields = rows.fields | update.fields
    pairs = rows.sparse if update.sparse is None else update.sparse
    changed = records.Rows(rows.ids, vectors, metadata, fields, pairs)
    return Planned(records.Put(update.namespace, changed), 1)


def _merged(before: bytes, update: Update) -> bytes:
    merged = msgspec.json.encode((msgspec.json.decode(before) if before else {}) | update.merge)
    if len(merged) > MAX_METADATA_BYTES:
        raise errors.BadRequestError(
            f'metadata of id "{update.row_id}" would have {len(merged)} bytes as UTF-8 JSON; '
            f"at most {MAX_METADATA_BYTES} are taken"
        )
    return merged
