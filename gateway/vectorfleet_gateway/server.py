"""Listens for HTTP with granian, inside of the running event loop, until told to stop.

Stopping is graceful: no new connection is taken, what is in flight is answered, and after ten seconds what
is left is cut off.
"""

import asyncio
import logging
import socket
from collections.abc import Callable

from granian.constants import HTTPModes
from granian.http import HTTP1Settings
from granian.server import embed

from . import app, errors

_log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
BACKLOG = 2048
MAX_CONNECTIONS = 4096
_CUT_OFF_SECONDS = 1.0
# For a request's head, and between two requests of a connection: longer than the 60 s for which proxies
# commonly keep idle connections, so that they do not send into one that is being closed.
_HEADER_MILLISECONDS = 65_000


async def serve(
    application: app.App,
    host: str,
    port: int,
    stop: asyncio.Event,
    started: Callable[[int], None] = lambda _: None,
) -> None:
    """Serve an application until `stop` is set, then drain.

    Args:
        application: what answers.
        host: address or name to listen on.
        port: TCP port; 0 picks a free one.
        stop: ends the serving.
        started: called once with the port, when connections are taken.

    Raises:
        SettingsError: the address can't be listened on.
    """
    address, port = claim(host, port)
    server = _make(application, address, port)
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    try:
        await _listening(serving, address, port)
        started(port)
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            raise errors.GatewayError("the HTTP server ended by itself")
        server.stop()  # type: ignore[no-untyped-call]
        await _drain(application, serving)
    finally:
        stopping.cancel()
        serving.cancel()


def _make(application: app.App, address: str, port: int) -> embed.Server:
    # The embedded server says on every start that it is experimental; why it is used all the same is in
    # docs/decisions/0003-http-server.md.
    logging.getLogger("_granian").setLevel(logging.ERROR)
    return embed.Server(
        application,
        address=address,
        port=port,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MILLISECONDS),
        websockets=False,
        backlog=BACKLOG,
        backpressure=MAX_CONNECTIONS,
        log_enabled=False,
    )


async def _drain(application: app.App, serving: "asyncio.Task[None]") -> None:
    ended, _ = await asyncio.wait({serving}, timeout=DRAIN_SECONDS)
    if not ended:
        _log.warning("cutting off what is in flight", extra={"after_seconds": DRAIN_SECONDS})
        application.cut_off()
        await asyncio.wait({serving}, timeout=_CUT_OFF_SECONDS)


def claim(host: str, port: int) -> tuple[str, int]:
    """Return the address and port to listen on, after making sure that nobody else does.

    The server binds with SO_REUSEPORT, which would let two gateways share a port unawares.

    Raises:
        SettingsError: the host is not known, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return str(probe.getsockname()[0]), int(probe.getsockname()[1])
    except OSError as error:
        raise errors.SettingsError(f"can't listen on {host}:{port}: {error.strerror or error}") from error


async def _listening(serving: "asyncio.Task[None]", address: str, port: int) -> None:
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(_local(address), port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise errors.SettingsError(f"can't listen on {address}:{port}") from serving.exception()


def _local(address: str) -> str:
    """Return where to reach an address that means all of the machine's."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104  # asked, not bound
