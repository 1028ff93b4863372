"""The way that every request takes: resolve the route, authenticate, authorise, read the body, answer.

It is the same for all routes and written once. What a path resolves to is settled before anything is
decided about it; a caller without a key learns nothing but that, not even whether the path exists; and no
byte of a body is read for a caller who may not send it.
"""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from vectorfleet_runtime import deadlines, quotas

from . import admission, audit, body, call, consistency, errors, index, limits, metrics, policy, replies
from .routes import table

_log = logging.getLogger(__name__)


class Scope(Protocol):
    """A request's head; `path` is percent-decoded."""

    method: str
    path: str
    query_string: str

    @property
    def headers(self) -> body.Headers:
        """The header fields."""
        ...


class Exchange(body.Incoming, Protocol):
    """A request's body and the way to answer it."""

    @property
    def left(self) -> bool:
        """Whether its caller has gone."""
        ...

    def watch(self, gives_up: Callable[[], object] | None) -> None:
        """Have that called when its caller goes, from now on, or nothing any more."""
        ...

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send the answer."""
        ...

    def drained(self) -> Awaitable[None]:
        """Wait until the answer has gone, or the caller has."""
        ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a request may take.

    Attributes:
        max_body_bytes: of its body; of one that only asks no more than a query can need.
        timeout: seconds for its body to arrive, and again for its answer.
        max_requests: under way at a time; of one key half as many.
        max_bodies_bytes: of all bodies and large answers that are under way; of one key half as many.
    """

    max_body_bytes: int = 32 * 1024 * 1024
    timeout: float = 30.0
    max_requests: int = 512
    max_bodies_bytes: int = 128 * 1024 * 1024


class Entrance(Protocol):
    """Whoever knows callers by what they show."""

    def enter(self, headers: body.Headers, now: float) -> policy.Principal:
        """Return who asks, at a time in seconds since 1970.

        Raises:
            UnauthenticatedError: nobody who is known.
        """
        ...


class _Asked(msgspec.Struct, frozen=True):
    """What is known of a request that is let in, before its body."""

    route: table.Route
    principal: policy.Principal
    name: str
    meter: quotas.Meter | None
    stay: admission.Stay


LARGE_BYTES = 64 * 1024
"""Of an answer that counts in the house until it is sent; the kernel takes a smaller one at once."""
_RUN = secrets.token_hex(8)
_numbers = itertools.count()


def _new_id() -> str:
    """Return a request id that no other process makes: drawing each anew would cost more than counting."""
    return f"{_RUN}{next(_numbers):016x}"


def _never() -> bool:
    return False


def _refuse(error: errors.ApiError, request_id: str) -> replies.Reply:
    """Count and log what is worth it, and say it to the caller."""
    if isinstance(error, errors.ThrottledError):
        metrics.REFUSALS.labels(error.reason).inc()
    if error.status >= 500:
        _log.warning("request failed", extra={"error": str(error), "request_id": request_id})
    return replies.failure(error)


