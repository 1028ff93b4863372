"""The API's requests as JSON has them, and how bytes become them. Pure.

Field names are Pinecone's. What is unknown is refused, so that a field that would do nothing is never
ignored; what is known and not supported yet is refused by its name. JSON null means absent.
"""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from . import duplicates, errors, limits

NOT_JSON = "NaN and Infinity are not JSON"


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Base of the requests: camelCase in JSON, unknown fields refused."""


def told(description: str, **schema: Any) -> msgspec.Meta:
    """Say what the API's description tells of a field; it is checked elsewhere, with better words."""
    return msgspec.Meta(description=description, extra_json_schema=schema or None)


Number = Annotated[
    float,
    msgspec.Meta(
        extra_json_schema={
            "exclusiveMinimum": -limits.FLOAT32_BOUND,
            "exclusiveMaximum": limits.FLOAT32_BOUND,
        }
    ),
]
Id = Annotated[str, told("1 to 512 characters, any but NUL", minLength=1, maxLength=limits.MAX_ID_CHARACTERS)]
Ids = Annotated[list[Id], told("ids of rows", minItems=1, maxItems=limits.MAX_VECTORS)]
Namespace = Annotated[str, told("unless given, the default one", maxLength=limits.MAX_NAMESPACE_CHARACTERS)]
Values = Annotated[list[Number], told("as many as the index has dimensions; not all 0 under cosine")]
Metadata = Annotated[dict[str, Any], told("strings, numbers, booleans and lists of strings; 40 KB as JSON")]
Filter = Annotated[dict[str, Any], told("a condition on metadata, in Pinecone's language; of {} none")]
DeleteFilter = Annotated[
    dict[str, Any], told("a condition on metadata, in Pinecone's language", minProperties=1)
]
Fields = Annotated[
    dict[str, list[Number | list[Number]] | None],
    told("by vector field: one vector, or with late interaction one for each token; null is none"),
]
EmbeddedText = Annotated[
    str,
    told(
        "what the index's embedder makes the values of, where there are none",
        minLength=1,
        maxLength=limits.MAX_EMBEDDED_CHARACTERS,
    ),
]
Refused = Annotated[Any, told("not supported: refused unless null")]
Indices = Annotated[
    list[Annotated[int, told("a dimension", minimum=0, maximum=limits.MAX_INDEX)]],
    told("each once", minItems=1, maxItems=limits.MAX_PAIRS, uniqueItems=True),
]
Weights = Annotated[list[Number], told("one for each index", minItems=1, maxItems=limits.MAX_PAIRS)]


class SparseValues(Body):
    """Weights of a few of 2^32 dimensions; of indexes with the metric dotproduct alone."""

    indices: Indices
    values: Weights


Sparse = Annotated[SparseValues, told("scored by dot product, beside the dense values")]


class Vector(Body):
    """One row of an upsert."""

    id: Id
    values: Values | UnsetType | None = UNSET
    vectors: Fields | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    text: EmbeddedText | UnsetType | None = UNSET
    sparse_values: Sparse | UnsetType | None = UNSET


class Upsert(Body):
    """`POST /vectors/upsert`."""

    vectors: Annotated[list[Vector], told("the rows", minItems=1, maxItems=limits.MAX_VECTORS)]
    namespace: Namespace | UnsetType | None = UNSET


class SearchParams(Body):
    """How hard to search: our addition to Pinecone's query."""

    ef_search: (
        Annotated[int, told("HNSW's candidates", minimum=1, maximum=limits.MAX_EF_SEARCH)] | UnsetType | None
    ) = UNSET
    exact: Annotated[bool, told("compare with every row")] | UnsetType | None = UNSET
    probes: Annotated[int, told("IVF's lists", minimum=1, maximum=limits.MAX_PROBES)] | UnsetType | None = (
        UNSET
    )
    oversampling: (
        Annotated[
            int,
            told(
                "candidates scored anew with full vectors, as a multiple of topK",
                minimum=1,
                maximum=limits.MAX_OVERSAMPLING,
            ),
        ]
        | UnsetType
        | None
    ) = UNSET


class Fusion(Body):
    """How the matches by vector and by text become one list: our addition to Pinecone's query."""

    method: (
        Annotated[
            Literal["rrf", "weighted"], told("by ranks, as unless given, or by scores brought to 0 to 1")
        ]
        | UnsetType
    ) = UNSET
    k: (
        Annotated[int, told("of rrf; 60 unless given", minimum=1, maximum=limits.MAX_RRF_K)]
        | UnsetType
        | None
    ) = UNSET
    alpha: (
        Annotated[float, told("of weighted: the vector's weight; 0.5 unless given", minimum=0, maximum=1)]
        | UnsetType
        | None
    ) = UNSET
    candidates: (
        Annotated[
            int,
            told(
                "matches of each list that are looked at; 100 or topK unless given",
                minimum=1,
                maximum=limits.MAX_TOP_K,
            ),
        ]
        | UnsetType
        | None
    ) = UNSET


Judged = Annotated[
    str,
    told(
        "what texts are compared with; the query's own text unless given",
        minLength=1,
        maxLength=limits.MAX_TEXT_CHARACTERS,
    ),
]
"""What a reranker compares texts with."""


