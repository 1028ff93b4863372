"""A worker's process: the whole gateway over a secondary of the shard. It obeys the primary.

Called with two descriptors: of the socket by which it hears the primary, and of the one by which connections
come.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import uvloop

from vectorfleet_gateway import errors as gateway_errors
from vectorfleet_gateway import shards
from vectorfleet_gateway.serving import arrivals
from vectorfleet_gateway.shards import divided, inprocess, remote
from vectorfleet_runtime import credentials, listener, logs
from vectorfleet_shardnode import errors as shard_errors
from vectorfleet_shardnode.serving import secondary

from .. import answering, errors, guarding
from . import control, orders

_log = logging.getLogger(__name__)


def main(files: list[str]) -> None:
    """Run it."""
    # Ctrl-C comes to all processes of a terminal; the primary says what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hearing, connections = (socket.socket(fileno=int(number)) for number in files)
    for inherited in (hearing, connections):
        inherited.set_inheritable(False)
    told = orders.receive(hearing)
    if told is None:
        sys.exit(1)
    logs.configure(told.logs.level, as_json=told.logs.as_json)
    try:
        uvloop.run(_serve(told, control.Control(hearing), arrivals.HandedOver(connections)))
    except (
        gateway_errors.GatewayError,
        shard_errors.ShardError,
        errors.ServeError,
        OSError,
    ) as error:
        _log.error("a worker can't serve", extra={"why": " ".join(str(error).split())})
        sys.exit(1)


async def _serve(told: orders.Orders, primary: control.Control, source: arrivals.Source) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, primary.say, control.Leaving())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    obeying = asyncio.create_task(_obey(primary, stop))
    shown = guarding.certificate(told.door.guard)
    async with guarding.watched(told.door.guard) as entering, _shard(told) as client:
        with _metrics(told) as port:
            front = answering.Front(told.index, told.door, entering, shown)
            await answering.answer(front, client, source, stop, lambda: primary.say(control.Ready(port)))
    obeying.cancel()


async def _obey(primary: control.Control, stop: asyncio.Event) -> None:
    """Do what the primary says, and be gone when it is."""
    async for said in primary.heard():
        if isinstance(said, control.Drain):
            stop.set()
    # Nobody takes writes now, and the folder may soon have another writer: no answer may come from here.
    _log.warning("the process that started this worker is gone")
    os._exit(1)


@contextlib.asynccontextmanager
async def _shard(told: orders.Orders) -> AsyncIterator[shards.ShardClient]:
    followed = secondary.Followed(0, told.folder, told.shown)
    opened = await secondary.open_secondary(told.index, followed)
    own = credentials.Trusted(told.token)
    try:
        writes = remote.RemoteShard(remote.Dial(0, told.primary, own))
        yield divided.DividedShard(inprocess.InProcessReads(0, opened.reads), writes)
    finally:
        await opened.close()


@contextlib.contextmanager
def _metrics(told: orders.Orders) -> Iterator[int]:
    """Show metrics to the primary, where anybody asks it for them; give the port, 0 where nobody does."""
    if not told.door.metrics_port:
        yield 0
        return
    alive = listener.loop_probe(asyncio.get_running_loop())
    probes = listener.Listener(control.LOOPBACK, 0, alive, str)
    try:
        yield probes.port
    finally:
        probes.close()


if __name__ == "__main__":
    main(sys.argv[1:])
