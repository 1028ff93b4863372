"""What the API takes: limits, and the checks of ids, namespaces, vectors, metadata and filters. Pure.

A request is checked whole before any shard sees a part of it, so nothing of a refused one is written.
"""

import functools
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from vectorfleet_runtime import grants
from vectorfleet_shardnode.api import config, field_types, reserved, sizes

from . import errors

MAX_TOP_K = 10_000
MAX_VECTORS = 1_000
"""Vectors of an upsert, and ids of a fetch or a delete."""
MAX_ID_CHARACTERS = 512
MAX_NAMESPACE_CHARACTERS = 512
MAX_METADATA_BYTES = 40 * 1024
MAX_FILTER_BYTES = 64 * 1024
MAX_FILTER_DEPTH = 32
MAX_CONDITIONS = 1_000
"""Of a filter. A shard takes two more, with which a query in groups finds them."""
_LEAST_CONDITION_BYTES = 5
MAX_LIST_LIMIT = 10_000
MAX_EF_SEARCH = 10_000
MAX_PROBES = 1_000_000
MAX_OVERSAMPLING = 100
MAX_TOKENS = 1_024
"""Vectors of one row in a field with late interaction."""
MAX_QUERY_TOKENS = 512
MAX_PAIRS = 2_048
"""Sparse values of one row, or of a query."""
MAX_INDEX = 2**32 - 1
"""Of a sparse value."""
_BESIDE_VECTORS = 1024 * 1024
"""Bytes of a question for all but its vectors: filter, texts and sparse values have 0.3 MB at the very most,
each character written as an escape."""
_BYTES_OF_NUMBER = 32
"""In JSON: the digits of a float64, sign, exponent, comma and blanks."""
_REMEMBERED_PACKERS = 64
_MAX_SQUARE = np.float32(config.MAX_LENGTH**2)
MAX_TEXT_CHARACTERS = 8_192
MAX_EMBEDDED_CHARACTERS = 32_768
"""Of a row's text that is to be embedded; its metadata's limit holds besides."""
MAX_RERANKED = 1_000
MAX_GROUPS = 200
MAX_GROUP_ROWS = 100
MAX_GROUPS_BYTES = sizes.MAX_MESSAGE_BYTES
"""Of the rows of all groups of an answer: as much as a shard's answer to any other query may have."""
MAX_GROUP_CHARACTERS = 512
"""Of a string that is a group's value."""
MAX_RRF_K = 10_000
MAX_WEIGHT = 1_000
MAX_INTEGER = 2**63 - 1
FLOAT32_BOUND = float(2**128 - 2**103)
"""The least number that rounds to no float32; those below it do, to the greatest one at most."""

DEFAULT_NAMESPACE = grants.DEFAULT_NAMESPACE
"""Another name of the namespace "" where a name can't be empty."""


def check_id(row_id: str) -> None:
    """Refuse an id that is not 1 to 512 characters of Unicode, or that holds NUL."""
    if 0 < len(row_id) <= MAX_ID_CHARACTERS and "\0" not in row_id and _encodable(row_id):
        return
    if not row_id:
        raise errors.InvalidArgumentError("an id is empty; ids have 1 to 512 characters")
    if len(row_id) > MAX_ID_CHARACTERS:
        raise errors.InvalidArgumentError(
            f"id {row_id[:32]!r}… has {len(row_id)} characters; ids have 1 to {MAX_ID_CHARACTERS}"
        )
    if "\0" in row_id:
        raise errors.InvalidArgumentError(
            f"id {row_id[:64]!r} holds NUL, which ids can't. Vector ID must not contain null character"
        )
    raise errors.InvalidArgumentError(f"id {row_id[:64]!r} holds a surrogate, which is no character")


def check_ids(ids: Sequence[str]) -> None:
    """Refuse an empty or too long list of ids, or one with an id that is none."""
    if not ids:
        raise errors.InvalidArgumentError("ids is empty; it needs at least one id")
    if len(ids) > MAX_VECTORS:
        raise errors.InvalidArgumentError(f"{len(ids)} ids in one request; at most {MAX_VECTORS} are taken")
    for row_id in ids:
        check_id(row_id)


def namespace_of(name: str | None) -> str:
    """Return the namespace that a name means: "" for none and for `__default__`."""
    if not name or name == DEFAULT_NAMESPACE:
        return ""
    if len(name) > MAX_NAMESPACE_CHARACTERS:
        raise errors.InvalidArgumentError(
            f"the namespace has {len(name)} characters; at most {MAX_NAMESPACE_CHARACTERS} are taken"
        )
    if "\0" in name or not _encodable(name):
        raise errors.InvalidArgumentError("the namespace holds a character that it can't: NUL or a surrogate")
    if reserved.is_reserved(name):
        raise errors.InvalidArgumentError(
            f"the namespace {name[:64]!r} is not for users: choose one that does not begin with "
            f"{reserved.PREFIX}"
        )
    return name


