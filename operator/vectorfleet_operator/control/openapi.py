"""The control plane's description: OpenAPI 3.1, made of its calls and of what reads bodies. PURE."""

from collections.abc import Sequence
from typing import Any, Literal

import pydantic
import pydantic.json_schema

from . import answers, calls, mapping

Document = dict[str, Any]
_REF = "#/components/schemas/{model}"
_JSON = "application/json"
_SCHEME = "ApiKey"
_ABOUT = "Pinecone's calls that make, show, change and delete indexes. Unknown fields are refused."
_REFUSALS = {
    "400": "The request is wrong; the message names each field",
    "401": "No valid key",
    "403": "The key does not allow it, the index is protected, or there are as many as there may be",
    "404": "There is no such index or path",
    "405": "The path takes other methods",
    "409": "The name is taken",
    "413": "The body has more than 64 KiB",
    "415": "The body is compressed",
    "429": "Too much is asked, by this key or by all",
    "500": "A fault of ours",
    "503": "The cluster can't be reached",
    "504": "The cluster did not answer in time",
}
_REQUEST_ID = {
    "name": "x-request-id",
    "in": "header",
    "description": "comes back with the answer, and is in the audit log; another one is made in place of "
    "what is none",
    "schema": {"type": "string"},
}
_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "of the index",
    "schema": {"type": "string", "pattern": f"^{mapping.NAME.pattern}$"},
}


def describe(described: Sequence[calls.Call], version: str) -> Document:
    """Return the description of the calls.

    Args:
        described: in the order of the description; what is refused always is left out.
        version: of the program.
    """
    offered = [call for call in described if call.offered]
    schemas = _schemas(offered)
    paths: Document = {}
    for call in offered:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Vectorfleet's control plane",
            "version": version,
            "description": _ABOUT,
        },
        "servers": [{"url": "/"}],
        "security": [{_SCHEME: []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {_SCHEME: {"type": "apiKey", "in": "header", "name": "Api-Key"}},
        },
    }


def _schemas(described: Sequence[calls.Call]) -> Document:
    """Return the schema of every body, and of what bodies are made of, by name."""
    kinds = {call.body for call in described} | {call.answer for call in described} | {answers.Problem}
    modes: list[tuple[type[pydantic.BaseModel], Literal["validation"]]] = [
        (kind, "validation") for kind in kinds if kind is not None
    ]
    _, told = pydantic.json_schema.models_json_schema(modes, ref_template=_REF)
    found: Document = told["$defs"]
    return {name: found[name] for name in sorted(found)}


def _operation(call: calls.Call) -> Document:
    told: Document = {
        "operationId": call.action,
        "summary": call.summary,
        "description": f"Needs a key with the role `{call.role.name.lower()}`.",
        "parameters": [*([_NAME] if "{name}" in call.path else []), _REQUEST_ID],
        "responses": {str(call.status): _success(call)} | _failures(),
    }
    if call.body is not None:
        told["requestBody"] = {"required": True, "content": _content(call.body)}
    return told


def _success(call: calls.Call) -> Document:
    if call.answer is not None:
        return {"description": call.summary, "content": _content(call.answer)}
    if call.status == 200 and not call.changes:
        return {"description": call.summary, "content": {_JSON: {"schema": {"type": "object"}}}}
    return {"description": call.summary}


def _failures() -> Document:
    content = _content(answers.Problem)
    return {status: {"description": why, "content": content} for status, why in _REFUSALS.items()}


def _content(kind: type[pydantic.BaseModel]) -> Document:
    return {_JSON: {"schema": {"$ref": _REF.format(model=kind.__name__)}}}