class Rerank(Body):
    """How the first matches are ordered anew by the index's reranker: our addition to Pinecone's query."""

    query: Judged | UnsetType | None = UNSET
    field: Annotated[str, told("the metadata field that is judged")] | UnsetType | None = UNSET
    candidates: (
        Annotated[
            int,
            told(
                "first matches that are looked at; 50 or topK unless given",
                minimum=1,
                maximum=limits.MAX_RERANKED,
            ),
        ]
        | UnsetType
        | None
    ) = UNSET


class GroupBy(Body):
    """Matches in groups by a metadata field, `topK` of them: our addition to Pinecone's query."""

    field: Annotated[
        str, told("a metadata field that holds a string, a number or a boolean; lists are in no group")
    ]
    rows: (
        Annotated[int, told("of each group; 1 unless given", minimum=1, maximum=limits.MAX_GROUP_ROWS)]
        | UnsetType
        | None
    ) = UNSET


class Query(Body):
    """`POST /query`."""

    top_k: Annotated[
        int, told("matches to return, or groups with groupBy", minimum=1, maximum=limits.MAX_TOP_K)
    ]
    vector: Values | UnsetType | None = UNSET
    id: Annotated[Id, told("a row whose values are the vector")] | UnsetType | None = UNSET
    vectors: Fields | UnsetType | None = UNSET
    weights: (
        Annotated[dict[str, float], told("of a sum over vectors, by field; `values` is the vector")]
        | UnsetType
        | None
    ) = UNSET
    text: (
        Annotated[
            str,
            told(
                "what to search for: by BM25, by the vector that the embedder makes of it, or by both",
                minLength=1,
                maxLength=limits.MAX_TEXT_CHARACTERS,
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    search: (
        Annotated[
            Literal["vector", "text", "hybrid"],
            told("how the text is searched; in each way that the index has, unless given"),
        ]
        | UnsetType
        | None
    ) = UNSET
    fusion: Fusion | UnsetType | None = UNSET
    rerank: Rerank | UnsetType | None = UNSET
    namespace: Namespace | UnsetType | None = UNSET
    filter: Filter | UnsetType | None = UNSET
    include_values: Annotated[bool, told("return the matches' vectors")] | UnsetType | None = UNSET
    include_metadata: Annotated[bool, told("return the matches' metadata")] | UnsetType | None = UNSET
    params: SearchParams | UnsetType | None = UNSET
    group_by: GroupBy | UnsetType | None = UNSET
    explain: Annotated[bool, told("tell what was done, and how long it took")] | UnsetType | None = UNSET
    allow_partial: (
        Annotated[bool, told("take an answer that lacks shards which can't answer")] | UnsetType | None
    ) = UNSET
    sparse_vector: Sparse | UnsetType | None = UNSET


class Update(Body):
    """`POST /vectors/update`."""

    id: Id
    values: Values | UnsetType | None = UNSET
    vectors: Fields | UnsetType | None = UNSET
    set_metadata: Annotated[Metadata, told("fields to set; the others stay")] | UnsetType | None = UNSET
    text: EmbeddedText | UnsetType | None = UNSET
    namespace: Namespace | UnsetType | None = UNSET
    sparse_values: Sparse | UnsetType | None = UNSET


class Delete(Body):
    """`POST /vectors/delete`: exactly one of ids, deleteAll and filter."""

    ids: Ids | UnsetType | None = UNSET
    delete_all: Annotated[bool, told("every row of the namespace")] | UnsetType | None = UNSET
    filter: DeleteFilter | UnsetType | None = UNSET
    namespace: Namespace | UnsetType | None = UNSET


class Stats(Body):
    """`POST /describe_index_stats`."""

    filter: Annotated[dict[str, Any], told("count the rows that pass it")] | UnsetType | None = UNSET


PageLimit = Annotated[
    int, told("entries of a page; 100 unless given", minimum=1, maximum=limits.MAX_LIST_LIMIT)
]
Token = Annotated[str, told("`pagination.next` of the page before")]


class FetchQuery(Body):
    """The query string of `GET /vectors/fetch`."""

    ids: Annotated[Ids, told("given once for each")]
    namespace: Namespace | UnsetType = UNSET


class ListQuery(Body):
    """The query string of `GET /vectors/list`."""

    namespace: Namespace | UnsetType = UNSET
    prefix: Annotated[str, told("how the ids begin", maxLength=limits.MAX_ID_CHARACTERS)] | UnsetType = UNSET
    limit: PageLimit | UnsetType = UNSET
    pagination_token: Token | UnsetType = UNSET


class NamespacesQuery(Body):
    """The query string of `GET /namespaces`."""

    limit: PageLimit | UnsetType = UNSET
    pagination_token: Token | UnsetType = UNSET


T = TypeVar("T", bound=msgspec.Struct)
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
        try:
            repeated = duplicates.find(body, request)
        except RecursionError:
            raise errors.InvalidArgumentError("the body is nested too deeply") from None
        if repeated is not None:
            raise errors.InvalidArgumentError(
                f"the body names the field {repeated[:64]!r} twice in one object"
            )
        return request


def decoder(kind: type[T]) -> Decoder:
    """Return the decoder of a kind of request."""
    return Decoder(msgspec.json.Decoder(kind))


def names_of(query: type[Body]) -> tuple[str, ...]:
    """Return the fields that a query string may have."""
    return query.__struct_encode_fields__


def given(value: V | UnsetType | None) -> V | None:
    """Return a field's value, or None where it was null or absent."""
    return None if value is UNSET else value