def check_range(name: str, value: float, least: float, most: float) -> None:
    """Refuse a number outside of its bounds, both included; `name` is what the request calls it."""
    if not least <= value <= most:
        raise errors.InvalidArgumentError(f"{name} is {value}; it must be {least} to {most}")


def check_weight(name: str, weight: float) -> None:
    """Refuse a weight that would do nothing, or would drown all others."""
    if not 0 < abs(weight) <= MAX_WEIGHT:
        raise errors.InvalidArgumentError(
            f"{name} is {weight}; it must be a number other than 0, from -{MAX_WEIGHT} to {MAX_WEIGHT}"
        )


def check_text(text: str) -> None:
    """Refuse a text to search for that is blank, very long, or not to be encoded."""
    if not text.strip():
        raise errors.InvalidArgumentError("text is blank; it needs at least one word")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise errors.InvalidArgumentError(
            f"text has {len(text)} characters; at most {MAX_TEXT_CHARACTERS} are taken"
        )
    if not _encodable(text):
        raise errors.InvalidArgumentError("text holds a surrogate, which is no character")


def check_embedded(owner: str, text: str) -> None:
    """Refuse a row's text that is blank, very long, or not to be encoded; `owner` names it in an error."""
    if not text.strip():
        raise errors.InvalidArgumentError(f"{owner}: text is blank; there is nothing to embed")
    if len(text) > MAX_EMBEDDED_CHARACTERS:
        raise errors.InvalidArgumentError(
            f"{owner}: text has {len(text)} characters; at most {MAX_EMBEDDED_CHARACTERS} are taken"
        )
    if not _encodable(text):
        raise errors.InvalidArgumentError(f"{owner}: text holds a surrogate, which is no character")


def vectors_of(
    named: Sequence[tuple[str, Sequence[float]]], dimensions: int, metric: config.Metric
) -> NDArray[np.float32]:
    """Return vectors as one matrix, float32, shape (n, dimensions).

    Args:
        named: what an error calls each vector, and its values, finite float64.
        dimensions: values that each must have.
        metric: under cosine, no vector may be all zero; under the others none longer than MAX_LENGTH.

    Raises:
        InvalidArgumentError: a vector is of another dimension, a value is too great for float32, or a vector
            has no direction or is too long.
    """
    for name, values in named:
        if len(values) != dimensions:
            raise errors.InvalidArgumentError(
                f"{name} has {len(values)} dimensions; the index has {dimensions} dimensions. "
                # As Pinecone says it, for programs that look for its words.
                f"Vector dimension {len(values)} does not match the dimension of the index {dimensions}"
            )
    pack = _packer(dimensions)
    packed = b"".join([pack(*values) for _, values in named])
    matrix = np.frombuffer(packed, np.float32).reshape(len(named), dimensions)
    with np.errstate(over="ignore"):
        if len(named) == 1:
            least = most = matrix[0].dot(matrix[0])
        else:
            squares = np.vecdot(matrix, matrix)
            least, most = squares.min(initial=1), squares.max(initial=1)
    if 0 < least <= most <= _MAX_SQUARE:
        return matrix  # every value is finite, no row too long or all zero; the usual case, told by one pass
    finite = np.isfinite(matrix)
    if not finite.all():
        row, place = divmod(int(np.argmin(finite)), dimensions)
        name, values = named[row]
        raise errors.InvalidArgumentError(
            f"{name}: value {place} is {values[place]!r}, which float32 can't hold"
        )
    if metric is config.Metric.COSINE and not (directed := matrix.any(axis=1)).all():
        name, _ = named[int(np.argmin(directed))]
        raise errors.InvalidArgumentError(f"{name} is all zero, which has no cosine similarity to anything")
    if metric is not config.Metric.COSINE:
        lengths = np.linalg.norm(matrix.astype(np.float64), axis=1)
        if (longest := lengths.max(initial=0)) > config.MAX_LENGTH:
            name, _ = named[int(np.argmax(lengths))]
            raise errors.InvalidArgumentError(
                f"{name} has length {longest:.3g}; under {metric} it is at most {config.MAX_LENGTH:g}, "
                "so that scores stay finite"
            )
    return matrix


@functools.lru_cache(_REMEMBERED_PACKERS)
def _packer(dimensions: int) -> Callable[..., bytes]:
    """Return what makes float32 of so many numbers, in a third of numpy's time; infinity where too great."""
    return struct.Struct(f"{dimensions}f").pack


