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


def _told(description: str, **schema: Any) -> msgspec.Meta:
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
Id = Annotated[
    str, _told("1 to 512 characters, any but NUL", minLength=1, maxLength=limits.MAX_ID_CHARACTERS)
]
Ids = Annotated[list[Id], _told("ids of rows", minItems=1, maxItems=limits.MAX_VECTORS)]
Namespace = Annotated[str, _told("unless given, the default one", maxLength=limits.MAX_NAMESPACE_CHARACTERS)]
Values = Annotated[list[Number], _told("as many as the index has dimensions; not all 0 under cosine")]
Metadata = Annotated[dict[str, Any], _told("strings, numbers, booleans and lists of strings; 40 KB as JSON")]
Filter = Annotated[dict[str, Any], _told("a condition on metadata, in Pinecone's language; of {} none")]
DeleteFilter = Annotated[
    dict[str, Any], _told("a condition on metadata, in Pinecone's language", minProperties=1)
]
Fields = Annotated[
    dict[str, list[Number | list[Number]] | None],
    _told("by vector field: one vector, or with late interaction one for each token; null is none"),
]
EmbeddedText = Annotated[
    str,
    _told(
        "what the index's embedder makes the values of, where there are none",
        minLength=1,
        maxLength=limits.MAX_EMBEDDED_CHARACTERS,
    ),
]
Sparse = Annotated[Any, _told("not supported: refused unless null")]


class Vector(Body):
    """One row of an upsert."""

    id: Id
    values: Values | UnsetType | None = UNSET
    vectors: Fields | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    text: EmbeddedText | UnsetType | None = UNSET
    sparse_values: Sparse | UnsetType = UNSET


class Upsert(Body):
    """`POST /vectors/upsert`."""

    vectors: Annotated[list[Vector], _told("the rows", minItems=1, maxItems=limits.MAX_VECTORS)]
    namespace: Namespace | UnsetType | None = UNSET


