"""Listens for HTTP or HTTPS with granian, inside of the running event loop, until told to stop.

Nobody is cut off who could be answered. Whoever stops says so first: for a moment each answer tells its
caller to come by another connection, then no new one is taken, what is in flight is answered, and after ten
seconds what is left is cut off. A new certificate is shown by a new granian on the same socket, while the old
one ends like that.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, SSLProtocols
from granian.http import HTTP1Settings
from granian.server import embed

from vectorfleet_runtime import certificates

from . import app, errors, sockets

_log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
FAREWELL_SECONDS = 1.0
"""How long answers tell callers to come by another connection before no new one is taken."""
_RECENTLY_SECONDS = 10.0
MAX_CONNECTIONS = 4096
_LOOK_SECONDS = 1.0
_CUT_OFF_SECONDS = 1.0
_HANDSHAKE_SECONDS = 0.5
_PAUSE_SECONDS = 0.02
# For a request's head, and between two requests of a connection: longer than the 60 s for which proxies
# commonly keep idle connections, so that they do not send into one that is being closed.
_HEADER_MILLISECONDS = 65_000


async def serve(
    application: app.App,
    listening: socket.socket,
    stop: asyncio.Event,
    started: Callable[[int], None] = lambda _: None,
    shown: certificates.Certificates | None = None,
) -> None:
    """Serve an application until `stop` is set, then drain.

    Args:
        application: what answers.
        listening: from `sockets.claim`; closed at the end.
        stop: ends the serving.
        started: called once with the port, when connections are taken.
        shown: the certificate of HTTPS; HTTP where None.
    """
    stopping = asyncio.create_task(stop.wait())
    edge, leaving = _Edge(application, listening, shown), set[asyncio.Task[None]]()
    try:
        await edge.settle()
        started(sockets.port_of(listening))
        while not stop.is_set():
            await asyncio.wait(
                {edge.serving, stopping}, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if edge.serving.done():
                raise errors.GatewayError("the HTTP server ended by itself")
            if edge.is_stale() and (fresh := await edge.renew()):
                leaving.add(asyncio.create_task(edge.leave()))
                edge = fresh
        await edge.leave(last=listening)
    finally:
        stopping.cancel()
        edge.serving.cancel()
        listening.close()
        for task in leaving:
            task.cancel()


class _Edge:
    """One granian on the socket, with one certificate."""

    def __init__(
        self, application: app.App, listening: socket.socket, files: certificates.Certificates | None
    ) -> None:
        self._application = application
        self._listening = listening
        self._files = files
        self._shown = files.current() if files else None
        self._closing = False
        self._last = 0.0
        self._server = _Granian(self, listening, self._shown)
        self.serving = asyncio.create_task(self._server.serve())
        self.serving.add_done_callback(lambda _: self._server.forget())

    async def __rsgi__(self, scope: app.Scope, exchange: app.Exchange) -> None:
        """Answer one request."""
        self._last = time.monotonic()
        await self._application.handle(scope, exchange, self.is_closing)

    def is_closing(self) -> bool:
        """Return whether answers are to tell callers to come by another connection."""
        return self._closing

    def is_stale(self) -> bool:
        """Return whether there is another certificate to show."""
        return self._files is not None and self._files.current() is not self._shown

    async def settle(self) -> None:
        """Wait until requests are answered.

        Raises:
            SettingsError: they never will be.
        """
        while not self._server.is_up():
            await asyncio.wait({self.serving}, timeout=_PAUSE_SECONDS)
            if self.serving.done():
                raise errors.SettingsError("can't serve HTTP") from self.serving.exception()

    async def renew(self) -> "_Edge | None":
        """Return a server with the new certificate, None where that one can't be shown."""
        fresh = _Edge(self._application, self._listening, self._files)
        self._shown = fresh._shown  # whatever comes of it, it was tried
        try:
            await fresh.settle()
        except errors.SettingsError as error:
            _log.warning(
                "can't show the new certificate; keeping the last", extra={"why": repr(error.__cause__)}
            )
            return None
        _log.info("showing a new certificate")
        return fresh

    async def leave(self, last: socket.socket | None = None) -> None:
        """Stop without a failed request; with `last`, the socket to close, nobody comes after this one."""
        self._closing = True
        if last is None:
            self._server.accept_no_more()
        if time.monotonic() - self._last < _RECENTLY_SECONDS:
            await asyncio.sleep(FAREWELL_SECONDS)
        if last is not None:
            self._server.accept_no_more()
            last.close()
            await asyncio.sleep(_HANDSHAKE_SECONDS if self._files else 0)
        self._server.stop()  # type: ignore[no-untyped-call]
        ended, _ = await asyncio.wait({self.serving}, timeout=DRAIN_SECONDS)
        if not ended and last is not None:
            _log.warning("cutting off what is in flight", extra={"after_seconds": DRAIN_SECONDS})
            self._application.cut_off()
            await asyncio.wait({self.serving}, timeout=_CUT_OFF_SECONDS)


class _Granian(embed.Server):
    """granian on a socket of ours, with a certificate from memory."""

    def __init__(
        self, application: object, listening: socket.socket, shown: certificates.Loaded | None
    ) -> None:
        # The embedded server says on every start that it is experimental; why it is used all the same is in
        # docs/decisions/0003-http-server.md.
        logging.getLogger("_granian").setLevel(logging.ERROR)
        host, port = listening.getsockname()[:2]
        super().__init__(
            application,
            address=host,
            port=port,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MILLISECONDS),
            websockets=False,
            backlog=sockets.BACKLOG,
            backpressure=MAX_CONNECTIONS,
            log_enabled=False,
        )
        self._listening = listening
        # It reads files; these are of memory, so that nobody replaces one of the pair meanwhile.
        self._files = [_in_memory(part) for part in (shown.certificate, shown.key)] if shown else []
        if self._files:
            cert, key = (f"/proc/self/fd/{file}" for file in self._files)
            told: Any = (True, cert, key, None, str(SSLProtocols.tls12), None, [], False)
            self.ssl_ctx = told
        self._up_at = 0.0

    def is_up(self) -> bool:
        """Return whether requests are answered: its worker was made, and did not fail at once."""
        if self.wrks and not self._up_at:
            self._up_at = time.monotonic() + _PAUSE_SECONDS
        return bool(self.wrks) and time.monotonic() > self._up_at

    def forget(self) -> None:
        """Let go of the certificate's key."""
        for file in self._files:
            os.close(file)

    def accept_no_more(self) -> None:
        """Leave those who still come to others, and go on with those who are there.

        granian takes connections until it stops, and then cuts off whose handshake is not done. So the
        descriptor that it takes them from is made to lead to a socket that nobody comes to.
        """
        with sockets.deserted(self._listening) as other:
            os.dup2(other.fileno(), self._descriptor)

    def _init_shared_socket(self) -> None:
        # granian would bind one of its own with SO_REUSEPORT, and what waits in that queue is lost with it.
        holder: Any = SocketHolder
        self._descriptor = os.dup(self._listening.fileno())
        self._ssp, self._shd = None, holder(self._descriptor, False, sockets.BACKLOG)


def _in_memory(content: bytes) -> int:
    file = os.memfd_create("certificate", os.MFD_CLOEXEC)
    os.write(file, content)
    return file
