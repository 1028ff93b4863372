"""What vectors of an index must be, and the check of those that callers send.

A request is checked whole before anything of it is written; each refusal says what would be right.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from . import errors, ragged, sparse
from .api import config, shard_pb2
from .arrays import RowNumbers, Vectors

MAX_TOKENS = 1_024
"""Vectors that one row may have in a field of token vectors."""
MAX_PAIRS = 2_048
"""Sparse values of one row, or of a query."""
MAX_FIELD_BYTES = 32 << 20
"""Bytes of vector fields and sparse values in one write; a growing segment may pass its bound by as much."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """The metric, the dimensions of rows' values, rows' vector fields, and what is declared of metadata."""

    metric: config.Metric
    dimensions: int
    fields: tuple[config.VectorField, ...] = ()
    schema: config.Schema = dataclasses.field(default_factory=config.Schema)

    @functools.cached_property
    def types(self) -> dict[str, config.FieldType]:
        """The declared types of metadata fields."""
        return {field.name: field.type for field in self.schema.fields}

    @functools.cached_property
    def declared(self) -> frozenset[tuple[str, config.FieldType]]:
        """The same, as filters take them."""
        return frozenset(self.types.items())

    def field(self, name: str) -> config.VectorField:
        """Return a vector field.

        Raises:
            BadRequestError: the index has none of this name.
        """
        for field in self.fields:
            if field.name == name:
                return field
        known = ", ".join(f'"{field.name}"' for field in self.fields) or "none"
        raise errors.BadRequestError(f'the index has no vector field "{name}"; it has {known}')


def of(index: config.IndexConfig) -> Shape:
    """Return what the rows of an index's serving generation look like."""
    generation = index.serving
    return Shape(generation.metric, generation.dimensions, generation.vectors, index.metadata)


def parse_vectors(data: bytes, rows: int, shape: Shape) -> Vectors:
    """Return rows' values as (rows, dimensions).

    Raises:
        BadRequestError: another length, NaN, infinity, or under cosine a vector of zeros.
    """
    if len(data) != rows * shape.dimensions * 4:
        sent = (
            f"{len(data)} bytes"
            if len(data) % (4 * rows or 1)
            else f"{len(data) // (4 * rows or 1)} dimensions"
        )
        raise errors.BadRequestError(
            f"the index has {shape.dimensions} dimensions; {rows} vectors came with {sent} each"
        )
    vectors = np.frombuffer(data, "<f4").reshape(rows, shape.dimensions)
    check_values(vectors, shape.metric, "vector")
    return vectors


def parse_columns(
    columns: Sequence[shard_pb2.VectorColumn], rows: int, shape: Shape
) -> dict[str, ragged.Ragged]:
    """Return the vector fields of some rows by name, and of the name `config.SPARSE` their sparse values.

    Raises:
        BadRequestError: an unknown or repeated field, too many vectors of a row, too many bytes of all, or
            values that `parse_vectors` or `parse_pairs` would refuse.
    """
    held = sum(len(column.vectors) + len(column.indices) for column in columns)
    if held > MAX_FIELD_BYTES:
        raise errors.BadRequestError(
            f"vector fields of one write have {held} bytes; at most {MAX_FIELD_BYTES} are taken: "
            "send fewer rows at a time"
        )
    found: dict[str, ragged.Ragged] = {}
    for column in columns:
        if column.name in found:
            raise errors.BadRequestError(f'vector field "{column.name}" comes twice; send it once')
        counts = np.fromiter(column.counts, np.int64, len(column.counts))
        if len(counts) != rows:
            raise errors.BadRequestError(
                f'vector field "{column.name}" came with {len(counts)} counts for {rows} rows; '
                "send one for each"
            )
        parse = _parse_sparse if column.name == config.SPARSE else _parse_column
        found[column.name] = parse(column, counts, shape)
    return found


def _parse_sparse(column: shard_pb2.VectorColumn, counts: RowNumbers, shape: Shape) -> ragged.Ragged:
    pairs = parse_pairs(column.indices, column.vectors, shape)
    if len(pairs) != counts.sum():
        raise errors.BadRequestError(
            f"{len(pairs)} sparse values came; their counts add up to {counts.sum()}"
        )
    if counts.max(initial=0) > MAX_PAIRS:
        raise errors.BadRequestError(f"a row has {counts.max()} sparse values; at most {MAX_PAIRS} are taken")
    found = ragged.of_counts(counts, pairs)
    owners = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
    check_distinct((owners << np.uint64(32)) | pairs["index"])
    return found


