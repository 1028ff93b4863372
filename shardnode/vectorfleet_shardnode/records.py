"""What the log records: full post-images, and their bytes.

A record is one Write: it is there whole or not at all. It says what the rows are afterwards, never how
they were computed, so that replaying it on any replica gives the same rows. Integers are little-endian.

```
Put     namespace, ids, metadata, u32 dimensions, float32[rows x dimensions]; with fields: u16 fields, field*;
        with sparse values: u16 fields, field*, sparse
Remove  namespace, ids
Clear   namespace
Start   nothing
namespace: u16 length, UTF-8        ids: u32 rows, u16[rows] lengths, UTF-8
metadata:  u32[rows] lengths, JSON
field:     u16 length, UTF-8, u32 dimensions, u32[rows] counts, float32[items x dimensions]
sparse:    u32[rows] counts, (u32 index, float32 value)[sum of counts]
```
"""

import dataclasses
import enum
import struct
from collections.abc import Sequence

import numpy as np

from . import errors, ragged, sparse
from .arrays import Vectors

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
MAX_KEY_BYTES = 0xFFFF


class Op(enum.IntEnum):
    """What a record does; the number is part of the stored format."""

    MARK = 0  # no change: everything up to this record's seq was on the disk
    PUT = 1
    REMOVE = 2
    CLEAR = 3
    NEXT = 4  # no change: the log goes on in the file whose first record has this seq
    PUT_FIELDS = 5  # a PUT some of whose rows have vector fields
    START = 6  # no change of rows: the first record of its epoch
    PUT_SPARSE = 7  # a PUT some of whose rows have sparse values, and maybe vector fields


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows as columns: ids, vectors as (rows, dimensions), metadata as JSON bytes (empty: none).

    `fields` has the columns of vector fields by name; a field that no row has may be missing. `sparse` is the
    column of sparse values, see `sparse.PAIR`, and None where no row has any, whatever was given.
    """

    ids: list[str]
    vectors: Vectors
    metadata: list[bytes]
    fields: dict[str, ragged.Ragged] = dataclasses.field(default_factory=dict)
    sparse: ragged.Ragged | None = None

    def __post_init__(self) -> None:
        if self.sparse is not None and not len(self.sparse.items):
            object.__setattr__(self, "sparse", None)

    @property
    def filled(self) -> dict[str, ragged.Ragged]:
        """The fields that some row has."""
        return {name: column for name, column in self.fields.items() if len(column.items)}


@dataclasses.dataclass(frozen=True)
class Put:
    """These rows exist afterwards, exactly so. Ids are distinct."""

    namespace: str
    rows: Rows


@dataclasses.dataclass(frozen=True)
class Remove:
    """Rows of these ids don't exist afterwards."""

    namespace: str
    ids: list[str]


@dataclasses.dataclass(frozen=True)
class Clear:
    """The namespace has no rows afterwards."""

    namespace: str


@dataclasses.dataclass(frozen=True)
class Start:
    """No row changes: a primary begins its epoch."""


Record = Put | Remove | Clear | Start
Parts = list[bytes | memoryview]


def encode(record: Record) -> tuple[Op, Parts]:
    """Return a record's op and its payload in parts, whose concatenation is the payload.

    Raises:
        BadRequestError: the namespace or an id is too long.
    """
    if isinstance(record, Start):
        return Op.START, []
    namespace = record.namespace.encode()
    _check_length(namespace, "namespace")
    parts: Parts = [_U16.pack(len(namespace)), namespace]
    match record:
        case Clear():
            return Op.CLEAR, parts
        case Remove():
            return Op.REMOVE, parts + _encode_ids(record.ids)
        case Put(_, rows):
            parts += _encode_ids(rows.ids) + _encode_content(rows)
            return _encode_more(rows, parts)


def _encode_more(rows: Rows, parts: Parts) -> tuple[Op, Parts]:
    """Return the op of a put that is encoded without what few rows have, and its payload with that."""
    fields = rows.filled
    if rows.sparse is not None:
        return Op.PUT_SPARSE, parts + _encode_fields(fields) + _encode_sparse(rows.sparse)
    return (Op.PUT_FIELDS, parts + _encode_fields(fields)) if fields else (Op.PUT, parts)


def decode(op: Op, payload: memoryview) -> Record:
    """Return the record of a payload whose checksum was right.

    Raises:
        DataLossError: the payload is not of this format all the same.
    """
    try:
        cursor = _Cursor(payload)
        record = _decode(op, cursor)
        cursor.end()
    except (ValueError, struct.error) as broken:
        raise errors.DataLossError(f"a log record of op {op.name} can't be decoded: {broken}") from broken
    return record


