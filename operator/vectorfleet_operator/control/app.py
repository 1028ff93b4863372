"""The control plane over HTTP: who asks, whether they may, and only then what.

A request is authorised on the route that its path resolved to, before its body is read. Whoever has no valid
key learns nothing, not even which routes there are.
"""

import asyncio
import dataclasses
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable

from aiohttp import typedefs, web

from vectorfleet_runtime import grants, keys

from .. import errors
from . import audit, indexes, refusals, wire

_LOG = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ENTRY = web.RequestKey("entry", audit.Entry)
_PRINCIPAL = web.RequestKey("principal", grants.Principal)
_SECONDS = 30.0
_MOST = 64

_Answer = Awaitable[web.Response]
_Handler = Callable[["App", web.Request, audit.Entry], _Answer]
_Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclasses.dataclass(frozen=True)
class Route:
    """A call: method, path, the role that it needs, and what answers it."""

    method: str
    path: str
    action: str
    role: grants.Role
    answer: _Handler


class App:
    """Answers the requests of one control plane.

    Args:
        served: the indexes.
        ring: the keys that are valid.
        level: which requests are audited.
    """

    def __init__(self, served: indexes.Indexes, ring: keys.Ring, level: audit.Level) -> None:
        self._indexes, self._ring, self._level = served, ring, level
        self._under_way = 0

    def build(self) -> web.Application:
        """Return what aiohttp serves."""
        built = web.Application(middlewares=[self._middleware()], client_max_size=wire.MAX_BODY_BYTES)
        built.on_response_prepare.append(_unnamed)
        for route in ROUTES:
            built.router.add_route(route.method, route.path, self._handler(route))
        return built

    async def list_indexes(self, _: web.Request, __: audit.Entry) -> web.Response:
        """Answer `GET /indexes`."""
        return web.json_response({"indexes": await self._indexes.list()})

    async def describe_index(self, request: web.Request, _: audit.Entry) -> web.Response:
        """Answer `GET /indexes/{name}`."""
        return web.json_response(await self._indexes.describe(request.match_info["name"]))

    async def create_index(self, request: web.Request, entry: audit.Entry) -> web.Response:
        """Answer `POST /indexes`."""
        asked = wire.read(wire.Create, await request.read())
        entry.index = asked.name
        return web.json_response(await self._indexes.create(asked), status=201)

    async def configure_index(self, request: web.Request, _: audit.Entry) -> web.Response:
        """Answer `PATCH /indexes/{name}`."""
        asked = wire.read(wire.Configure, await request.read())
        return web.json_response(await self._indexes.configure(request.match_info["name"], asked))

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

    def _handler(self, route: Route) -> Callable[[web.Request], _Answer]:
        async def handle(request: web.Request) -> web.Response:
            entry = request[_ENTRY]
            entry.action, entry.changes = route.action, route.role is grants.Role.ADMIN
            entry.index = request.match_info.get("name", "")
            _authorize(request[_PRINCIPAL], route.role)
            if request.headers.get("Content-Encoding", "identity") != "identity":
                raise refusals.Refused(415, "INVALID_ARGUMENT", "send the body as it is, not compressed")
            async with asyncio.timeout(_SECONDS):
                return await route.answer(self, request, entry)

        return handle

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
                raise refusals.Refused(429, "RESOURCE_EXHAUSTED", "too many requests at once: come again")
            return await handler(request)
        except refusals.Refused as refused:
            return _refusal(refused)
        except web.HTTPException as other:
            return _refusal(_of_http(other))
        except Exception as error:  # noqa: BLE001  the caller gets an answer, whatever it is
            return _refusal(_of_failure(error, entry))


ROUTES = (
    Route("GET", "/indexes", "list_indexes", grants.Role.READ, App.list_indexes),
    Route("POST", "/indexes", "create_index", grants.Role.ADMIN, App.create_index),
    Route("POST", "/indexes/create-for-model", "create_for_model", grants.Role.ADMIN, App.for_model),
    Route("GET", "/indexes/{name}", "describe_index", grants.Role.READ, App.describe_index),
    Route("PATCH", "/indexes/{name}", "configure_index", grants.Role.ADMIN, App.configure_index),
    Route("DELETE", "/indexes/{name}", "delete_index", grants.Role.ADMIN, App.delete_index),
)
"""Every call there is. Reading needs a key of role read: a client looks up an index's host by its name."""


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
    known = ", ".join(dict.fromkeys(f"{route.method} {route.path}" for route in ROUTES))
    code = {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}.get(other.status, "INVALID_ARGUMENT")
    return refusals.Refused(other.status, code, f"there is no such call; there are {known}")


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
    body = {"error": {"code": refused.code, "message": str(refused)}, "status": refused.status}
    headers = {"Retry-After": "1"} if refused.status in (429, 503) else {}
    return web.json_response(body, status=refused.status, headers=headers)


async def _unnamed(_: web.Request, answer: web.StreamResponse) -> None:
    """Tell nobody which versions of what answer."""
    answer.headers["Server"] = "vectorfleet"