class App:
    """The gateway, whatever serves it.

    Args:
        served: the index.
        entrance: knows callers by their keys.
        bounds: what a request may take.
        log: where requests are written down.
        open_docs: whether the description of the API is for whoever asks, without a key.
    """

    def __init__(
        self,
        served: index.Index,
        entrance: Entrance,
        bounds: Bounds | None = None,
        log: audit.Audit | None = None,
        *,
        open_docs: bool = False,
    ) -> None:
        self._index = served
        self._entrance = entrance
        self._bounds = bounds or Bounds()
        question = limits.most_question_bytes(served.generation)
        most = self._bounds.max_body_bytes
        self._most_bytes = {False: min(question, most), True: most}  # by whether a route changes anything
        self._house = admission.House(self._bounds.max_requests, self._bounds.max_bodies_bytes)
        self._meters = quotas.Meters()
        self._deadlines = deadlines.Deadlines()
        self._audit = log or audit.Audit()
        self._open_docs = open_docs
        self._in_flight: set[asyncio.Task[object] | None] = set()
        metrics.IN_FLIGHT.set_function(self._in_flight.__len__)

    def cut_off(self) -> None:
        """Give up what is in flight."""
        for task in self._in_flight:
            if task is not None:
                task.cancel()

    async def handle(self, scope: Scope, exchange: Exchange, closing: Callable[[], bool] = _never) -> None:
        """Answer one request; where `closing` says so, tell the caller to come by another connection."""
        started = time.perf_counter()
        asked = scope.headers.get("x-request-id")
        request_id = asked if asked and call.is_request_id(asked) else _new_id()
        resolved = table.resolve(scope.method, scope.path)
        route = resolved.route.name if resolved.route else "none"
        changes = resolved.route is not None and resolved.route.writes
        entry = audit.Entry(request_id, route, changes)
        task = asyncio.current_task()
        self._in_flight.add(task)
        try:
            reply, stay = await self._reply(resolved, scope, exchange, entry)
        finally:
            self._in_flight.discard(task)
        try:
            usual = [("content-type", reply.kind), ("x-request-id", request_id)]
            headers = [*usual, *(reply.headers or {}).items()]
            if closing():
                headers.append(("connection", "close"))
            exchange.response_bytes(reply.status, headers, reply.body)
            seconds = time.perf_counter() - started
            metrics.observe_request(route, reply.status, seconds)
            self._audit.write(entry, reply.status, seconds)
            if stay is not None:
                await exchange.drained()
        finally:
            if stay is not None:
                stay.leave()

    async def _reply(
        self, resolved: table.Resolved, scope: Scope, exchange: Exchange, entry: audit.Entry
    ) -> tuple[replies.Reply, admission.Stay | None]:
        """Return the answer, whatever happens; of a large one also what has to leave once it is sent."""
        request_id = entry.request_id
        try:
            return await self._visit(self._admit(resolved, scope, entry), scope, exchange, entry)
        except asyncio.CancelledError:  # by cut_off, or since its caller has gone, and by nothing else
            if not exchange.left:
                reply = replies.failure(errors.UnavailableError("the gateway is stopping"))
            else:
                reply = replies.failure(errors.CallerLeftError(errors.LEFT))
        except quotas.SpentError as spent:  # of requests here, of rows in the route
            reply = _refuse(errors.ThrottledError(str(spent), spent.seconds), request_id)
        except errors.ApiError as error:
            reply = _refuse(error, request_id)
        except Exception:  # noqa: BLE001  # whatever went wrong, the caller gets an answer
            _log.exception("request failed by a fault of the gateway", extra={"request_id": request_id})
            problem = errors.InternalError(
                f"an internal error; the gateway's log has it as request {request_id}"
            )
            reply = replies.failure(problem)
        return reply, None

    async def _visit(
        self, asked: _Asked, scope: Scope, exchange: Exchange, entry: audit.Entry
    ) -> tuple[replies.Reply, admission.Stay | None]:
        """Work, and leave the house; with a large answer stay there, for it takes room until it is sent."""
        stay = None
        try:
            reply = await self._work(asked, scope, exchange, entry)
            if len(reply.body) > LARGE_BYTES:
                await asked.stay.reserve(len(reply.body))
                stay = asked.stay
            return reply, stay
        finally:
            if stay is None:
                asked.stay.leave()

    def _admit(self, resolved: table.Resolved, scope: Scope, entry: audit.Entry) -> _Asked:
        """Let a request in who may ask it, and there is room for; it has to leave the house."""
        steady, wall = time.monotonic(), time.time()
        principal = self._enter(resolved, scope, wall)
        entry.principal = principal.name
        route = resolved.require()
        policy.authorize(principal, route.role)
        meter = self._meters.of(principal, steady)
        if meter is not None:
            meter.admit(steady, wall)
        stay = self._house.enter(principal.name, writes=route.writes)
        return _Asked(route, principal, resolved.name, meter, stay)

    async def _work(
        self, asked: _Asked, scope: Scope, exchange: Exchange, entry: audit.Entry
    ) -> replies.Reply:
        query = call.parse_query(scope.query_string)
        wished = call.parse_timeout(scope.headers.get(call.TIMEOUT_HEADER))
        session = consistency.parse(
            scope.headers.get(consistency.CONSISTENCY_HEADER),
            scope.headers.get(consistency.AT_LEAST_HEADER),
            scope.headers.get(consistency.WRITE_ID_HEADER),
        )
        seconds = self._bounds.timeout if wished is None else min(wished, self._bounds.timeout)
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        content = b""
        try:
            if asked.route.takes_body:
                most = self._most_bytes[asked.route.writes]
                announced = body.check_announced(scope.headers, most)
                content = await body.read(announced, exchange, asked.stay, most, seconds)
            if wished is None:  # who says nothing has the time for the body, and again for the answer
                deadline = clock() + seconds
            with deadlines.until(self._deadlines, deadline):
                made = call.Call(asked.principal, entry, asked.name, query, content, deadline, asked.meter)
                with consistency.during(session):
                    if asked.route.writes:  # which are never given up half-way
                        reply = await asked.route.handler(made, self._index)
                    else:
                        reply = await self._read(asked.route, made, exchange)
        except TimeoutError:
            message = f"the answer took longer than {seconds:g} s"
            raise errors.DeadlineExceededError(message) from None
        return reply.with_headers(self._told(asked.route, session))

    async def _read(self, route: table.Route, made: call.Call, exchange: Exchange) -> replies.Reply:
        """Answer what changes nothing, for as long as its caller is there."""
        if exchange.left:
            raise errors.CallerLeftError(errors.LEFT)
        task = asyncio.current_task()
        assert task is not None
        exchange.watch(lambda: task.cancel(errors.LEFT))
        try:
            return await route.handler(made, self._index)
        finally:
            exchange.watch(None)

    def _told(self, route: table.Route, session: consistency.Session) -> dict[str, str]:
        """Return what the answer's head says of what was written, or of how new what was read is."""
        if route.writes or session.strong or route.operation.describes or not (stale := self._index.stale()):
            return session.headers()
        return {consistency.STALE_HEADER: ",".join(map(str, stale))}

    def _enter(self, resolved: table.Resolved, scope: Scope, now: float) -> policy.Principal:
        if self._open_docs and resolved.route is not None and resolved.route.operation.describes:
            return policy.ANYONE
        return self._entrance.enter(scope.headers, now)
