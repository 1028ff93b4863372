"""What one may ask of an index: by vector, by vector fields, by text, or by vector and text together. Pure.

What contradicts itself in a way that any index would refuse is refused here; the rest is the index's affair.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from . import errors, rows, sparse


class SearchParams(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """How hard to search by vector; what is None is as the index has it.

    Attributes:
        ef_search: candidates of HNSW, 1 to 10,000.
        exact: compare with every row.
        probes: inverted lists that IVF looks into.
        oversampling: candidates that are scored anew with full vectors, as a multiple of top_k, 1 to 100.
    """

    ef_search: int | None = None
    exact: bool = False
    probes: int | None = None
    oversampling: int | None = None


Search = Literal["vector", "text", "hybrid"]
"""How a text is searched: by its vector, by its words, or both; unless given, as the index can."""


class Fusion(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """How the matches by vector and by text become one list; what is None is as the index has it.

    Attributes:
        method: by ranks (rrf), or by scores brought to 0 to 1 (weighted).
        k: of rrf; the greater, the less the first ranks stand out.
        alpha: of weighted: the vector's weight, 0 to 1; the text has the rest.
        candidates: matches of each list that are looked at.
    """

    method: Literal["rrf", "weighted"] | None = None
    k: int | None = None
    alpha: float | None = None
    candidates: int | None = None


class Rerank(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """How the first matches are ordered anew, by the service that the index names; None is as it has it.

    Attributes:
        query: what texts are compared with; the query's own text unless given.
        field: the metadata field that holds the texts.
        candidates: how many of the first matches are looked at, from top_k to 1,000.
    """

    query: str | None = None
    field: str | None = None
    candidates: int | None = None


class GroupBy(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Matches in groups by a metadata field; `top_k` is then the number of groups, 1 to 200.

    Attributes:
        field: holds a string, a number or a boolean; rows that lack it, or hold a list, are in no group.
        rows: of each group, 1 to 100.
    """

    field: str
    rows: int = 1


@dataclasses.dataclass(frozen=True)
class Query:
    """What to search for, and what to tell of each hit."""

    vector: rows.Vector | None = None
    id: str | None = None
    sparse_vector: sparse.SparseLike | None = None
    vectors: rows.Vectors | None = None
    weights: Mapping[str, float] | None = None
    text: str | None = None
    search: Search | None = None
    fusion: Fusion | None = None
    rerank: Rerank | None = None
    top_k: int = 10
    namespace: str = ""
    filter: rows.Metadata | None = None
    params: SearchParams | None = None
    include_values: bool = False
    include_metadata: bool = False
    explain: bool = False
    allow_partial: bool = False
    group_by: GroupBy | None = None


def body_of(question: Query) -> dict[str, Any]:
    """Return a query as the API has it.

    Raises:
        InvalidInputError: there is nothing to search for, or two vectors.
    """
    if question.vector is not None and question.id is not None:
        raise errors.InvalidInputError("a query needs a vector, or the id of a row, and not both")
    if all(one is None for one in (question.vector, question.id, question.vectors, question.text)):
        raise errors.InvalidInputError("a query needs a vector, the id of a row, vectors, or a text")
    body: dict[str, Any] = {
        "topK": question.top_k,
        "namespace": question.namespace,
        "includeValues": question.include_values,
        "includeMetadata": question.include_metadata,
    }
    options = {
        "vector": None if question.vector is None else rows.numbers_of(question.vector),
        "id": question.id,
        "sparseVector": None if question.sparse_vector is None else sparse.plain_of(question.sparse_vector),
        "vectors": None if question.vectors is None else rows.vectors_of(question.vectors),
        "weights": None if question.weights is None else dict(question.weights),
        "text": question.text,
        "search": question.search,
        "fusion": question.fusion,
        "rerank": question.rerank,
        "filter": None if question.filter is None else dict(question.filter),
        "params": question.params,
        "explain": question.explain or None,
        "allowPartial": question.allow_partial or None,
        "groupBy": question.group_by,
    }
    return body | {name: value for name, value in options.items() if value is not None}
