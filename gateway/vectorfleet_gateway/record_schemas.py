"""Pinecone's records as JSON has them: what lines of rows and searches hold. Pure.

Their fields are written with underscores, unlike those of the other requests.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from . import limits, schemas


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """Base of what Pinecone writes with underscores; unknown fields refused."""


class Record(msgspec.Struct):
    """One line of `POST /records/namespaces/{name}/upsert`: an id, a text, and the row's metadata beside."""

    id: Annotated[schemas.Id, schemas.told("or `id`")] = msgspec.field(name="_id")


class SearchInputs(Line):
    """What a search of records is given for the embedder."""

    text: Annotated[
        str,
        schemas.told(
            "what to search for: by BM25, by the vector that the embedder makes of it, or by both",
            minLength=1,
            maxLength=limits.MAX_TEXT_CHARACTERS,
        ),
    ]


class SearchVector(Line):
    """A vector of the caller's own; beside a text the two are fused."""

    values: schemas.Values | UnsetType | None = UNSET
    sparse_values: schemas.Weights | UnsetType | None = UNSET
    sparse_indices: schemas.Indices | UnsetType | None = UNSET


class SearchQuery(Line):
    """What a search of records looks for."""

    top_k: Annotated[int, schemas.told("rows to look at", minimum=1, maximum=limits.MAX_TOP_K)]
    inputs: SearchInputs | UnsetType | None = UNSET
    vector: SearchVector | UnsetType | None = UNSET
    id: Annotated[schemas.Id, schemas.told("a row whose values are the vector")] | UnsetType | None = UNSET
    filter: schemas.Filter | UnsetType | None = UNSET
    match_terms: schemas.Refused | UnsetType = UNSET


class SearchRerank(Line):
    """How the rows found are ordered anew by the index's reranker."""

    model: Annotated[str, schemas.told("the reranker's, as the index names it")]
    rank_fields: Annotated[
        list[str], schemas.told("the one metadata field that is judged", minItems=1, maxItems=1)
    ]
    top_n: (
        Annotated[
            int, schemas.told("rows to return; top_k unless given", minimum=1, maximum=limits.MAX_RERANKED)
        ]
        | UnsetType
        | None
    ) = UNSET
    query: schemas.Judged | UnsetType | None = UNSET
    parameters: (
        Annotated[dict[str, Any], schemas.told("not supported: refused unless empty")] | UnsetType | None
    ) = UNSET


class Search(Line):
    """`POST /records/namespaces/{name}/search`."""

    query: SearchQuery
    fields: (
        Annotated[list[str], schemas.told("of the metadata, to return; all unless given, or with `*`")]
        | UnsetType
        | None
    ) = UNSET
    rerank: SearchRerank | UnsetType | None = UNSET
