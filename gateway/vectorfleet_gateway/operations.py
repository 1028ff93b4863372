"""Every operation of the API: method and path, what it takes and answers, what a key must allow. Pure.

The table of routes gives each of them a handler, and the API's description is made of them, so that neither
can have one that the other lacks.
"""

from dataclasses import dataclass

import msgspec

from . import answers, policy, record_schemas, schemas

NAME = "{name}"
"""Where a path holds a name."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        name: in metrics, logs and the description.
        method: of HTTP.
        path: the whole path; `{name}` in it stands for a name, which may have slashes of its own.
        role: what a key must allow.
        summary: what it does, in a few words.
        answer: what it answers; None where that is a document of another kind.
        body: what its body holds; None where it takes none.
        lines: whether the body is many of these, each on a line of its own.
        query: what its query string holds; None where it takes none.
        needs_body: whether a body must be there.
        status: of HTTP, where it succeeds.
        describes: whether it tells of the API alone, and nothing of what the index holds.
        example: what curl takes behind the host, to try it.
    """

    name: str
    method: str
    path: str
    role: policy.Role
    summary: str
    answer: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    query: type[schemas.Body] | None = None
    lines: bool = False
    needs_body: bool = True
    status: int = 200
    describes: bool = False
    example: str = ""

    @property
    def writes(self) -> bool:
        """Whether it may change what the index holds, so that its answer tells where that stands."""
        return self.role > policy.Role.READ


_READ, _WRITE = policy.Role.READ, policy.Role.WRITE

OPERATIONS = (
    Operation(
        "upsert",
        "POST",
        "/vectors/upsert",
        _WRITE,
        "Write whole rows, replacing those with the same ids",
        answers.Upserted,
        schemas.Upsert,
        example="""/vectors/upsert -d '{"vectors": [{"id": "a", "values": [0.1, …]}]}'""",
    ),
    Operation(
        "update",
        "POST",
        "/vectors/update",
        _WRITE,
        "Replace a row's values, sparse values or vector fields, or set fields of its metadata",
        answers.Nothing,
        schemas.Update,
        example="""/vectors/update -d '{"id": "a", "setMetadata": {"year": 2027}}'""",
    ),
    Operation(
        "delete",
        "POST",
        "/vectors/delete",
        _WRITE,
        "Delete rows by id, by filter, or all of a namespace: exactly one of the three",
        answers.Nothing,
        schemas.Delete,
        example="""/vectors/delete -d '{"filter": {"year": {"$lt": 2000}}}'""",
    ),
    Operation(
        "fetch",
        "GET",
        "/vectors/fetch",
        _READ,
        "Read rows by id; those that do not exist are left out",
        answers.Fetched,
        query=schemas.FetchQuery,
        example="'/vectors/fetch?ids=a&ids=b'",
    ),
    Operation(
        "list",
        "GET",
        "/vectors/list",
        _READ,
        "List ids by prefix, in ascending order of their UTF-8 bytes",
        answers.Listed,
        query=schemas.ListQuery,
        example="'/vectors/list?prefix=a&limit=10'",
    ),
    Operation(
        "query",
        "POST",
        "/query",
        _READ,
        "Find the best rows by vector, by vector fields, by text, or by vector and text together",
        answers.Matches,
        schemas.Query,
        example="""/query -d '{"topK": 3, "id": "a", "filter": {"year": 2026}, "includeMetadata": true}'""",
    ),
    Operation(
        "stats",
        "POST",
        "/describe_index_stats",
        _READ,
        "Count rows by namespace, all or those that pass a filter",
        answers.Statistics,
        schemas.Stats,
        needs_body=False,
        example="/describe_index_stats -d '{}'",
    ),
    Operation(
        "list_namespaces",
        "GET",
        "/namespaces",
        _READ,
        "List namespaces by name",
        answers.Namespaces,
        query=schemas.NamespacesQuery,
        example="/namespaces",
    ),
    Operation(
        "describe_namespace",
        "GET",
        "/namespaces/{name}",
        _READ,
        "Say how many rows a namespace has",
        answers.Namespace,
        example="/namespaces/__default__",
    ),
    Operation(
        "delete_namespace",
        "DELETE",
        "/namespaces/{name}",
        _WRITE,
        "Delete a namespace with every row in it",
        answers.Nothing,
        example="/namespaces/old -X DELETE",
    ),
    Operation(
        "upsert_records",
        "POST",
        "/records/namespaces/{name}/upsert",
        _WRITE,
        "Write rows of text, which the index's embedder makes vectors of: one JSON object on each line",
        answers.Upserted,
        record_schemas.Record,
        lines=True,
        status=201,
        example="""/records/namespaces/__default__/upsert -d '{"_id": "a", "text": "a red apple"}'""",
    ),
    Operation(
        "search_records",
        "POST",
        "/records/namespaces/{name}/search",
        _READ,
        "Find the best rows by text, in each way that the index has, by a vector, or by both together",
        answers.Hits,
        record_schemas.Search,
        example="""/records/namespaces/__default__/search """
        """-d '{"query": {"top_k": 3, "inputs": {"text": "apple"}}}'""",
    ),
    Operation(
        "openapi",
        "GET",
        "/openapi.json",
        _READ,
        "This description, as OpenAPI 3.1",
        describes=True,
        example="/openapi.json",
    ),
    Operation(
        "docs",
        "GET",
        "/docs",
        _READ,
        "This description, as a page for people",
        describes=True,
        example="/docs -o docs.html",
    ),
)
