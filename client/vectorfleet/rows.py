"""Rows as a user has them, and as JSON bytes on the wire.

A row is encoded once, so that its size is known before it joins a batch. What JSON can't say (NaN,
infinity) is refused here, for it would arrive as something else.
"""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from . import errors, sparse

Vector = Sequence[float] | NDArray[Any]
"""One vector: any sequence of numbers, or a one-dimensional numpy array."""

Matrix = Sequence[Vector] | NDArray[Any]
"""One vector for each token: a sequence of vectors, or a numpy array of shape (tokens, dimensions)."""

Vectors = Mapping[str, Vector | Matrix | None]
"""Vectors by the name of a vector field; None is no vector."""

Metadata = Mapping[str, Any]
"""A row's metadata: strings, numbers, booleans, and lists of strings."""


class Row(msgspec.Struct, frozen=True, eq=False, omit_defaults=True):
    """One row of an index.

    Attributes:
        id: 1 to 512 characters, unique within its namespace.
        values: the vector, float32, shape (dimensions,), read-only; None where it was not asked for.
        metadata: the row's metadata; None where it has none or it was not asked for.
        vectors: by vector field, shape (dimensions,), or (tokens, dimensions) with late interaction; None
            where the row has none or values were not asked for.
        text: to be embedded by the index, in place of values; a row that was read has none: its text is in
            its metadata.
        sparse_values: beside the values, of an index with the metric dotproduct; None where the row has none
            or values were not asked for.
    """

    id: str
    values: NDArray[np.float32] | None = None
    metadata: dict[str, Any] | None = None
    vectors: dict[str, NDArray[np.float32]] | None = None
    text: str | None = None
    sparse_values: sparse.SparseValues | None = msgspec.field(default=None, name="sparseValues")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Row):
            return NotImplemented
        return (
            self.id == other.id
            and same_values(self.values, other.values)
            and (self.metadata or None) == (other.metadata or None)
            and same_vectors(self.vectors, other.vectors)
            and self.text == other.text
            and self.sparse_values == other.sparse_values
        )

    __hash__ = None  # type: ignore[assignment]  # an array has none


class Parts(NamedTuple):
    """What a row is made of."""

    id: str
    values: Vector | None
    metadata: Metadata | None = None
    vectors: Vectors | None = None
    text: str | None = None
    sparse_values: sparse.SparseLike | None = None


RowLike = (
    Row
    | Parts
    | Mapping[str, Any]
    | tuple[str, Vector]
    | tuple[str, Vector, Metadata | None]
    | tuple[str, Vector, Metadata | None, Vectors | None]
)
"""A `Row`, a mapping of `id`, `values` or `text`, `metadata`, `vectors` and `sparse_values`, or a tuple of an
id, values, metadata and vectors."""


_PARTS = frozenset({"id", "values", "metadata", "vectors", "text", "sparse_values"})


