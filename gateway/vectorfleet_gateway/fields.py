"""The vector fields of rows: from JSON to matrices, and from matrices to the shards' columns and back. Pure.

A field without late interaction is one vector, shape (dimensions,); one with it is a matrix, one vector for
each token, shape (tokens, dimensions). No vectors at all, shape (0, dimensions), means that a row has none.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vectorfleet_shardnode.api import config, shard_pb2

from . import errors, limits

Named = Mapping[str, NDArray[np.float32]]
"""Vectors by field."""


def parse(
    owner: str,
    given: Mapping[str, Sequence[float | list[float]] | None],
    generation: config.Generation,
    max_tokens: int = limits.MAX_TOKENS,
) -> dict[str, NDArray[np.float32]]:
    """Return the vector fields of a row, or of a query, as JSON has them.

    Args:
        owner: what an error calls it, such as `id 'a'`.
        given: numbers, or lists of numbers; None or an empty list is no vector.
        generation: says which fields there are.
        max_tokens: vectors that a field with late interaction takes.

    Raises:
        InvalidArgumentError: there is no such field, or its vectors are not what it takes.
    """
    found = {}
    for name, values in given.items():
        field = _declared(owner, name, generation)
        called = f"{owner}: vectors.{name[:64]}"
        if not values:
            found[name] = np.zeros((0, field.dimensions), np.float32)
        elif field.late_interaction:
            limits.check_range(f"the number of vectors of {called}", len(values), 1, max_tokens)
            found[name] = _parse_tokens(called, values, field, generation.metric)
        else:
            found[name] = _parse_one(called, values, field, generation.metric)
    return found


def pack(rows: Sequence[Named | None]) -> list[shard_pb2.VectorColumn]:
    """Return the fields of some rows as columns, a column for each field that any row names."""
    names = dict.fromkeys(itertools.chain.from_iterable(row for row in rows if row))
    return [_column(name, [row.get(name) if row else None for row in rows]) for name in names]


def unpack(columns: Sequence[shard_pb2.VectorColumn], generation: config.Generation) -> list[Named]:
    """Return the fields of each row, those that it has; an empty list where no row has any."""
    rows: list[dict[str, NDArray[np.float32]]] = []
    declared = {field.name: field for field in generation.vectors}
    for column in columns:
        if column.name == config.SPARSE:
            continue
        field = declared[column.name]
        rows = rows or [{} for _ in column.counts]
        items = np.frombuffer(column.vectors, "<f4").reshape(-1, field.dimensions)
        end = 0
        for row, count in zip(rows, column.counts, strict=True):
            start, end = end, end + count
            if count:
                row[column.name] = items[start:end] if field.late_interaction else items[start]
    return list(rows)


def _column(name: str, values: Sequence[NDArray[np.float32] | None]) -> shard_pb2.VectorColumn:
    matrices = [None if one is None else np.atleast_2d(one) for one in values]
    return shard_pb2.VectorColumn(
        name=name,
        counts=[0 if one is None else len(one) for one in matrices],
        vectors=b"".join(one.astype("<f4", copy=False).tobytes() for one in matrices if one is not None),
    )


def _parse_tokens(
    called: str, values: Sequence[float | list[float]], field: config.VectorField, metric: config.Metric
) -> NDArray[np.float32]:
    tokens = [one for one in values if isinstance(one, list)]
    if len(tokens) < len(values):
        raise errors.InvalidArgumentError(f"{called} takes a list of vectors, one for each token")
    named = [(f"{called}[{number}]", token) for number, token in enumerate(tokens)]
    return limits.vectors_of(named, field.dimensions, metric)


def _parse_one(
    called: str, values: Sequence[float | list[float]], field: config.VectorField, metric: config.Metric
) -> NDArray[np.float32]:
    numbers = [one for one in values if not isinstance(one, list)]
    if len(numbers) < len(values):
        raise errors.InvalidArgumentError(f"{called} takes one vector, a flat list of numbers")
    (vector,) = limits.vectors_of([(called, numbers)], field.dimensions, metric)
    return np.asarray(vector)


def _declared(owner: str, name: str, generation: config.Generation) -> config.VectorField:
    for field in generation.vectors:
        if field.name == name:
            return field
    known = ", ".join(repr(field.name) for field in generation.vectors) or "none"
    raise errors.InvalidArgumentError(
        f"{owner}: the index has no vector field {name[:64]!r}; its vector fields are: {known}"
    )
