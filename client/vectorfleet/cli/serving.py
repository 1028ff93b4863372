"""Gateway and shard in one process, as `vectorfleet serve` runs them: the same code as in a cluster, no hop.

Imported only when it is needed, since the servers are extras.
"""

import asyncio
import contextlib
import dataclasses
import logging
import pathlib
import signal
import sys
from collections.abc import AsyncIterator, Iterator

import uvloop

from vectorfleet_gateway import app, index, server, services, sockets
from vectorfleet_gateway import errors as gateway_errors
from vectorfleet_gateway.shards import inprocess
from vectorfleet_runtime import garbage, listener, logs
from vectorfleet_shardnode import errors as shard_errors
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.serving import service

from . import errors, guarding

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclasses.dataclass(frozen=True)
class Door:
    """Where requests come in, and what they may be.

    Attributes:
        guard: who is let in.
        metrics_port: of health and metrics; 0 is none.
        embedder_key_file: holds the embedder's key; None where it wants none.
        reranker_key_file: likewise.
        open_docs: whether the API's description needs no key.
    """

    host: str
    port: int
    guard: guarding.Guard
    metrics_port: int
    max_body_bytes: int
    embedder_key_file: pathlib.Path | None = None
    reranker_key_file: pathlib.Path | None = None
    open_docs: bool = False


@dataclasses.dataclass(frozen=True)
class Logs:
    """What is logged, and how."""

    level: str
    as_json: bool


def run(settled: config.IndexConfig, data_dir: pathlib.Path, door: Door, how: Logs) -> None:
    """Serve an index until SIGTERM or Ctrl-C.

    Raises:
        ServeError: it can't be; what is wrong with port or data is said.
    """
    logs.configure(how.level, as_json=how.as_json)
    try:
        uvloop.run(_serve(settled, data_dir, door, greet=not how.as_json))
    except (gateway_errors.GatewayError, shard_errors.ShardError, OSError) as error:
        raise errors.ServeError(" ".join(str(error).split())) from error
    for number in _SIGNALS:  # it ends with 0 even where it is told once more
        signal.signal(number, signal.SIG_IGN)


async def _serve(settled: config.IndexConfig, data_dir: pathlib.Path, door: Door, *, greet: bool) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def started(port: int) -> None:
        ready.set()
        _log.info("serving", extra={"host": door.host, "port": port, "data_dir": str(data_dir)})
        if greet:
            sys.stderr.write(greeting(settled.serving, door, data_dir))

    shown = guarding.certificate(door.guard)
    claimed = sockets.claim(sockets.Address(door.host, door.port))  # told before a long log is replayed
    with _probes(door, ready, stop):
        async with guarding.watched(door.guard) as entering, _shard(settled, data_dir) as shard:
            served = index.Index(settled, [inprocess.InProcessShard(0, shard)])
            services.attach(served, services.Keys(door.embedder_key_file, door.reranker_key_file))
            bounds = app.Bounds(max_body_bytes=door.max_body_bytes)
            application = app.App(served, entering, bounds, open_docs=door.open_docs)
            try:
                with garbage.set_apart():
                    await server.serve(application, claimed, stop, started, shown)
            finally:
                await served.close()
    _log.info("stopped")


@contextlib.asynccontextmanager
async def _shard(settled: config.IndexConfig, data_dir: pathlib.Path) -> AsyncIterator[service.ShardService]:
    opened = await service.open_service(settled, 0, data_dir / "shard-0")
    try:
        yield opened
    finally:
        await opened.close()


@contextlib.contextmanager
def _probes(door: Door, ready: asyncio.Event, stop: asyncio.Event) -> Iterator[None]:
    if not door.metrics_port:
        yield
        return

    def unready() -> str:
        if stop.is_set():
            return "stopping"
        return "" if ready.is_set() else "the log is being replayed"

    alive = listener.loop_probe(asyncio.get_running_loop())
    try:
        probes = listener.Listener(door.host, door.metrics_port, alive, unready)
    except OSError as error:
        raise errors.ServeError(
            f"can't listen on {door.host}:{door.metrics_port}: {error.strerror}"
        ) from error
    try:
        yield
    finally:
        probes.close()


def greeting(generation: config.Generation, door: Door, data_dir: pathlib.Path) -> str:
    """Return what a person is told once requests are taken: where, and two ways to try it. Pure."""
    url = f"http{'s' if door.guard.tls_dir else ''}://{_reachable(door.host)}:{door.port}"
    return (
        f"Serving {data_dir}: {generation.dimensions} dimensions, {generation.metric}, on {url}\n"
        "Try it:\n"
        f"  curl -H \"Api-Key: $VECTORFLEET_API_KEY\" {url}/describe_index_stats -d '{{}}'\n"
        f'  python -c \'import os, pinecone; print(pinecone.Pinecone(os.environ["VECTORFLEET_API_KEY"])'
        f'.Index(host="{url}").describe_index_stats())\'\n'
        "Ctrl-C ends it.\n"
    )


def _reachable(host: str) -> str:
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104  # asked, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
