"""The API's description: OpenAPI 3.1, made of the operations and of the schemas that decode bodies. Pure.

What depends on the index, dimensions and names of its vector fields, is in it, so that a body which fits the
description fits the index.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from vectorfleet_shardnode.api import config

from . import answers, call, consistency, limits, operations

VERSION = "3.1.0"
SCHEMES: dict[str, dict[str, str]] = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "Api-Key"},
    "Token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}
"""The ways in; either is enough. Tokens are for indexes that name who signs them."""
JSON = "application/json"
LINES = "application/x-ndjson"

Document = dict[str, Any]
Refs = dict[type[msgspec.Struct], Document]
"""Where the schema of each kind of body is."""

_REFUSALS = {
    "400": "The request can never succeed",
    "401": "No valid key",
    "403": "The key does not allow this",
    "404": "There is no such route or namespace",
    "405": "The path takes other methods",
    "408": "The body did not arrive in time",
    "410": "A write that the read demands was lost, and a person accepted that",
    "413": "The body is too long",
    "414": "The URL is longer than 64 kB",
    "415": "The body is compressed",
    "429": "Too much is asked, by this key or by all, or a shard is out of memory or disk",
    "499": "The caller closed the connection, or its half of it, before the answer of a read was there",
    "500": "A fault of the gateway, or damaged files",
    "502": "The embedder or reranker refused the gateway, or answered what is of no use",
    "503": "A shard, the embedder or the reranker can't be reached, or is not ready, or has no write quorum",
    "504": "The answer took too long",
}
_ABOUT = (
    "Pinecone's data plane, and what one query may ask beyond it. Unknown fields are refused; null means "
    "absent."
)
_POSITION = r"[0-9]{1,5}:[0-9]{1,19}:[0-9]{1,19}"
_HEADERS = (
    {
        "name": call.TIMEOUT_HEADER,
        "in": "header",
        "description": "milliseconds that the caller waits, from the request's head",
        "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    },
    {
        "name": "x-request-id",
        "in": "header",
        "description": "comes back with the answer, and is in the gateway's logs: 1 to 128 of A-Z a-z 0-9 "
        ". _ : -; another one is made in place of what is not",
        "schema": {"type": "string"},
    },
    {
        "name": consistency.CONSISTENCY_HEADER,
        "in": "header",
        "description": "of a read: strong sees every write that was acknowledged before, to anyone",
        "schema": {"type": "string", "enum": [consistency.STRONG, consistency.EVENTUAL]},
    },
    {
        "name": consistency.AT_LEAST_HEADER,
        "in": "header",
        "description": f"of a read: what {consistency.POSITION_HEADER} of writes' answers held, several "
        "separated by commas; it sees those writes",
        "schema": {"type": "string", "pattern": f"^({_POSITION}(,{_POSITION})*)?$"},
    },
    {
        "name": consistency.WRITE_ID_HEADER,
        "in": "header",
        "description": "of a write: drawn for each; sent again with the same one, it is done once",
        "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{32}$"},
    },
)
_STANDS: Document = {
    consistency.POSITION_HEADER: {
        "description": "where the write stands, shard:epoch:seq of each shard that took part",
        "schema": {"type": "string"},
    }
}
_STALE: Document = {
    consistency.STALE_HEADER: {
        "description": "the shards of which the answer may be stale, since no replica acknowledges writes",
        "schema": {"type": "string"},
    }
}
_AGAIN: Document = {
    "retry-after": {
        "description": "seconds after which to come again, where that may help",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_COME_AGAIN = frozenset(("429", "503"))


def describe(
    described: Sequence[operations.Operation], generation: config.Generation, version: str
) -> Document:
    """Return the description of an index's API.

    Args:
        described: in the order of the description.
        generation: says dimensions and vector fields.
        version: of the program.
    """
    kinds = dict.fromkeys(_kinds(described))
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    refs = dict(zip(kinds, schemas, strict=True))
    _fit(components, generation)
    paths: Document = {}
    for operation in described:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, refs, components
        )
    # A query string is described by its fields, and is no schema of its own.
    own = {operation.query.__name__ for operation in described if operation.query is not None}
    return {
        "openapi": VERSION,
        "info": {"title": "Vectorfleet", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in SCHEMES],
        "paths": paths,
        "components": {
            "schemas": {name: components[name] for name in sorted(components) if name not in own},
            "securitySchemes": SCHEMES,
        },
    }


def _kinds(described: Sequence[operations.Operation]) -> Iterator[type[msgspec.Struct]]:
    yield answers.Problem
    for operation in described:
        for kind in (operation.body, operation.query, operation.answer):
            if kind is not None:
                yield kind


def _operation(operation: operations.Operation, refs: Refs, components: Document) -> Document:
    told: Document = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Needs a key with the role `{operation.role.name.lower()}`.",
        "parameters": [*_parameters(operation, components), *_HEADERS],
        "responses": {str(operation.status): _success(operation, refs)} | _failures(refs),
    }
    if operation.example:
        told["x-example"] = operation.example
    if operation.body is not None:
        content = {LINES if operation.lines else JSON: {"schema": refs[operation.body]}}
        told["requestBody"] = {"required": operation.needs_body, "content": content}
    return told


def _parameters(operation: operations.Operation, components: Document) -> Iterator[Document]:
    if operations.NAME in operation.path:
        name = {"type": "string", "minLength": 1, "maxLength": limits.MAX_NAMESPACE_CHARACTERS}
        about = "the namespace; `__default__` is the default one"
        yield {"name": "name", "in": "path", "required": True, "description": about, "schema": name}
    if operation.query is not None:
        schema = components[operation.query.__name__]
        for name, field in schema["properties"].items():
            required = name in schema.get("required", ())
            yield {"name": name, "in": "query", "required": required, "schema": field}


def _success(operation: operations.Operation, refs: Refs) -> Document:
    if operation.answer is None:
        kind = "text/html" if operation.name == "docs" else JSON
        schema = {"type": "string"} if operation.name == "docs" else {"type": "object"}
        return {"description": operation.summary, "content": {kind: {"schema": schema}}}
    about = (operation.answer.__doc__ or "").strip()
    told: Document = {"description": about, "content": {JSON: {"schema": refs[operation.answer]}}}
    if operation.writes:
        told["headers"] = _STANDS
    elif not operation.describes:
        told["headers"] = _STALE
    return told


def _failures(refs: Refs) -> Document:
    content = {JSON: {"schema": refs[answers.Problem]}}
    told: Document = {status: {"description": why, "content": content} for status, why in _REFUSALS.items()}
    for status in _COME_AGAIN:
        told[status]["headers"] = _AGAIN
    return told


def _fit(components: Document, generation: config.Generation) -> None:
    """Say how long vectors are, and which vector fields there are."""
    number = _number(components)
    for kind, field in (
        ("Vector", "values"),
        ("Update", "values"),
        ("Query", "vector"),
        ("SearchVector", "values"),
    ):
        _array(components[kind]["properties"][field]).update(_sized(number, generation.dimensions))
    for kind, most in (
        ("Vector", limits.MAX_TOKENS),
        ("Update", limits.MAX_TOKENS),
        ("Query", limits.MAX_QUERY_TOKENS),
    ):
        named = _array(components[kind]["properties"]["vectors"])
        named["properties"] = {one.name: _field(one, number, most) for one in generation.vectors}
        named["additionalProperties"] = False


def _field(field: config.VectorField, number: Document, most: int) -> Document:
    vector: Document = {"type": "array"} | _sized(number, field.dimensions)
    if field.late_interaction:
        vector = {"type": "array", "items": vector, "minItems": 1, "maxItems": most}
    return {"anyOf": [vector, {"type": "null"}]}


def _sized(number: Document, dimensions: int) -> Document:
    return {"items": number, "minItems": dimensions, "maxItems": dimensions}


def _array(nullable: Document) -> Document:
    found: Document = nullable["anyOf"][0]
    return found


def _number(components: Document) -> Document:
    found: Document = _array(components["Query"]["properties"]["vector"])["items"]
    return found
