"""The API's calls as values: a method, a path, a body, and how to read the answer. Pure.

Both clients send these; neither knows the wire's form. Each may be sent again: a read changes nothing, and a
write goes with an id (`sessions.write_id`) by which its shards do it once.
"""

import dataclasses
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

from . import errors, queries, results, rows, sparse

T = TypeVar("T")

MAX_QUERY_BYTES = 4000
"""Ids of a fetch travel in the URL; a longer list is asked for in several requests."""


@dataclasses.dataclass(frozen=True)
class Call(Generic[T]):
    """One request and the way to read its answer."""

    method: str
    path: str
    decode: Callable[[bytes], T]
    params: tuple[tuple[str, str], ...] = ()
    content: bytes | None = dataclasses.field(default=None, repr=False)
    writes: bool = False


@dataclasses.dataclass(frozen=True)
class Change:
    """What an update changes in a row; what is None stays."""

    values: rows.Vector | None = None
    text: str | None = None
    vectors: rows.Vectors | None = None
    set_metadata: rows.Metadata | None = None
    sparse_values: sparse.SparseLike | None = None


def upsert(items: Iterable[rows.RowLike], namespace: str) -> Call[results.UpsertResult]:
    """Write whole rows, replacing those with the same ids."""
    encoded = [rows.encode(row) for row in items]
    if not encoded:
        raise errors.InvalidInputError("an upsert needs at least one row")
    return upsert_encoded(encoded, namespace)


def upsert_encoded(encoded: Sequence[bytes], namespace: str) -> Call[results.UpsertResult]:
    """Write rows that `rows.encode` has encoded."""
    content = b'{"vectors":[' + b",".join(encoded) + b'],"namespace":' + rows.to_json(namespace) + b"}"
    return Call("POST", "vectors/upsert", _decoder(results.UpsertResult), content=content, writes=True)


def query(question: queries.Query) -> Call[results.QueryResult]:
    """Find the best rows."""
    return _post("query", queries.body_of(question), results.QueryResult)


def fetch(ids: Iterable[str], namespace: str) -> Iterator[Call[results.FetchResult]]:
    """Read rows by id, in as many requests as the length of a URL asks for."""
    batch: list[tuple[str, str]] = []
    size = 0
    for id_ in _strings(ids):
        length = len(urllib.parse.quote_plus(id_)) + len("&ids=")
        if batch and size + length > MAX_QUERY_BYTES:
            yield _fetch(batch, namespace)
            batch, size = [], 0
        batch.append(("ids", id_))
        size += length
    if batch:
        yield _fetch(batch, namespace)


def merge_fetched(answers: Sequence[results.FetchResult], namespace: str) -> results.FetchResult:
    """Put the answers of several fetches together."""
    merged: dict[str, rows.Row] = {}
    for answer in answers:
        merged |= answer.vectors
    return results.FetchResult(vectors=merged, namespace=namespace)


def update(id_: str, change: Change, namespace: str) -> Call[None]:
    """Replace a row's vector, sparse values, some of its vector fields, or some fields of its metadata."""
    body: dict[str, Any] = {"id": id_, "namespace": namespace} | _changed(change)
    return _post_for_nothing("vectors/update", body)


def _changed(change: Change) -> dict[str, Any]:
    if change.values is not None and change.text is not None:
        raise errors.InvalidInputError("an update has values, or a text to be embedded, and not both")
    body: dict[str, Any] = {}
    if change.values is not None:
        body["values"] = rows.numbers_of(change.values)
    if change.text is not None:
        body["text"] = change.text
    if change.vectors:
        body["vectors"] = rows.vectors_of(change.vectors)
    if change.sparse_values is not None:
        body["sparseValues"] = sparse.plain_of(change.sparse_values)
    if change.set_metadata:
        body["setMetadata"] = rows.metadata_of(change.set_metadata)
    if not body:
        raise errors.InvalidInputError(
            "an update needs values, sparse_values, a text, vectors or set_metadata"
        )
    return body