def parse_pairs(indices: bytes, values: bytes, shape: Shape) -> sparse.Pairs:
    """Return sparse values as pairs.

    Raises:
        BadRequestError: the metric is another one than dot product, the two are not equally many, or a value
            is NaN or infinite.
    """
    if shape.metric is not config.Metric.DOTPRODUCT:
        raise errors.BadRequestError(
            f"the index has the metric {shape.metric}; sparse values need the metric dotproduct"
        )
    if len(indices) % 4 or len(indices) != len(values):
        raise errors.BadRequestError(
            f"sparse values came as {len(indices)} bytes of indices and {len(values)} of values; "
            "both have 4 for each"
        )
    pairs = sparse.pairs_of(np.frombuffer(indices, "<u4"), np.frombuffer(values, "<f4"))
    if not np.isfinite(pairs["value"]).all():
        place = int(np.argmin(np.isfinite(pairs["value"])))
        raise errors.BadRequestError(
            f"sparse value {place} is NaN or infinite; values are finite float32 numbers"
        )
    return pairs


def check_distinct(indices: npt.NDArray[np.unsignedinteger]) -> None:
    """Refuse indices of which one comes twice; of several rows, each is to hold its row's number above.

    Raises:
        BadRequestError: one does.
    """
    ascending = np.sort(indices)
    if (repeated := np.flatnonzero(ascending[1:] == ascending[:-1])).size:
        index = int(ascending[repeated[0]]) & 0xFFFFFFFF
        raise errors.BadRequestError(f"the sparse index {index} comes twice in one row; send it once")


def _parse_column(column: shard_pb2.VectorColumn, counts: RowNumbers, shape: Shape) -> ragged.Ragged:
    field = shape.field(column.name)
    if counts.max(initial=0) > (MAX_TOKENS if field.late_interaction else 1):
        raise errors.BadRequestError(_too_many(field, int(counts.max())))
    items = parse_items(column.vectors, field, shape.metric)
    if len(items) != counts.sum():
        raise errors.BadRequestError(
            f'vector field "{field.name}" came with {len(items)} vectors; its counts add up to {counts.sum()}'
        )
    return ragged.of_counts(counts, items)


def _too_many(field: config.VectorField, count: int) -> str:
    if field.late_interaction:
        return f'a row has {count} vectors in field "{field.name}"; at most {MAX_TOKENS} are taken'
    return f'a row has {count} vectors in field "{field.name}"; it is no field of token vectors: send one'


def parse_items(data: bytes, field: config.VectorField, metric: config.Metric) -> Vectors:
    """Return vectors of one field as (vectors, dimensions).

    Raises:
        BadRequestError: other dimensions, NaN, infinity, or under cosine a vector of zeros.
    """
    if len(data) % (4 * field.dimensions):
        raise errors.BadRequestError(
            f'vector field "{field.name}" has {field.dimensions} dimensions; '
            f"{len(data)} bytes are no whole number of such vectors"
        )
    items = np.frombuffer(data, "<f4").reshape(-1, field.dimensions)
    check_values(items, metric, f'field "{field.name}": vector')
    return items


def check_values(vectors: Vectors, metric: config.Metric, name: str) -> None:
    """Refuse what can't be compared; `name` is what a message calls a vector.

    Raises:
        BadRequestError: NaN, infinity, under cosine a vector of zeros, or under the others one that is longer
            than `config.MAX_LENGTH`.
    """
    if len(vectors) == 1:
        alone = vectors[0].astype(np.float64)  # in which no square overflows or vanishes
        if 0 < alone.dot(alone) <= config.MAX_LENGTH**2:
            return  # the common case, told by one product
    if not np.isfinite(vectors).all():
        row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise errors.BadRequestError(f"{name} {row} holds NaN or infinity; values are finite float32 numbers")
    if metric is config.Metric.COSINE and not vectors.any(axis=1).all():
        row = int(np.argmin(vectors.any(axis=1)))
        raise errors.BadRequestError(
            f"{name} {row} is all zeros, which has no cosine; use another metric or vector"
        )
    if metric is not config.Metric.COSINE:
        with np.errstate(over="ignore"):  # infinity is too long too
            squares = np.vecdot(vectors, vectors)
        if (longest := squares.max(initial=0)) > config.MAX_LENGTH**2:
            raise errors.BadRequestError(
                f"{name} {int(np.argmax(squares))} has length {longest**0.5:.3g}; under {metric} it is at "
                f"most {config.MAX_LENGTH:g}, so that scores stay finite"
            )
