"""The control plane over HTTP: who asks, whether they may, and only then what.

A request is authorised on the route that its path resolved to, before its body is read. Whoever has no valid
key learns nothing, not even which routes there are.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from importlib import metadata

from aiohttp import typedefs, web
from pydantic import BaseModel

from vectorfleet_runtime import grants, keys, quotas

from .. import errors
from . import answers, audit, calls, indexes, openapi, refusals, wire

_LOG = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ENTRY = web.RequestKey("entry", audit.Entry)
_PRINCIPAL = web.RequestKey("principal", grants.Principal)
_SECONDS = 30.0
_MOST = 64

_Answer = Awaitable[web.Response]
_Handler = Callable[["App", web.Request, audit.Entry], _Answer]
_Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


class App:
    """Answers the requests of one control plane.

    Args:
        served: the indexes.
        ring: the keys that are valid.
        level: which requests are audited.
    """

    def __init__(self, served: indexes.Indexes, ring: keys.Ring, level: audit.Level) -> None:
        self._indexes, self._ring, self._level = served, ring, level
        self._under_way, self._meters = 0, quotas.Meters()

    def build(self) -> web.Application:
        """Return what aiohttp serves."""
        built = web.Application(middlewares=[self._middleware()], client_max_size=wire.MAX_BODY_BYTES)
        built.on_response_prepare.append(_unnamed)
        for call in calls.CALLS:
            built.router.add_route(call.method, call.path, self._handler(call, _HANDLERS[call.action]))
        return built

    async def list_indexes(self, _: web.Request, __: audit.Entry) -> web.Response:
        """Answer `GET /indexes`."""
        return _json(await self._indexes.list())

    async def describe_index(self, request: web.Request, _: audit.Entry) -> web.Response:
        """Answer `GET /indexes/{name}`."""
        return _json(await self._indexes.describe(request.match_info["name"]))

    async def create_index(self, request: web.Request, entry: audit.Entry) -> web.Response:
        """Answer `POST /indexes`."""
        asked = wire.read(wire.Create, await request.read())
        entry.index = asked.name
        return _json(await self._indexes.create(asked), 201)

    async def configure_index(self, request: web.Request, _: audit.Entry) -> web.Response:
        """Answer `PATCH /indexes/{name}`."""
        asked = wire.read(wire.Configure, await request.read())
        return _json(await self._indexes.configure(request.match_info["name"], asked))

    async def delete_index(self, request: web.Request, _: audit.Entry) -> web.Response:
        """Answer `DELETE /indexes/{name}`."""
        await self._indexes.delete(request.match_info["name"])
        return web.Response(status=202)

    async def for_model(self, _: web.Request, __: audit.Entry) -> web.Response:
        """Answer `POST /indexes/create-for-model`, which would need a model that Pinecone hosts."""
        raise refusals.invalid(
            "no models are hosted here: create_index, and name the service that embeds texts in "
            "spec.embedder of the VectorIndex"
        )

    async def describe_calls(self, _: web.Request, __: audit.Entry) -> web.Response:
        """Answer `GET /openapi.json`."""
        return web.json_response(openapi.describe(calls.CALLS, metadata.version("vectorfleet")))

    def _handler(self, call: calls.Call, answer: _Handler) -> Callable[[web.Request], _Answer]:
        async def handle(request: web.Request) -> web.Response:
            entry = request[_ENTRY]
            entry.action, entry.changes = call.action, call.changes
            entry.index = request.match_info.get("name", "")
            self._admit(request[_PRINCIPAL], call.role)
            if request.headers.get("Content-Encoding", "identity") != "identity":
                raise refusals.Refused(415, "INVALID_ARGUMENT", "send the body as it is, not compressed")
            async with asyncio.timeout(_SECONDS):
                return await answer(self, request, entry)

        return handle

    def _admit(self, principal: grants.Principal, role: grants.Role) -> None:
        _authorize(principal, role)
        steady = time.monotonic()
        meter = self._meters.of(principal, steady)
        if meter is not None:
            try:
                meter.admit(steady, time.time())
            except quotas.SpentError as spent:
                raise refusals.exhausted(str(spent), spent.seconds) from None

    def _middleware(self) -> typedefs.Middleware:
        @web.middleware
        async def guarded(request: web.Request, handler: _Next) -> web.StreamResponse:
            begin, entry = time.monotonic(), audit.Entry(_request_id(request))
            request[_ENTRY] = entry
            self._under_way += 1
            try:
                answer = await self._answer(request, entry, handler)
            finally:
                self._under_way -= 1
            answer.headers["x-request-id"] = entry.request_id
            audit.write(self._level, entry, answer.status, time.monotonic() - begin)
            return answer

        return guarded

    async def _answer(self, request: web.Request, entry: audit.Entry, handler: _Next) -> web.StreamResponse:
        try:
            principal = self._ring.find(request.headers.get("Api-Key", ""), time.time())
            if principal is None:
                raise refusals.unauthenticated()
            entry.principal, request[_PRINCIPAL] = principal.name, principal
            if self._under_way > _MOST:
                raise refusals.exhausted("too many requests are under way", 1)
            return await handler(request)
        except refusals.Refused as refused:
            return _refusal(refused)
        except web.HTTPException as other:
            return _refusal(_of_http(other))
        except Exception as error:  # noqa: BLE001  the caller gets an answer, whatever it is
            return _refusal(_of_failure(error, entry))


_HANDLERS: dict[str, _Handler] = {
    "list_indexes": App.list_indexes,
    "create_index": App.create_index,
    "create_for_model": App.for_model,
    "describe_index": App.describe_index,
    "configure_index": App.configure_index,
    "delete_index": App.delete_index,
    "openapi": App.describe_calls,
}
"""What answers each call, by its action."""


def _authorize(principal: grants.Principal, role: grants.Role) -> None:
    if principal.role < role:
        raise refusals.forbidden(f"this key does not allow {role.name.lower()} requests")
    if principal.namespaces is not None:
        raise refusals.forbidden("this key is for some namespaces of an index, not for indexes")


def _request_id(request: web.Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(4)


def _of_http(other: web.HTTPException) -> refusals.Refused:
    """Return what aiohttp itself refuses in our form."""
    if other.status == 413:
        return refusals.Refused(
            413, "INVALID_ARGUMENT", f"the body has more than {wire.MAX_BODY_BYTES} bytes"
        )
    known = ", ".join(f"{call.method} {call.path}" for call in calls.CALLS)
    code = {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}.get(other.status, "INVALID_ARGUMENT")
    allowed = {"Allow": other.headers["Allow"]} if "Allow" in other.headers else {}
    return refusals.Refused(other.status, code, f"there is no such call; there are {known}", allowed)


def _of_failure(error: Exception, entry: audit.Entry) -> refusals.Refused:
    """Return what went wrong with the cluster, or with us, in our form."""
    extra = {"request_id": entry.request_id, "reason": str(error)}
    if isinstance(error, errors.Rejected):
        return refusals.invalid(str(error))
    if isinstance(error, TimeoutError):
        return refusals.Refused(504, "DEADLINE_EXCEEDED", f"no answer within {_SECONDS:g} s: try again")
    if isinstance(error, errors.OperatorError | OSError):
        _LOG.warning("a request can't be carried out now", extra=extra)
        return refusals.unavailable("the cluster does not carry it out now: try again")
    _LOG.error("a request failed in a way that is our fault", extra=extra, exc_info=error)
    return refusals.Refused(500, "INTERNAL", f"a fault of ours; the log has it by {entry.request_id}")


def _refusal(refused: refusals.Refused) -> web.Response:
    reason = answers.Reason(code=refused.code, message=str(refused))
    answer = _json(answers.Problem(error=reason, status=refused.status), refused.status)
    answer.headers.update(refused.headers)
    return answer


def _json(body: BaseModel, status: int = 200) -> web.Response:
    return web.Response(text=body.model_dump_json(), status=status, content_type="application/json")


async def _unnamed(_: web.Request, answer: web.StreamResponse) -> None:
    """Tell nobody which versions of what answer."""
    answer.headers["Server"] = "vectorfleet"
