"""Sparse values: from JSON to arrays, and from arrays to the shards' columns and back. Pure.

They are scored beside dense values, by dot product, so an index of another metric takes none.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vectorfleet_shardnode.api import config, shard_pb2

from . import errors, limits

METRIC_REFUSED = "Index configuration does not support sparse values - only dotproduct indexes are supported"
"""As Pinecone says it, for programs that look for its words."""


class Pairs(NamedTuple):
    """The sparse values of a row: distinct indices, and as many values, in the order that they came in."""

    indices: NDArray[np.uint32]
    values: NDArray[np.float32]


def parse(owner: str, indices: list[int], values: list[float], generation: config.Generation) -> Pairs:
    """Return the sparse values of a row, or of a query, as JSON has them.

    Args:
        owner: what an error calls it, such as `id 'a': sparseValues`.
        indices: one for each value.
        values: finite float64.
        generation: whose metric must be dot product.

    Raises:
        InvalidArgumentError: there are none or too many, they are not equally many, an index is none or comes
            twice, a value is too great for float32, or the index has another metric.
    """
    if generation.metric is not config.Metric.DOTPRODUCT:
        raise errors.InvalidArgumentError(
            f"{owner}: sparse values need the metric dotproduct; the index has {generation.metric}. "
            f"{METRIC_REFUSED}"
        )
    if len(indices) != len(values):
        raise errors.InvalidArgumentError(
            f"{owner} has {len(indices)} indices and {len(values)} values; each index needs one value"
        )
    if not 1 <= len(indices) <= limits.MAX_PAIRS:
        raise errors.InvalidArgumentError(
            f"{owner} has {len(indices)} values; 1 to {limits.MAX_PAIRS} are taken, and rows without any "
            "leave the field out. Sparse vector must contain at least one value"
        )
    least, most = min(indices), max(indices)
    if least < 0 or most > limits.MAX_INDEX:
        wrong = least if least < 0 else most
        raise errors.InvalidArgumentError(
            f"{owner}: index {wrong} is out of range; indices are 0 to {limits.MAX_INDEX}"
        )
    if len(set(indices)) < len(indices):
        repeated = next(index for index in indices if indices.count(index) > 1)
        raise errors.InvalidArgumentError(f"{owner}: index {repeated} comes twice; give each index once")
    return Pairs(np.array(indices, np.uint32), _finite(owner, values))


def _finite(owner: str, values: Sequence[float]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        found = np.array(values, np.float32)
    finite = np.isfinite(found)
    if not finite.all():
        place = int(np.argmin(finite))
        raise errors.InvalidArgumentError(
            f"{owner}: value {place} is {values[place]!r}, which float32 can't hold"
        )
    return found


def pack(rows: Sequence[Pairs | None]) -> list[shard_pb2.VectorColumn]:
    """Return the sparse values of some rows as a column; none where no row has any."""
    given = [row for row in rows if row is not None]
    if not given:
        return []
    column = shard_pb2.VectorColumn(
        name=config.SPARSE,
        counts=[0 if row is None else len(row.indices) for row in rows],
        indices=b"".join(row.indices.astype("<u4", copy=False).tobytes() for row in given),
        vectors=b"".join(row.values.astype("<f4", copy=False).tobytes() for row in given),
    )
    return [column]


def unpack(columns: Sequence[shard_pb2.VectorColumn]) -> list[Pairs | None]:
    """Return the sparse values of each row, None where it has none; an empty list where no row has any."""
    for column in columns:
        if column.name == config.SPARSE:
            indices, values = np.frombuffer(column.indices, "<u4"), np.frombuffer(column.vectors, "<f4")
            ends = itertools.accumulate(column.counts, initial=0)
            return [
                Pairs(indices[start:end], values[start:end]) if end > start else None
                for start, end in itertools.pairwise(ends)
            ]
    return []


def part_of(pairs: Pairs) -> shard_pb2.QueryPart:
    """Return the part of a query that adds the dot product with rows' sparse values."""
    return shard_pb2.QueryPart(
        field=config.SPARSE,
        indices=pairs.indices.astype("<u4", copy=False).tobytes(),
        vectors=pairs.values.astype("<f4", copy=False).tobytes(),
        weight=1,
    )
