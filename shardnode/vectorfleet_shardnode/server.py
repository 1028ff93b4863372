"""The shard's API over gRPC: a thin wrapper that checks who calls, calls the service, and maps errors.

Rule: nobody is answered whose role is not named in `CALLERS`. What was not foreseen is logged whole and told
to the caller in four words only.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, Protocol

import grpc

from vectorfleet_runtime import credentials, parties

from . import errors, metrics
from .api import shard_pb2, shard_pb2_grpc

MAX_MESSAGE_BYTES = 64 << 20
METHODS = ("Write", "Search", "Fetch", "List", "Stats", "Report")
_GATEWAY = frozenset({parties.Role.GATEWAY})
_BOTH = _GATEWAY | {parties.Role.OPERATOR}
CALLERS: credentials.Allowed = {
    f"/{shard_pb2.DESCRIPTOR.package}.Shard/{name}": _BOTH if name == "Report" else _GATEWAY
    for name in METHODS
}
"""Who may call what; a method that is not here is refused."""
_LOG = logging.getLogger(__name__)
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
]


class Service(Protocol):
    """The six methods that are served, see `service.ShardService`."""

    # ruff: noqa: D102 (the service documents them)
    async def write(self, request: shard_pb2.WriteRequest, /) -> shard_pb2.WriteReply: ...
    async def search(self, request: shard_pb2.SearchRequest, /) -> shard_pb2.SearchReply: ...
    async def fetch(self, request: shard_pb2.FetchRequest, /) -> shard_pb2.FetchReply: ...
    async def list(self, request: shard_pb2.ListRequest, /) -> shard_pb2.ListReply: ...
    async def stats(self, request: shard_pb2.StatsRequest, /) -> shard_pb2.StatsReply: ...
    async def report(self, request: shard_pb2.ReportRequest, /) -> shard_pb2.ReportReply: ...


def make_server(service: Service, own: credentials.Credentials) -> grpc.aio.Server:
    """Return a server of the service, not yet listening; `own` tells its callers."""
    server = grpc.aio.server(interceptors=[credentials.gate(own, CALLERS)], options=_OPTIONS)
    shard_pb2_grpc.add_ShardServicer_to_server(_servicer(service), server)  # type: ignore[no-untyped-call]
    return server


def _servicer(service: Service) -> object:
    """Return an object with the methods that the generated code looks for."""
    handlers = {name: _handler(name, getattr(service, name.lower())) for name in METHODS}
    return type("Servicer", (), {name: staticmethod(handler) for name, handler in handlers.items()})()


def _handler(name: str, method: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        started, status = time.perf_counter(), grpc.StatusCode.OK
        try:
            return await method(request)
        except errors.ShardError as refused:
            status = refused.code
            await context.abort(status, str(refused))
        except Exception:  # noqa: BLE001 (the caller must not see what was not foreseen)
            _LOG.exception("a call failed", extra={"method": name})
            status = grpc.StatusCode.INTERNAL
            await context.abort(status, "the shard node failed")
        finally:
            metrics.RPC_SECONDS.labels(name, status.name).observe(time.perf_counter() - started)

    return handle


class RefusingService:
    """What is served instead of a shard that can't be: the reason, and nothing else.

    The process stays, so that Kubernetes does not restart it in a loop and the operator hears why.
    """

    def __init__(self, identity: shard_pb2.ReportReply, reason: errors.ShardError) -> None:
        self._identity = identity
        self._reason = reason

    async def write(self, _: Any, /) -> NoReturn:
        """Refuse."""
        raise self._reason

    async def search(self, _: Any, /) -> NoReturn:
        """Refuse."""
        raise self._reason

    async def fetch(self, _: Any, /) -> NoReturn:
        """Refuse."""
        raise self._reason

    async def list(self, _: Any, /) -> NoReturn:
        """Refuse."""
        raise self._reason

    async def stats(self, _: Any, /) -> NoReturn:
        """Refuse."""
        raise self._reason

    @property
    def refusal(self) -> str:
        """Why the shard is not ready."""
        return str(self._reason)

    async def close(self) -> None:
        """Do nothing: there is nothing open."""

    async def report(self, _: shard_pb2.ReportRequest) -> shard_pb2.ReportReply:
        """Say why nothing is served."""
        reply = shard_pb2.ReportReply()
        reply.CopyFrom(self._identity)
        reply.problem = str(self._reason)
        return reply
