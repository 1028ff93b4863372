"""The API's answers as JSON, in Pinecone's shapes. Pure.

Values and scores are float32, written with the shortest decimals that read back as the same float32.
Metadata is passed on as the shards keep it, without being read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import orjson

from vectorfleet_shardnode.api import config

from . import errors, fusion, grouping, limits, routing

_NO_VALUES: list[float] = []


class Reply(msgspec.Struct, frozen=True):
    """An answer before its headers.

    Attributes:
        body: JSON, unless `kind` is another one.
        status: HTTP status.
        headers: header fields beside the usual ones.
        kind: of the body.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] | None = None
    kind: str = "application/json"

    def with_headers(self, more: Mapping[str, str]) -> "Reply":
        """Return the answer with more header fields."""
        return msgspec.structs.replace(self, headers={**(self.headers or {}), **more}) if more else self


EMPTY = Reply(b"{}")


class Answer(msgspec.Struct, frozen=True):
    """What a query found.

    Attributes:
        matches: best first.
        namespace: as it was asked.
        explanation: what was done for it; empty where it was not asked for.
        missing: why a shard did not answer, by its number; empty where all did.
        groups: in place of matches, best first; None where they are not grouped.
        complete: whether no group or row of a group is missing that belongs among them.
        at: epoch and seq at which each shard stood; None where that is not one position of each.
    """

    matches: Sequence[fusion.Fused]
    namespace: str
    explanation: Mapping[str, Any]
    missing: Mapping[int, str] = msgspec.field(default_factory=dict)
    groups: Sequence[grouping.Group] | None = None
    complete: bool = True
    at: Mapping[int, tuple[int, int]] | None = None


def failure(error: errors.ApiError) -> Reply:
    """Return the answer of a failed request, in Pinecone's form."""
    body = {"code": error.code, "message": str(error), "details": []}
    return Reply(_encode(body), error.status, error.headers)


def encoded(body: object) -> Reply:
    """Return an answer as JSON."""
    return Reply(_encode(body))


def upserted(count: int, status: int = 200) -> Reply:
    """Return how many rows an upsert wrote."""
    return Reply(b'{"upsertedCount":%d}' % count, status)


def matches(answer: Answer, read_units: int) -> Reply:
    """Return what a query found, and how where it was asked."""
    explained = bool(answer.explanation)
    if explained:
        found = [_match(one, explained=True) for one in answer.matches]
    else:
        found = [_plain(one.hit) for one in answer.matches]
    body: dict[str, Any] = {"matches": found, "namespace": answer.namespace, "usage": _usage(read_units)}
    if answer.groups is not None:
        body["groups"] = [_group(one, explained=explained) for one in answer.groups]
        body["complete"] = answer.complete
    if explained:
        body["explain"] = answer.explanation
    if answer.missing:
        missing = [{"shard": number, "message": why} for number, why in sorted(answer.missing.items())]
        body |= {"partial": True, "missingShards": missing}
    return Reply(_encode(body))


def again(body: bytes, explanation: Mapping[str, Any]) -> Reply:
    """Return an answer of `matches` that was given before, with another explanation."""
    if not explanation:
        return Reply(body)
    return Reply(body[:-1] + b',"explain":' + _encode(explanation) + b"}")


def fetched(rows: Sequence[routing.Row], namespace: str, read_units: int) -> Reply:
    """Return rows by id."""
    vectors = {row.id: _row(row) for row in rows}
    return Reply(_encode({"vectors": vectors, "namespace": namespace, "usage": _usage(read_units)}))


def listed(ids: Sequence[str], next_token: str | None, namespace: str, read_units: int) -> Reply:
    """Return a page of ids; `pagination` is there only where another page is."""
    body: dict[str, Any] = {"vectors": [{"id": row_id} for row_id in ids]}
    if next_token is not None:
        body["pagination"] = {"next": next_token}
    return Reply(_encode(body | {"namespace": namespace, "usage": _usage(read_units)}))


def stats(counts: Mapping[str, int], generation: config.Generation) -> Reply:
    """Return how many rows an index has, in all and by namespace."""
    body = {
        "namespaces": {name: {"vectorCount": rows} for name, rows in counts.items()},
        "dimension": generation.dimensions,
        "indexFullness": 0.0,  # of a pod that has a fixed size, which shards have not
        "totalVectorCount": sum(counts.values()),
        "metric": str(generation.metric),
        "vectorType": "dense",
    }
    return Reply(_encode(body))


def namespace(name: str, rows: int) -> Reply:
    """Return one namespace."""
    return Reply(_encode(_namespace(name, rows)))


def namespaces(counts: Mapping[str, int], next_token: str | None) -> Reply:
    """Return a page of namespaces; `pagination` is there only where another page is."""
    body: dict[str, Any] = {"namespaces": [_namespace(name, rows) for name, rows in counts.items()]}
    if next_token is not None:
        body["pagination"] = {"next": next_token}
    return Reply(_encode(body))


def _group(group: grouping.Group, *, explained: bool) -> dict[str, Any]:
    return {"value": group.value, "matches": [_match(one, explained=explained) for one in group.matches]}


def _match(match: fusion.Fused, *, explained: bool) -> dict[str, Any]:
    body = _plain(match.hit)
    if explained and (told := _explained(match)):
        body["explain"] = told
    return body


def _plain(hit: routing.Hit) -> dict[str, Any]:
    row = hit.row
    if row.values is None and not row.metadata and not row.vectors:  # the usual case
        return {"id": row.id, "values": _NO_VALUES, "score": hit.score}
    body = _row(row)
    body["score"] = hit.score
    return body


def _explained(match: fusion.Fused) -> dict[str, Any]:
    """Return where a match stood in each list, and of what its score is the sum."""
    told: dict[str, Any] = {
        name: {"rank": place.rank, "score": place.score} | _parts(place.score, place.sparse)
        for name, place in _places(match).items()
    }
    return told | _parts(match.hit.score, match.hit.sparse)


def _parts(score: np.float32, sparse: np.float32 | None) -> dict[str, np.float32]:
    return {} if sparse is None else {"dense": score - sparse, "sparse": sparse}


def _places(match: fusion.Fused) -> dict[str, fusion.Place]:
    places = {str(source): place for source, place in match.places.items()}
    if match.before is not None:
        places["before"] = match.before
    return places


def _row(row: routing.Row) -> dict[str, Any]:
    body: dict[str, Any] = {"id": row.id, "values": _NO_VALUES if row.values is None else row.values}
    if row.vectors:
        body["vectors"] = dict(row.vectors)
    if row.pairs is not None:
        body["sparseValues"] = row.pairs._asdict()
    if row.metadata:
        body["metadata"] = orjson.Fragment(row.metadata)
    return body


def _namespace(name: str, rows: int) -> dict[str, Any]:
    return {"name": name or limits.DEFAULT_NAMESPACE, "record_count": rows}


def _usage(read_units: int) -> dict[str, int]:
    return {"readUnits": read_units}


def _encode(body: object) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