def metadata_of(owner: str, metadata: dict[str, Any], types: field_types.Types) -> bytes:
    """Return metadata as JSON, flat: strings, numbers, booleans and lists of strings.

    Args:
        owner: what an error calls the row, such as `id 'a'`.
        metadata: field names to values, as JSON was decoded.
        types: of declared fields; such a field may hold a list of what its type takes.

    Raises:
        InvalidArgumentError: a value is null, nested, no finite 64-bit number or not of its field's declared
            type, or all is longer than 40 KB.
    """
    for field, value in metadata.items():
        if not _is_flat(value) and not (field in types and _is_flat_list(value)):
            raise errors.InvalidArgumentError(
                f"{owner}: metadata field {field[:64]!r} is {_kind(value)}; a value is a string, a number, "
                "a boolean or a list of strings"
            )
    if types and (wrong := field_types.misfit(metadata, types)):
        raise errors.InvalidArgumentError(f"{owner}: metadata {wrong}")
    encoded = orjson.dumps(metadata)
    if len(encoded) > MAX_METADATA_BYTES:
        raise errors.InvalidArgumentError(
            f"{owner}: metadata has {len(encoded)} bytes as UTF-8 JSON; at most {MAX_METADATA_BYTES} "
            "are taken"
        )
    return encoded


def filter_of(condition: dict[str, Any]) -> bytes:
    """Return a filter as JSON.

    Its operators are the shard's affair; here it is kept from being empty, endless, crowded or bottomless.

    Raises:
        InvalidArgumentError: it is one of these.
    """
    if not condition:
        raise errors.InvalidArgumentError("filter is empty; leave it out to mean every row")
    # Its length first, which is soon told: what is walked after it is short.
    try:
        encoded = orjson.dumps(condition)
    except TypeError as error:
        if "ecursion" in str(error):
            raise _too_deep() from None
        raise errors.InvalidArgumentError("filter holds an integer of more than 64 bits") from None
    if len(encoded) > MAX_FILTER_BYTES:
        raise errors.InvalidArgumentError(
            f"filter has {len(encoded)} bytes as UTF-8 JSON; at most {MAX_FILTER_BYTES} are taken"
        )
    # Most filters have fewer objects and lists in all than may be in each other.
    if encoded.count(b"{") + encoded.count(b"[") > MAX_FILTER_DEPTH and _deeper_than(
        condition, MAX_FILTER_DEPTH
    ):
        raise _too_deep()
    if len(encoded) > MAX_CONDITIONS * _LEAST_CONDITION_BYTES:
        number = _conditions_of(condition)
        if number > MAX_CONDITIONS:
            raise errors.InvalidArgumentError(
                f"filter has {number} conditions; at most {MAX_CONDITIONS} are taken"
            )
    return encoded


def _conditions_of(node: object) -> int:
    """Return how many conditions a filter has; what is no filter has none, and is the shard's to refuse."""
    if not isinstance(node, dict):
        return 0
    found = 0
    for name, value in node.items():
        if name in ("$and", "$or"):
            found += sum(map(_conditions_of, value)) if isinstance(value, list) else 0
        elif name == "$not":
            found += _conditions_of(value)
        else:
            found += _operators_of(value) if isinstance(value, dict) else 1
    return found


def _operators_of(document: dict[str, Any]) -> int:
    nested = document.get("$not")
    return len(document) - ("$not" in document) + (_operators_of(nested) if isinstance(nested, dict) else 0)


def _too_deep() -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(f"filter is nested deeper than {MAX_FILTER_DEPTH} levels")


def most_question_bytes(generation: config.Generation) -> int:
    """Return how long a body may be that only asks: its vectors, and ample room for filter and texts."""
    own = sum(
        field.dimensions * (MAX_QUERY_TOKENS if field.late_interaction else 1) for field in generation.vectors
    )
    return _BESIDE_VECTORS + (generation.dimensions + own) * _BYTES_OF_NUMBER


def _encodable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _is_flat(value: object) -> bool:
    match value:
        case str() | bool():
            return True
        case int():
            return -MAX_INTEGER <= value <= MAX_INTEGER
        case float():
            return math.isfinite(value)
        case list():
            return all(isinstance(item, str) for item in value)
        case _:
            return False


def _is_flat_list(value: object) -> bool:
    return isinstance(value, list) and not any(isinstance(item, list) or not _is_flat(item) for item in value)


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case dict():
            return "an object"
        case list():
            return "a list that holds something else than strings"
        case _:
            return "a number of more than 64 bits"


def _deeper_than(value: object, levels: int) -> bool:
    match value:
        case dict():
            inner = list(value.values())
        case list():
            inner = value
        case _:
            return False
    return levels == 0 or any(_deeper_than(item, levels - 1) for item in inner)
