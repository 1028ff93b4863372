"""Takes connections from where they come, as many as may be, and ends them in good order."""

import asyncio
import contextlib
import logging
import math
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator

from vectorfleet_runtime import certificates

from . import arrivals, bounds, connection, exchanges, heads

_log = logging.getLogger(__name__)

Application = Callable[[heads.Head, exchanges.Exchange, Callable[[], bool]], Awaitable[None]]
_AT_ONCE = 64
_LOOK_SECONDS = 0.5
_SETTLE_SECONDS = 0.5
"""For how long those who have just come may say what they want, before they are taken for idle."""
_PAUSE_SECONDS = 0.5
_CLOSING_SECONDS = 1.0


class Listening:
    """All connections of one source. Made inside of the running event loop.

    Args:
        application: answers requests.
        source: where connections come from; closed by `leave`.
        limits: of connections.
        shown: the certificate of HTTPS; HTTP where None.

    Raises:
        UnusableError: the certificate can't be shown.
    """

    def __init__(
        self,
        application: Application,
        source: arrivals.Source,
        limits: bounds.Bounds,
        shown: certificates.Loaded | None = None,
    ) -> None:
        self._application = application
        self._source = source
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._context = context_of(shown) if shown else None
        self._connections: set[connection.Connection] = set()
        self._arriving: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()
        self._taking = self._closing = False
        self._asked_at = -math.inf
        self._again: asyncio.TimerHandle | None = None

    @property
    def quiet_seconds(self) -> float:
        """For how long nobody has asked."""
        return self._loop.time() - self._asked_at

    def show(self, shown: certificates.Loaded) -> None:
        """Show another certificate to whoever comes from now on.

        Raises:
            UnusableError: it can't be shown; the last one still is.
        """
        self._context = context_of(shown)

    def begin(self) -> None:
        """Take connections."""
        if not self._taking:
            self._taking = True
            self._source.begin(self._accept)

    async def watch(self) -> None:
        """Close, until cancelled, connections whose time is up."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = self._loop.time()
            for one in [one for one in self._connections if one.deadline <= now]:
                one.expire()

    def say_farewell(self) -> None:
        """Let answers tell callers to come by another connection."""
        self._closing = True

    async def leave(self, seconds: float) -> bool:
        """Take no new connections, and answer what is under way; return whether all was, in that time."""
        self._closing = True
        while self._accept():  # whoever waits there would be cut off with it
            pass
        self._take_no_more()
        self._source.close()
        if self._arriving:
            await asyncio.wait(self._arriving, timeout=_SETTLE_SECONDS)
        for one in list(self._connections):
            one.end(self._loop.time() + _SETTLE_SECONDS)
        return await self._gone(seconds)

    async def _gone(self, seconds: float) -> bool:
        """Wait until no connection is left; return whether none is, after that time at most."""
        self._emptied.clear()
        if self._connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._emptied.wait()
        return not self._connections

    async def cut_off(self) -> None:
        """Close what is left, once those who were just answered had a moment to read it."""
        self._closing = True
        self._take_no_more()
        self._source.close()
        await self._gone(_CLOSING_SECONDS)
        for one in list(self._connections):
            one.abort()
        for task in self._arriving:
            task.cancel()

    # ------------------------------------------------------------------------------------ accepting

    def _accept(self) -> bool:
        """Take some of those who have come; return whether there may be more."""
        for _ in range(_AT_ONCE):
            full = len(self._connections) + len(self._arriving) >= self._limits.connections
            if full and (self._closing or self._idlest() is None):
                self._take_no_more()  # until one goes, or is idle
                if not self._closing:
                    self._again = self._loop.call_later(_PAUSE_SECONDS, self._take_again)
                return False
            try:
                accepted = self._source.take()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return False
            except OSError as error:  # no descriptors, or no memory
                _log.warning("can't take connections; trying again", extra={"why": repr(error)})
                self._take_no_more()
                self._again = self._loop.call_later(_PAUSE_SECONDS, self._take_again)
                return False
            if accepted is not None:
                if full and (idle := self._idlest()) is not None:
                    self._connections.discard(idle)
                    idle.abort()
                self._admit(accepted)
        return True

    def _idlest(self) -> connection.Connection | None:
        """Return who goes where somebody else has come, None where all are at work."""
        idle = [(found, one) for one in self._connections if (found := one.idleness) is not None]
        return min(idle, key=lambda pair: pair[0])[1] if idle else None

    def _admit(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        task = self._loop.create_task(self._welcome(accepted))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _welcome(self, accepted: socket.socket) -> None:
        made: list[connection.Connection] = []

        def make() -> connection.Connection:
            made.append(connection.Connection(self._answer, self._limits, self._lose))
            return made[0]

        try:
            seconds = self._limits.handshake_seconds if self._context else None
            await self._loop.connect_accepted_socket(
                make, accepted, ssl=self._context, ssl_handshake_timeout=seconds
            )
        except (OSError, TimeoutError):  # it went, or does not speak TLS
            accepted.close()
        else:
            if not made[0].is_lost:
                self._connections.add(made[0])

    def _answer(self, exchange: exchanges.Exchange) -> Awaitable[None]:
        self._asked_at = self._loop.time()
        return self._application(exchange.head, exchange, self._is_closing)

    def _is_closing(self) -> bool:
        return self._closing

    def _lose(self, one: connection.Connection) -> None:
        self._connections.discard(one)
        if not self._connections:
            self._emptied.set()
        if not self._closing:
            self._take_again()

    def _take_again(self) -> None:
        if not self._closing:
            self.begin()

    def _take_no_more(self) -> None:
        if self._again is not None:
            self._again.cancel()
        if self._taking:
            self._taking = False
            self._source.pause()


def context_of(shown: certificates.Loaded) -> ssl.SSLContext:
    """Return a context of TLS 1.2 and later that shows a certificate.

    Raises:
        UnusableError: it can't be shown.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # OpenSSL reads files; these are of memory, so that nobody replaces one of the pair meanwhile.
    with _in_memory(shown.certificate) as certificate, _in_memory(shown.key) as key:
        try:
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            raise certificates.UnusableError(f"the certificate can't be shown: {error}") from None
    return context


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    file = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(file, content)
        yield f"/proc/self/fd/{file}"
    finally:
        os.close(file)
