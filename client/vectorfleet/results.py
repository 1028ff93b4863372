"""What the calls of a client return: frozen, typed, and open to grow fields.

The structs are decoded straight from the API's JSON; fields that a newer server adds are ignored.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from . import errors, rows, sparse


class Result(msgspec.Struct, frozen=True, rename="camel"):
    """Base of the results: frozen, camelCase on the wire."""


class Match(Result, frozen=True, eq=False):
    """One hit of a query.

    Attributes:
        id: the row's id.
        score: cosine similarity, dot product, or squared Euclidean distance (there, smaller is better); of
            text BM25's; of both, that of the fusion.
        values: float32, shape (dimensions,); None unless `include_values` was set.
        metadata: None unless `include_metadata` was set and the row has some.
        vectors: by vector field, as in `rows.Row`; None unless `include_values` was set and the row has some.
        explain: rank and score in each of the fused lists, and with a sparse vector the `dense` and the
            `sparse` part of the score; None unless `explain` was set.
        sparse_values: as in `rows.Row`; None unless `include_values` was set and the row has some.
    """

    id: str
    score: float
    values: NDArray[np.float32] | None = None
    metadata: dict[str, Any] | None = None
    vectors: dict[str, NDArray[np.float32]] | None = None
    explain: dict[str, Any] | None = None
    sparse_values: sparse.SparseValues | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Match):
            return NotImplemented
        mine = self.id, self.score, self.metadata, self.sparse_values
        theirs = other.id, other.score, other.metadata, other.sparse_values
        same = rows.same_values(self.values, other.values)
        return mine == theirs and same and rows.same_vectors(self.vectors, other.vectors)

    __hash__ = None  # type: ignore[assignment]  # an array has none


class MissingShard(Result, frozen=True):
    """A shard that did not answer, and why."""

    shard: int
    message: str


class Group(Result, frozen=True):
    """Rows that have one value of a metadata field, best first."""

    value: str | float | bool
    matches: tuple[Match, ...]


class QueryResult(Result, frozen=True):
    """The answer to a query: matches, best first.

    Attributes:
        explain: what each part of the query did and took; None unless `explain` was set.
        partial: whether rows of some shards are missing; never unless `allow_partial` was set.
        missing_shards: which.
        groups: with `group_by`, best first; `matches` is empty then.
        complete: of groups: whether none is missing that belongs among them, nor a row of one.
    """

    matches: tuple[Match, ...]
    namespace: str = ""
    explain: dict[str, Any] | None = None
    partial: bool = False
    missing_shards: tuple[MissingShard, ...] = ()
    groups: tuple[Group, ...] = ()
    complete: bool = True


class UpsertResult(Result, frozen=True):
    """How many rows an upsert wrote."""

    upserted_count: int


class FetchResult(Result, frozen=True):
    """The rows that exist among those asked for, by id."""

    vectors: dict[str, rows.Row]
    namespace: str = ""


class ListPage(Result, frozen=True):
    """Some ids, ascending, and where the next page starts.

    Attributes:
        ids: in ascending order of their UTF-8 bytes.
        next_token: asks for the next page; None on the last one.
    """

    ids: tuple[str, ...]
    next_token: str | None = None


class NamespaceCount(Result, frozen=True):
    """How many rows a namespace has."""

    vector_count: int


class Stats(Result, frozen=True):
    """What an index holds.

    Attributes:
        dimension: number of values of each vector.
        total_vector_count: rows of all namespaces.
        namespaces: counts by namespace; the default one is "".
        metric: cosine, dotproduct or euclidean; None where the server does not say.
    """

    dimension: int | None
    total_vector_count: int
    namespaces: dict[str, NamespaceCount]
    metric: str | None = None


class Namespace(msgspec.Struct, frozen=True):
    """A namespace and its number of rows."""

    name: str
    record_count: int = 0


class BatchFailure(msgspec.Struct, frozen=True):
    """Rows that were not acknowledged, and why.

    Attributes:
        ids: of the rows concerned; "" for a row whose id could not be told.
        error: what went wrong. After a ConnectionFailedError or ServerError the rows may be there all the
            same; sending them again does no harm.
    """

    ids: tuple[str, ...]
    error: errors.VectorfleetError


class BatchResult(msgspec.Struct, frozen=True):
    """What `upsert_batch` did, and, while it is at work, has done so far.

    Attributes:
        total: rows read.
        successful: rows acknowledged by the server.
        failed: rows that were not.
        errors: one entry for each batch, or row, that failed.
    """

    total: int = 0
    successful: int = 0
    failed: int = 0
    errors: tuple[BatchFailure, ...] = ()

    @property
    def success_rate(self) -> float:
        """Successful rows as a fraction of all, 0 to 1; 1 where there was none to write."""
        return self.successful / self.total if self.total else 1.0


class WithVectorIds(Result, frozen=True):
    """The API's form of a `ListPage`."""

    vectors: tuple[rows.Row, ...] = ()
    pagination: Mapping[str, str] | None = None


class WithNamespaces(Result, frozen=True):
    """The API's form of a page of namespaces."""

    namespaces: tuple[Namespace, ...] = ()
    pagination: Mapping[str, str] | None = None


class Problem(msgspec.Struct, frozen=True):
    """The API's form of an error."""

    message: str
    code: int | str | None = None
