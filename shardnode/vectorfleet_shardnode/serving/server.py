"""The shard's API over gRPC: a thin wrapper that checks who calls, calls the service, and maps errors.

Rule: nobody is answered whose role is not named in `CALLERS`. What was not foreseen is logged whole and told
to the caller in four words only.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import grpc

from vectorfleet_runtime import credentials, parties

from ..api import replication_pb2, replication_pb2_grpc, shard_pb2, shard_pb2_grpc, sizes
from . import conversing, rpc

METHODS = ("Write", "Search", "Fetch", "List", "Stats", "Report")
CONVERSATION = "Searches"
_GATEWAY = frozenset({parties.Role.GATEWAY})
_BOTH = _GATEWAY | {parties.Role.OPERATOR}
_PEERS = frozenset({parties.Role.SHARD})
_OPERATOR = frozenset({parties.Role.OPERATOR})
_OF_REPLICATION = {
    "Append": _PEERS,
    "Confirm": _PEERS,
    "Checkpoint": _PEERS,
    "ReadFile": _PEERS,
    "Seal": _OPERATOR,
    "Lead": _OPERATOR,
    "Configure": _OPERATOR,
    "Rebuild": _OPERATOR,
    "State": _BOTH,
}
CALLERS: credentials.Allowed = {
    f"/{shard_pb2.DESCRIPTOR.package}.Shard/{name}": _BOTH if name == "Report" else _GATEWAY
    for name in (*METHODS, CONVERSATION)
} | {
    f"/{replication_pb2.DESCRIPTOR.package}.Replication/{name}": roles
    for name, roles in _OF_REPLICATION.items()
}
"""Who may call what; a method that is not here is refused."""
_OPTIONS = [
    *sizes.OPTIONS,
    *credentials.ANSWERS_PINGS,
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


class Replication(Protocol):
    """The methods of replication.proto by name, see `replication.service`."""

    STREAMS: tuple[str, ...]

    def methods(self) -> Iterable[tuple[str, Callable[..., Any]]]: ...


def make_server(
    service: Service,
    own: credentials.Credentials,
    ending: asyncio.Event,
    replication: Replication | None = None,
) -> grpc.aio.Server:
    """Return a server of the services, not yet listening.

    Args:
        service: of the shard.
        own: tells its callers.
        ending: set before it stops: calls that would stay open end.
        replication: of the replica, where there are others.
    """
    server = grpc.aio.server(interceptors=[credentials.gate(own, CALLERS)], options=_OPTIONS)
    served = rpc.servicer(
        shard_pb2_grpc.ShardServicer,
        ((name, getattr(service, name.lower())) for name in METHODS),
        others={CONVERSATION: conversing.Conversations(service.search, ending).converse},
    )
    shard_pb2_grpc.add_ShardServicer_to_server(served, server)  # type: ignore[no-untyped-call]
    if replication is not None:
        replicated = rpc.servicer(
            replication_pb2_grpc.ReplicationServicer, replication.methods(), replication.STREAMS
        )
        replication_pb2_grpc.add_ReplicationServicer_to_server(replicated, server)  # type: ignore[no-untyped-call]
    return server
