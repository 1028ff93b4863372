"""`/openapi.json` and `/docs`: what the API is, for programs and for people."""

import importlib.metadata

import orjson

from .. import call, index, openapi, operations, page, replies

_PAGE_HEADERS = {
    # The page has no script, loads nothing, and belongs in nobody's frame.
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


async def describe(asked: call.Call, served: index.Index) -> replies.Reply:
    """Return the API's description as OpenAPI."""
    asked.check_fields()
    return replies.Reply(orjson.dumps(_document(served)))


async def show(asked: call.Call, served: index.Index) -> replies.Reply:
    """Return the API's description as a page."""
    asked.check_fields()
    content = page.render(_document(served)).encode()
    return replies.Reply(content, headers=_PAGE_HEADERS, kind="text/html; charset=utf-8")


def _document(served: index.Index) -> openapi.Document:
    version = importlib.metadata.version("vectorfleet")
    return openapi.describe(operations.OPERATIONS, served.generation, version)