def _decode(op: Op, cursor: "_Cursor") -> Record:
    if op is Op.START:
        return Start()
    namespace = cursor.text(_U16)
    match op:
        case Op.CLEAR:
            return Clear(namespace)
        case Op.REMOVE:
            return Remove(namespace, cursor.ids())
        case Op.PUT:
            return Put(namespace, cursor.rows())
        case Op.PUT_FIELDS | Op.PUT_SPARSE:
            rows = cursor.rows()
            fields = cursor.fields(len(rows.ids))
            if op is Op.PUT_SPARSE:
                return Put(namespace, dataclasses.replace(rows, fields=fields, sparse=cursor.pairs(rows)))
            if not fields:
                raise ValueError("it has no fields, so another op would have been written")
            return Put(namespace, dataclasses.replace(rows, fields=fields))
    raise ValueError("it carries no rows")


def _check_length(key: bytes, name: str) -> None:
    if len(key) > MAX_KEY_BYTES:
        raise errors.BadRequestError(f"{name} has {len(key)} bytes; at most {MAX_KEY_BYTES} are possible")


def _encode_ids(ids: Sequence[str]) -> Parts:
    encoded = [row_id.encode() for row_id in ids]
    _check_length(max(encoded, key=len, default=b""), "id")
    lengths = np.fromiter(map(len, encoded), "<u2", len(encoded))
    return [_U32.pack(len(encoded)), lengths.tobytes(), b"".join(encoded)]


def _encode_content(rows: Rows) -> Parts:
    lengths = np.fromiter(map(len, rows.metadata), "<u4", len(rows.metadata))
    return [lengths.tobytes(), b"".join(rows.metadata), *_encode_vectors(rows.vectors, b"")]


def _encode_vectors(vectors: Vectors, between: bytes) -> Parts:
    values = np.ascontiguousarray(vectors, "<f4")
    return [_U32.pack(values.shape[1]), between, values.reshape(-1).view(np.uint8).data]


def _encode_fields(fields: dict[str, ragged.Ragged]) -> Parts:
    parts: Parts = [_U16.pack(len(fields))]
    for name, column in fields.items():
        encoded = name.encode()
        parts += [_U16.pack(len(encoded)), encoded]
        parts += _encode_vectors(column.items, column.counts.astype("<u4").tobytes())
    return parts


def _encode_sparse(column: ragged.Ragged) -> Parts:
    items = np.ascontiguousarray(column.items, sparse.PAIR)
    return [column.counts.astype("<u4").tobytes(), items.view(np.uint8).data]


class _Cursor:
    """Reads a payload from its start; each method moves past what it returns."""

    def __init__(self, payload: memoryview) -> None:
        self._payload = payload
        self._at = 0

    def take(self, count: int) -> memoryview:
        piece = self._payload[self._at : self._at + count]
        if len(piece) != count:
            raise ValueError(f"{count} bytes wanted, {len(piece)} left")
        self._at += count
        return piece

    def end(self) -> None:
        if self._at != len(self._payload):
            raise ValueError(f"{len(self._payload) - self._at} bytes are left over")

    def number(self, form: struct.Struct) -> int:
        value: int = form.unpack(self.take(form.size))[0]
        return value

    def text(self, form: struct.Struct) -> str:
        return str(self.take(self.number(form)), "utf-8")

    def pieces(self, count: int, dtype: str) -> list[bytes]:
        lengths = np.frombuffer(self.take(count * np.dtype(dtype).itemsize), dtype)
        ends = np.cumsum(lengths, dtype=np.int64).tolist()
        blob = bytes(self.take(ends[-1] if ends else 0))
        return [blob[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def ids(self) -> list[str]:
        return [piece.decode() for piece in self.pieces(self.number(_U32), "<u2")]

    def rows(self) -> Rows:
        ids = self.ids()
        metadata = self.pieces(len(ids), "<u4")
        dimensions = self.number(_U32)
        values = np.frombuffer(self.take(len(ids) * dimensions * 4), "<f4")
        return Rows(ids, values.reshape(len(ids), dimensions), metadata)

    def fields(self, rows: int) -> dict[str, ragged.Ragged]:
        found: dict[str, ragged.Ragged] = {}
        for _ in range(self.number(_U16)):
            name, dimensions = self.text(_U16), self.number(_U32)
            counts = np.frombuffer(self.take(rows * 4), "<u4")
            items = int(counts.sum(dtype=np.int64))
            if not items or name in found:
                raise ValueError("a field without items, or one that comes twice, is never written")
            values = np.frombuffer(self.take(items * dimensions * 4), "<f4")
            found[name] = ragged.of_counts(counts, values.reshape(items, dimensions))
        return found

    def pairs(self, rows: Rows) -> ragged.Ragged:
        counts = np.frombuffer(self.take(len(rows.ids) * 4), "<u4")
        items = int(counts.sum(dtype=np.int64))
        if not items:
            raise ValueError("it has no sparse values, so another op would have been written")
        pairs = np.frombuffer(self.take(items * sparse.PAIR.itemsize), sparse.PAIR)
        return ragged.of_counts(counts, pairs)