def delete(
    ids: Iterable[str] | None, filter_: rows.Metadata | None, delete_all: bool, namespace: str
) -> Call[None]:
    """Delete rows by id, by filter, or all of a namespace."""
    if (ids is not None) + (filter_ is not None) + delete_all != 1:
        raise errors.InvalidInputError("a delete needs one of ids, filter and delete_all=True")
    body: dict[str, Any] = {"namespace": namespace}
    if ids is not None:
        return _post_for_nothing("vectors/delete", body | {"ids": _strings(ids)})
    body |= {"deleteAll": True} if delete_all else {"filter": dict(filter_ or {})}
    return _post_for_nothing("vectors/delete", body)


def list_page(prefix: str, namespace: str, page_size: int, token: str | None) -> Call[results.ListPage]:
    """Read one page of ids."""
    params = [("namespace", namespace), ("limit", str(page_size))]
    params += [("prefix", prefix)] if prefix else []
    params += [("paginationToken", token)] if token else []
    decode = _decoder(results.WithVectorIds)

    def page(body: bytes) -> results.ListPage:
        answer = decode(body)
        return results.ListPage(tuple(row.id for row in answer.vectors), _next(answer.pagination))

    return Call("GET", "vectors/list", page, params=tuple(params))


def stats(filter_: rows.Metadata | None) -> Call[results.Stats]:
    """Count rows by namespace."""
    body = {} if filter_ is None else {"filter": dict(filter_)}
    return _post("describe_index_stats", body, results.Stats)


def namespaces_page(token: str | None) -> Call[tuple[tuple[results.Namespace, ...], str | None]]:
    """Read one page of namespaces."""
    decode = _decoder(results.WithNamespaces)

    def page(body: bytes) -> tuple[tuple[results.Namespace, ...], str | None]:
        answer = decode(body)
        return answer.namespaces, _next(answer.pagination)

    params = (("paginationToken", token),) if token else ()
    return Call("GET", "namespaces", page, params=params)


def namespace(name: str) -> Call[results.Namespace]:
    """Describe one namespace."""
    return Call("GET", _namespace_path(name), _decoder(results.Namespace))


def delete_namespace(name: str) -> Call[None]:
    """Delete a namespace and every row in it."""
    return Call("DELETE", _namespace_path(name), _ignore, writes=True)


def openapi() -> Call[dict[str, Any]]:
    """Read the description of the index's API for programs."""
    return Call("GET", "openapi.json", _decoder(dict[str, Any]))


def docs() -> Call[str]:
    """Read the description of the index's API for people."""
    return Call("GET", "docs", bytes.decode)


def _fetch(ids: Sequence[tuple[str, str]], namespace_: str) -> Call[results.FetchResult]:
    params = (*ids, ("namespace", namespace_))
    return Call("GET", "vectors/fetch", _decoder(results.FetchResult), params=params)


def _post(path: str, body: dict[str, Any], answer: type[T]) -> Call[T]:
    return Call("POST", path, _decoder(answer), content=rows.to_json(body))


def _post_for_nothing(path: str, body: dict[str, Any]) -> Call[None]:
    return Call("POST", path, _ignore, content=rows.to_json(body), writes=True)


def _namespace_path(name: str) -> str:
    return "namespaces/" + urllib.parse.quote(name or "__default__", safe="")


def _strings(ids: Iterable[str]) -> list[str]:
    if isinstance(ids, str):
        raise errors.InvalidInputError(f"ids is a list of ids, not the string {ids!r}: write [{ids!r}]")
    listed = list(ids)
    for id_ in listed:
        if not isinstance(id_, str) or not id_:
            raise errors.InvalidInputError(f"an id is a string of 1 to 512 characters, not {id_!r}")
    if not listed:
        raise errors.InvalidInputError("ids is empty; it needs at least one id")
    return listed


def _next(pagination: Any) -> str | None:
    return (pagination or {}).get("next") or None


def _ignore(_: bytes) -> None:
    return None


def _decoder(answer: type[T]) -> Callable[[bytes], T]:
    return msgspec.json.Decoder(answer, dec_hook=_array).decode


def _array(_: type, value: object) -> object:
    array = np.asarray(value, dtype=np.float32)
    array.flags.writeable = False
    return array
