"""Gateway and shard in one process, as `vectorfleet serve` runs them: the same code as in a cluster, no hop.

With `--workers` others answer beside it, see `workers`.

Imported only when it is needed, since the servers are extras.
"""

import asyncio
import contextlib
import dataclasses
import logging
import pathlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import uvloop
from prometheus_client import registry

from vectorfleet_gateway import errors as gateway_errors
from vectorfleet_gateway import sockets
from vectorfleet_gateway.serving import arrivals
from vectorfleet_gateway.shards import inprocess
from vectorfleet_runtime import listener, logs
from vectorfleet_shardnode import errors as shard_errors
from vectorfleet_shardnode.api import config
from vectorfleet_shardnode.serving import service

from . import answering, doors, errors, guarding
from .workers import crew as crews
from .workers import gathering, orders, primary

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(
    settled: config.IndexConfig, data_dir: pathlib.Path, door: doors.Door, how: doors.Logs, processes: int = 1
) -> None:
    """Serve an index until SIGTERM or Ctrl-C.

    Args:
        settled: the index.
        data_dir: its folder.
        door: where requests come in.
        how: the log is written.
        processes: that answer, this one counted.

    Raises:
        ServeError: it can't be; what is wrong with port or data is said.
    """
    logs.configure(how.level, as_json=how.as_json)
    try:
        uvloop.run(_serve(_Wanted(settled, data_dir, door, how, processes)))
    except (gateway_errors.GatewayError, shard_errors.ShardError, OSError) as error:
        raise errors.ServeError(" ".join(str(error).split())) from error
    for number in _SIGNALS:  # it ends with 0 even where it is told once more
        signal.signal(number, signal.SIG_IGN)


@dataclasses.dataclass(frozen=True)
class _Wanted:
    settled: config.IndexConfig
    data_dir: pathlib.Path
    door: doors.Door
    how: doors.Logs
    processes: int

    @property
    def folder(self) -> pathlib.Path:
        """Of the shard."""
        return self.data_dir / "shard-0"


async def _serve(wanted: _Wanted) -> None:
    stop, ready, door = asyncio.Event(), asyncio.Event(), wanted.door
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def started() -> None:
        ready.set()
        port, data_dir = sockets.port_of(claimed), str(wanted.data_dir)
        _log.info("serving", extra={"host": door.host, "port": port, "data_dir": data_dir})
        if not wanted.how.as_json:
            sys.stderr.write(greeting(wanted.settled.serving, door, wanted.data_dir))

    shown = guarding.certificate(door.guard)
    claimed = sockets.claim(
        sockets.Address(door.host, door.port, door.bounds.timeout)
    )  # told before a long log is replayed
    everyone = gathering.Everyone()
    with _probes(door, ready, stop, everyone):
        async with guarding.watched(door.guard) as entering, _shard(wanted) as shard:
            front = answering.Front(wanted.settled, door, entering, shown)
            client = inprocess.InProcessShard(0, shard)
            if wanted.processes == 1:
                await answering.answer(front, client, arrivals.Accepted(claimed), stop, started)
            else:
                async with _joined(wanted, shard, claimed, stop) as (crew, source, ending):
                    everyone.present = crew.present
                    await answering.answer(front, client, source, ending, started)
    _log.info("stopped")


@contextlib.asynccontextmanager
async def _shard(wanted: _Wanted) -> AsyncIterator[service.ShardService]:
    opened = await service.open_service(wanted.settled, 0, wanted.folder)
    try:
        yield opened
    finally:
        await opened.close()


@contextlib.asynccontextmanager
async def _joined(
    wanted: _Wanted, shard: service.ShardService, claimed: socket.socket, stop: asyncio.Event
) -> AsyncIterator[tuple[crews.Crew, arrivals.Accepted, asyncio.Event]]:
    """Have workers beside this process; give them, where connections come from, and when it is to end itself.

    It goes on while they answer what they have: whoever they send away comes to it.
    """
    async with primary.reached(shard) as (address, token):
        told = orders.Orders(
            index=wanted.settled,
            folder=wanted.folder,
            shown=shard.share(),
            door=wanted.door,
            logs=wanted.how,
            primary=address,
            token=token,
        )
        source = arrivals.Accepted(claimed)
        crew, ending = crews.Crew(told, wanted.processes - 1, source.give_back), asyncio.Event()
        source.hand_on = crew.hand_on

        async def leave() -> None:
            await stop.wait()
            await crew.leave()
            ending.set()

        leaving = asyncio.create_task(leave())
        try:
            yield crew, source, ending
        finally:
            leaving.cancel()
            await crew.close()


@contextlib.contextmanager
def _probes(
    door: doors.Door, ready: asyncio.Event, stop: asyncio.Event, shown: registry.Collector
) -> Iterator[None]:
    if not door.metrics_port:
        yield
        return

    def unready() -> str:
        if stop.is_set():
            return "stopping"
        return "" if ready.is_set() else "the log is being replayed"

    alive = listener.loop_probe(asyncio.get_running_loop())
    try:
        probes = listener.Listener(door.host, door.metrics_port, alive, unready, shown)
    except OSError as error:
        raise errors.ServeError(
            f"can't listen on {door.host}:{door.metrics_port}: {error.strerror}"
        ) from error
    try:
        yield
    finally:
        probes.close()


def greeting(generation: config.Generation, door: doors.Door, data_dir: pathlib.Path) -> str:
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