def same_values(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> bool:
    """Tell whether two optional vectors are equal."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def same_vectors(
    one: Mapping[str, NDArray[np.float32]] | None, other: Mapping[str, NDArray[np.float32]] | None
) -> bool:
    """Tell whether two rows have equal vectors in the same vector fields."""
    one, other = one or {}, other or {}
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def numbers_of(vector: Vector) -> list[float]:
    """Return a vector as the list of numbers that JSON takes.

    Raises:
        InvalidInputError: it is not one-dimensional, not of numbers, empty, or has NaN or infinity.
    """
    try:
        array = np.asarray(vector)
    except ValueError as error:
        raise errors.InvalidInputError(f"a vector is a flat list of numbers, not {_brief(vector)}") from error
    if array.ndim != 1:
        raise errors.InvalidInputError(f"a vector has one dimension; this has the shape {array.shape}")
    if array.size == 0:
        raise errors.InvalidInputError("a vector has at least one value; this has none")
    if array.dtype.kind not in "fiu":
        raise errors.InvalidInputError(f"a vector holds numbers; this holds {_brief(vector)}")
    if not np.isfinite(array).all():
        position = int(np.flatnonzero(~np.isfinite(array))[0])
        raise errors.InvalidInputError(
            f"value {position} of the vector is {array[position]}; only finite numbers can be compared"
        )
    return array.tolist()  # type: ignore[no-any-return]


def vectors_of(vectors: Vectors) -> dict[str, Any]:
    """Return vectors by field as lists of numbers, or of lists of numbers, as JSON takes them.

    Raises:
        InvalidInputError: one is no vector and no matrix; the field is named.
    """
    return {name: None if given is None else _lists_of(name, given) for name, given in vectors.items()}


def _lists_of(name: str, given: Any) -> list[Any]:
    try:
        # A matrix may be given as a list of arrays, a ragged one is refused by what its rows are.
        if len(given) and np.ndim(given[0]):
            return [numbers_of(one) for one in given]
        return numbers_of(given)
    except (errors.InvalidInputError, TypeError, KeyError) as error:
        raise errors.InvalidInputError(f"vectors[{name!r}]: {error}") from error


def fields_of(row: object) -> Parts:
    """Return the parts of a row in any of its forms.

    Raises:
        InvalidInputError: it has another form, lacks an id, or has not one of values and text.
    """
    id_, values, metadata, vectors, text, pairs = _parts_of(row)
    if not isinstance(id_, str) or not id_:
        raise errors.InvalidInputError(f"a row's id is a string of 1 to 512 characters, not {_brief(id_)}")
    if values is None and text is None:
        raise errors.InvalidInputError(f"row {id_!r} has no values and no text")
    if values is not None and text is not None:
        raise errors.InvalidInputError(f"row {id_!r} has values and a text to be embedded; leave out one")
    if text is not None and not isinstance(text, str):
        raise errors.InvalidInputError(f"the text of row {id_!r} is not a string: {_brief(text)}")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise errors.InvalidInputError(f"the metadata of row {id_!r} is not a mapping: {_brief(metadata)}")
    if vectors is not None and not isinstance(vectors, Mapping):
        raise errors.InvalidInputError(f"the vectors of row {id_!r} are not a mapping: {_brief(vectors)}")
    return Parts(id_, values, metadata, vectors, text, pairs)


def encode(row: RowLike) -> bytes:
    """Return a row as a JSON object.

    Raises:
        InvalidInputError: it is not a row, or something in it has no form in JSON; the id is named.
    """
    id_, values, metadata, vectors, text, pairs = fields_of(row)
    try:
        fields: dict[str, Any] = {"id": id_}
        if values is not None:
            fields["values"] = numbers_of(values)
        else:
            fields["text"] = text
        if vectors:
            fields["vectors"] = vectors_of(vectors)
        if pairs is not None:
            fields["sparseValues"] = sparse.plain_of(pairs)
        if metadata:
            fields["metadata"] = metadata_of(metadata)
        return to_json(fields)
    except errors.InvalidInputError as error:
        raise errors.InvalidInputError(f"row {id_!r}: {error}") from error


def metadata_of(metadata: Metadata) -> dict[str, Any]:
    """Return metadata as a plain dictionary, without what JSON would change on the way.

    Raises:
        InvalidInputError: a number is NaN or infinite; the field is named.
    """
    plain = dict(metadata)
    for name, value in plain.items():
        if isinstance(value, float | np.floating) and not np.isfinite(value):
            raise errors.InvalidInputError(f"metadata field {name!r} is {value}, which has no form in JSON")
    return plain


def to_json(value: object) -> bytes:
    """Return a value as JSON; numpy's numbers count as numbers.

    Raises:
        InvalidInputError: something in it has no form in JSON.
    """
    try:
        return msgspec.json.encode(value, enc_hook=_plain)
    except (TypeError, ValueError, OverflowError) as error:
        raise errors.InvalidInputError(f"this has no form in JSON: {error}") from error


def id_of(row: object) -> str:
    """Return a row's id as well as it can be told, for a report of what failed; "" where it has none."""
    match row:
        case Row(id=id_) | {"id": id_} | (id_, *_):
            return id_ if isinstance(id_, str) else ""
        case _:
            return ""


def _parts_of(row: object) -> tuple[Any, Any, Any, Any, Any, Any]:
    match row:
        case Row():
            return row.id, row.values, row.metadata, row.vectors, row.text, row.sparse_values
        case Parts():
            return row
        case Mapping():
            _refuse_unknown(row)
            metadata, vectors = row.get("metadata"), row.get("vectors")
            return (
                row.get("id"),
                row.get("values"),
                metadata,
                vectors,
                row.get("text"),
                row.get("sparse_values"),
            )
        case (id_, values, *rest) if len(rest) <= 2:
            metadata, vectors = [*rest, None, None][:2]
            return id_, values, metadata, vectors, None, None
        case _:
            raise errors.InvalidInputError(
                f"a row is a Row, a mapping or (id, values[, metadata[, vectors]]), not {_brief(row)}"
            )


def _refuse_unknown(row: Mapping[str, Any]) -> None:
    unknown = sorted(str(name) for name in row if name not in _PARTS)
    if unknown:
        raise errors.InvalidInputError(
            f"a row has id, values, text, metadata, vectors and sparse_values, not {', '.join(unknown)}: "
            "put fields of your own into metadata"
        )


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON type")


def _brief(value: object) -> str:
    return f"{type(value).__name__} {reprlib.repr(value)}"
