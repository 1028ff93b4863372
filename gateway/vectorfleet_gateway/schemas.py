"""The API's requests as JSON has them, and how bytes become them. Pure.

Field names are Pinecone's. What is unknown is refused, so that a field that would do nothing is never
ignored; what is known and not supported yet is refused by its name. JSON null means absent.
"""

from typing import Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from . import duplicates, errors

NOT_JSON = "NaN and Infinity are not JSON"


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Base of the requests: camelCase in JSON, unknown fields refused."""


Fields = dict[str, list[float | list[float]] | None]
"""Vectors by field: one vector, or in a field with late interaction one for each token; null is none."""


class Vector(Body):
    """One row of an upsert."""

    id: str
    values: list[float] | UnsetType | None = UNSET
    vectors: Fields | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    text: str | UnsetType | None = UNSET
    sparse_values: Any | UnsetType = UNSET


class Upsert(Body):
    """`POST /vectors/upsert`."""

    vectors: list[Vector]
    namespace: str | UnsetType | None = UNSET


class SearchParams(Body):
    """How hard to search: our addition to Pinecone's query."""

    ef_search: int | UnsetType | None = UNSET
    exact: bool | UnsetType | None = UNSET
    probes: int | UnsetType | None = UNSET
    oversampling: int | UnsetType | None = UNSET


class Fusion(Body):
    """How the matches by vector and by text become one list: our addition to Pinecone's query."""

    method: Literal["rrf", "weighted"] = "rrf"
    k: int | UnsetType | None = UNSET
    alpha: float | UnsetType | None = UNSET
    candidates: int | UnsetType | None = UNSET


class Query(Body):
    """`POST /query`."""

    top_k: int
    vector: list[float] | UnsetType | None = UNSET
    id: str | UnsetType | None = UNSET
    vectors: Fields | UnsetType | None = UNSET
    weights: dict[str, float] | UnsetType | None = UNSET
    text: str | UnsetType | None = UNSET
    search: Literal["vector", "text", "hybrid"] | UnsetType | None = UNSET
    fusion: Fusion | UnsetType | None = UNSET
    namespace: str | UnsetType | None = UNSET
    filter: dict[str, Any] | UnsetType | None = UNSET
    include_values: bool | UnsetType | None = UNSET
    include_metadata: bool | UnsetType | None = UNSET
    params: SearchParams | UnsetType | None = UNSET
    explain: bool | UnsetType | None = UNSET
    allow_partial: bool | UnsetType | None = UNSET
    sparse_vector: Any | UnsetType = UNSET


class Update(Body):
    """`POST /vectors/update`."""

    id: str
    values: list[float] | UnsetType | None = UNSET
    vectors: Fields | UnsetType | None = UNSET
    set_metadata: dict[str, Any] | UnsetType | None = UNSET
    text: str | UnsetType | None = UNSET
    namespace: str | UnsetType | None = UNSET
    sparse_values: Any | UnsetType = UNSET


class Delete(Body):
    """`POST /vectors/delete`: exactly one of ids, deleteAll and filter."""

    ids: list[str] | UnsetType | None = UNSET
    delete_all: bool | UnsetType | None = UNSET
    filter: dict[str, Any] | UnsetType | None = UNSET
    namespace: str | UnsetType | None = UNSET


class Stats(Body):
    """`POST /describe_index_stats`."""

    filter: dict[str, Any] | UnsetType | None = UNSET


T = TypeVar("T", bound=Body)
V = TypeVar("V")


class Decoder(msgspec.Struct, frozen=True):
    """Decodes the body of one route; made once, at import."""

    inner: msgspec.json.Decoder[Any]

    def __call__(self, body: bytes) -> Any:
        """Return the request that a body holds.

        Raises:
            InvalidArgumentError: it is not UTF-8, not JSON, names a field twice, is nested too deeply, or is
                not a request of this route.
        """
        if not body:
            raise errors.InvalidArgumentError("the body is empty; this route takes JSON")
        try:
            request = self.inner.decode(body)
        except UnicodeDecodeError:
            raise errors.InvalidArgumentError("the body is not UTF-8") from None
        except RecursionError:
            raise errors.InvalidArgumentError("the body is nested too deeply") from None
        except msgspec.ValidationError as error:
            raise errors.InvalidArgumentError(f"the body does not fit: {error}") from None
        except (msgspec.DecodeError, ValueError) as error:
            hint = f"; {NOT_JSON}" if b"NaN" in body or b"Infinity" in body else ""
            raise errors.InvalidArgumentError(f"the body is not valid JSON: {error}{hint}") from None
        if repeated := duplicates.find(body, request):
            raise errors.InvalidArgumentError(
                f"the body names the field {repeated[:64]!r} twice in one object"
            )
        return request


def decoder(kind: type[T]) -> Decoder:
    """Return the decoder of a kind of request."""
    return Decoder(msgspec.json.Decoder(kind))


def given(value: V | UnsetType | None) -> V | None:
    """Return a field's value, or None where it was null or absent."""
    return None if value is UNSET else value


def refuse_sparse(owner: str, value: Any) -> None:
    """Refuse sparse values, which nothing would search."""
    if given(value) is not None:
        raise errors.InvalidArgumentError(f"{owner}: sparse values are not supported yet; send dense values")
