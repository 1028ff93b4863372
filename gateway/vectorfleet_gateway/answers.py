"""The API's answers as its description has them. Pure.

`replies` writes them, without these: an answer to a query is made thousands of times a second. Tests hold
each kind of reply against its kind of answer here.
"""

from typing import Annotated, Any

import msgspec


class Answer(msgspec.Struct, rename="camel", omit_defaults=True):
    """Base of the answers."""


class Usage(Answer):
    """What a read cost."""

    read_units: Annotated[int, msgspec.Meta(description="shards that answered")]


class Pagination(Answer):
    """Where the next page starts."""

    next: Annotated[str, msgspec.Meta(description="paginationToken of the next page")]


class Upserted(Answer):
    """What an upsert wrote."""

    upserted_count: int


class Nothing(Answer):
    """Done; there is nothing to tell."""


class SparseValues(Answer):
    """Weights of a few of 2^32 dimensions."""

    indices: list[int]
    values: list[float]


class Row(Answer):
    """A row; `values` is empty where they were not asked for."""

    id: str
    values: list[float]
    vectors: dict[str, list[float | list[float]]] | None = None
    metadata: dict[str, Any] | None = None
    sparse_values: SparseValues | None = None


class Fetched(Answer):
    """The rows that exist among those asked for, by id."""

    vectors: dict[str, Row]
    namespace: str
    usage: Usage


class Match(Row, kw_only=True):
    """A row that a query found."""

    score: Annotated[
        float,
        msgspec.Meta(
            description="cosine similarity, dot product, or squared Euclidean distance (there, smaller is "
            "better); of text BM25's; of both, that of the fusion"
        ),
    ]
    explain: (
        Annotated[
            dict[str, Any],
            msgspec.Meta(description="rank and score in each fused list; the parts of a score"),
        ]
        | None
    ) = None


class MissingShard(Answer):
    """A shard that did not answer, and why."""

    shard: int
    message: str


class Group(Answer):
    """Rows that have one value of a metadata field, best first."""

    value: str | float | bool
    matches: list[Match]


class Matches(Answer):
    """What a query found, best first; with groupBy, matches are empty and the groups have them."""

    matches: list[Match]
    namespace: str
    usage: Usage
    explain: (
        Annotated[dict[str, Any], msgspec.Meta(description="what each part of the query did and took")] | None
    ) = None
    partial: Annotated[bool, msgspec.Meta(description="whether rows of some shards are missing")] = False
    missing_shards: list[MissingShard] = []
    groups: list[Group] | None = None
    complete: (
        Annotated[
            bool,
            msgspec.Meta(description="of groups: whether none is missing that belongs among them, nor a row"),
        ]
        | None
    ) = None


class Hit(msgspec.Struct):
    """A row that a search of records found."""

    id: Annotated[str, msgspec.Meta(description="of the row")] = msgspec.field(name="_id")
    score: Annotated[float, msgspec.Meta(description="as in a query's matches")] = msgspec.field(
        name="_score"
    )
    fields: Annotated[dict[str, Any], msgspec.Meta(description="of its metadata, those asked for")]


class HitList(msgspec.Struct):
    """Rows, best first."""

    hits: list[Hit]


class RecordsUsage(msgspec.Struct):
    """What a search cost."""

    read_units: Annotated[int, msgspec.Meta(description="shards that answered")]


class Hits(msgspec.Struct):
    """What a search of records found."""

    result: HitList
    usage: RecordsUsage


class ListedId(Answer):
    """One id of a page."""

    id: str


class Listed(Answer):
    """A page of ids, ascending."""

    vectors: list[ListedId]
    namespace: str
    usage: Usage
    pagination: Pagination | None = None


class NamespaceCount(Answer):
    """How many rows a namespace has."""

    vector_count: int


class Statistics(Answer):
    """What an index holds."""

    namespaces: Annotated[
        dict[str, NamespaceCount], msgspec.Meta(description="by name; the default one is empty")
    ]
    dimension: int
    index_fullness: float
    total_vector_count: int
    metric: str
    vector_type: str


class Namespace(msgspec.Struct):
    """A namespace that has rows."""

    name: str
    record_count: int


class Namespaces(Answer):
    """A page of namespaces, by name."""

    namespaces: list[Namespace]
    pagination: Pagination | None = None


class Problem(Answer):
    """Why a request was refused, or failed."""

    code: Annotated[int, msgspec.Meta(description="gRPC's number of such errors")]
    message: Annotated[str, msgspec.Meta(description="what was wrong, and what would be right")]
    details: list[Any]