class SearchParams(Body):
    """How hard to search: our addition to Pinecone's query."""

    ef_search: (
        Annotated[int, _told("HNSW's candidates", minimum=1, maximum=limits.MAX_EF_SEARCH)] | UnsetType | None
    ) = UNSET
    exact: Annotated[bool, _told("compare with every row")] | UnsetType | None = UNSET
    probes: Annotated[int, _told("IVF's lists", minimum=1, maximum=limits.MAX_PROBES)] | UnsetType | None = (
        UNSET
    )
    oversampling: (
        Annotated[
            int,
            _told(
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

    method: Annotated[Literal["rrf", "weighted"], _told("by ranks, or by scores brought to 0 to 1")] = "rrf"
    k: (
        Annotated[int, _told("of rrf; 60 unless given", minimum=1, maximum=limits.MAX_RRF_K)]
        | UnsetType
        | None
    ) = UNSET
    alpha: (
        Annotated[float, _told("of weighted: the vector's weight; 0.5 unless given", minimum=0, maximum=1)]
        | UnsetType
        | None
    ) = UNSET
    candidates: (
        Annotated[
            int,
            _told(
                "matches of each list that are looked at; 100 or topK unless given",
                minimum=1,
                maximum=limits.MAX_TOP_K,
            ),
        ]
        | UnsetType
        | None
    ) = UNSET


class Rerank(Body):
    """How the first matches are ordered anew by the index's reranker: our addition to Pinecone's query."""

    query: (
        Annotated[
            str,
            _told(
                "what texts are compared with; the query's own text unless given",
                minLength=1,
                maxLength=limits.MAX_TEXT_CHARACTERS,
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    field: Annotated[str, _told("the metadata field that is judged")] | UnsetType | None = UNSET
    candidates: (
        Annotated[
            int,
            _told(
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
        str, _told("a metadata field that holds a string, a number or a boolean; lists are in no group")
    ]
    rows: (
        Annotated[int, _told("of each group; 1 unless given", minimum=1, maximum=limits.MAX_GROUP_ROWS)]
        | UnsetType
        | None
    ) = UNSET


class Query(Body):
    """`POST /query`."""

    top_k: Annotated[
        int, _told("matches to return, or groups with groupBy", minimum=1, maximum=limits.MAX_TOP_K)
    ]
    vector: Values | UnsetType | None = UNSET
    id: Annotated[Id, _told("a row whose values are the vector")] | UnsetType | None = UNSET
    vectors: Fields | UnsetType | None = UNSET
    weights: (
        Annotated[dict[str, float], _told("of a sum over vectors, by field; `values` is the vector")]
        | UnsetType
        | None
    ) = UNSET
    text: (
        Annotated[
            str,
            _told(
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
            _told("how the text is searched; in each way that the index has, unless given"),
        ]
        | UnsetType
        | None
    ) = UNSET
    fusion: Fusion | UnsetType | None = UNSET
    rerank: Rerank | UnsetType | None = UNSET
    namespace: Namespace | UnsetType | None = UNSET
    filter: Filter | UnsetType | None = UNSET
    include_values: Annotated[bool, _told("return the matches' vectors")] | UnsetType | None = UNSET
    include_metadata: Annotated[bool, _told("return the matches' metadata")] | UnsetType | None = UNSET
    params: SearchParams | UnsetType | None = UNSET
    group_by: GroupBy | UnsetType | None = UNSET
    explain: Annotated[bool, _told("tell what was done, and how long it took")] | UnsetType | None = UNSET
    allow_partial: (
        Annotated[bool, _told("take an answer that lacks shards which can't answer")] | UnsetType | None
    ) = UNSET
    sparse_vector: Sparse | UnsetType = UNSET


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """Base of what Pinecone writes with underscores; unknown fields refused."""


class Record(msgspec.Struct):
    """One line of `POST /records/namespaces/{name}/upsert`: an id, a text, and the row's metadata beside."""

    id: Annotated[Id, _told("or `id`")] = msgspec.field(name="_id")


class SearchInputs(Line):
    """What a search of records is given for the embedder."""

    text: Annotated[
        str,
        _told(
            "what to search for: by BM25, by the vector that the embedder makes of it, or by both",
            minLength=1,
            maxLength=limits.MAX_TEXT_CHARACTERS,
        ),
    ]


class SearchVector(Line):
    """A vector of the caller's own; beside a text the two are fused."""

    values: Values | UnsetType | None = UNSET
    sparse_values: Sparse | UnsetType = UNSET
    sparse_indices: Sparse | UnsetType = UNSET


class SearchQuery(Line):
    """What a search of records looks for."""

    top_k: Annotated[int, _told("rows to look at", minimum=1, maximum=limits.MAX_TOP_K)]
    inputs: SearchInputs | UnsetType | None = UNSET
    vector: SearchVector | UnsetType | None = UNSET
    id: Annotated[Id, _told("a row whose values are the vector")] | UnsetType | None = UNSET
    filter: Filter | UnsetType | None = UNSET
    match_terms: Sparse | UnsetType = UNSET


class SearchRerank(Line):
    """How the rows found are ordered anew by the index's reranker."""

    model: Annotated[str, _told("the reranker's, as the index names it")]
    rank_fields: Annotated[list[str], _told("the one metadata field that is judged", minItems=1, maxItems=1)]
    top_n: (
        Annotated[int, _told("rows to return; top_k unless given", minimum=1, maximum=limits.MAX_RERANKED)]
        | UnsetType
        | None
    ) = UNSET
    query: (
        Annotated[
            str,
            _told(
                "what texts are compared with; the query's own text unless given",
                minLength=1,
                maxLength=limits.MAX_TEXT_CHARACTERS,
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    parameters: Annotated[dict[str, Any], _told("not supported: refused unless empty")] | UnsetType | None = (
        UNSET
    )


class Search(Line):
    """`POST /records/namespaces/{name}/search`."""

    query: SearchQuery
    fields: (
        Annotated[list[str], _told("of the metadata, to return; all unless given, or with `*`")]
        | UnsetType
        | None
    ) = UNSET
    rerank: SearchRerank | UnsetType | None = UNSET


class Update(Body):
    """`POST /vectors/update`."""

    id: Id
    values: Values | UnsetType | None = UNSET
    vectors: Fields | UnsetType | None = UNSET
    set_metadata: Annotated[Metadata, _told("fields to set; the others stay")] | UnsetType | None = UNSET
    text: EmbeddedText | UnsetType | None = UNSET
    namespace: Namespace | UnsetType | None = UNSET
    sparse_values: Sparse | UnsetType = UNSET


class Delete(Body):
    """`POST /vectors/delete`: exactly one of ids, deleteAll and filter."""

    ids: Ids | UnsetType | None = UNSET
    delete_all: Annotated[bool, _told("every row of the namespace")] | UnsetType | None = UNSET
    filter: DeleteFilter | UnsetType | None = UNSET
    namespace: Namespace | UnsetType | None = UNSET


class Stats(Body):
    """`POST /describe_index_stats`."""

    filter: Annotated[dict[str, Any], _told("count the rows that pass it")] | UnsetType | None = UNSET


PageLimit = Annotated[
    int, _told("entries of a page; 100 unless given", minimum=1, maximum=limits.MAX_LIST_LIMIT)
]
Token = Annotated[str, _told("`pagination.next` of the page before")]


class FetchQuery(Body):
    """The query string of `GET /vectors/fetch`."""

    ids: Annotated[Ids, _told("given once for each")]
    namespace: Namespace | UnsetType = UNSET


class ListQuery(Body):
    """The query string of `GET /vectors/list`."""

    namespace: Namespace | UnsetType = UNSET
    prefix: Annotated[str, _told("how the ids begin", maxLength=limits.MAX_ID_CHARACTERS)] | UnsetType = UNSET
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
        if repeated := duplicates.find(body, request):
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


def refuse_sparse(owner: str, value: Any) -> None:
    """Refuse sparse values, which nothing would search."""
    if given(value) is not None:
        raise errors.InvalidArgumentError(f"{owner}: sparse values are not supported yet; send dense values")
