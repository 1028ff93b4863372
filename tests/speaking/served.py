"""A server of the gateway's kind around an application that repeats what it was asked, and callers of it."""

import asyncio
import contextlib
import functools
import inspect
import math

import uvloop

from vectorfleet_gateway import sockets
from vectorfleet_gateway.serving import arrivals, bounds, listening

PATIENCE = 30
GET = b"GET %s HTTP/1.1\r\nHost: test\r\n\r\n"
SMUGGLED = GET % b"/smuggled"


class Served:
    """A server of its own. `/wait` is answered once `go` is set, `/unread` without its body being read."""

    def __init__(self, limits, shown=None):
        self.claimed = sockets.claim(sockets.Address("127.0.0.1", 0))
        self.port = sockets.port_of(self.claimed)
        self.door = listening.Listening(self._answer, arrivals.Accepted(self.claimed), limits, shown)
        self.watching = asyncio.create_task(self.door.watch())
        self.seen, self.go, self._callers = [], asyncio.Event(), []
        self.drained = []  # paths whose answers have gone
        self.door.begin()

    async def _answer(self, head, exchange, closing):
        self.seen.append(head.path)
        if head.path == "/fault":
            raise ZeroDivisionError
        if head.path == "/wait":
            await self.go.wait()
        body = b""
        if head.path != "/unread":
            try:
                most = 0 if head.path == "/pieces" else math.inf
                while not exchange.is_here:
                    await exchange.more(lambda size, most=most: size <= most)
                    most = max(most, exchange.come)
                body = exchange()
            except RuntimeError:
                body = b"broke off"
        fields = [("connection", "close")] if closing() else []
        exchange.response_bytes(200, fields, b"%s %s %s" % (head.method.encode(), head.path.encode(), body))
        await exchange.drained()
        self.drained.append(head.path)

    async def connect(self, **how):
        """Return a connection."""
        caller = Spoken(*await asyncio.open_connection("127.0.0.1", self.port, **how))
        self._callers.append(caller)
        return caller

    async def close(self):
        """End it."""
        self.go.set()
        for caller in self._callers:
            caller.writer.close()
        await self.door.cut_off()
        self.watching.cancel()
        for caller in self._callers:
            with contextlib.suppress(OSError):
                await caller.writer.wait_closed()


class Spoken:
    """A connection to it."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def say(self, *pieces):
        """Send bytes."""
        self.writer.write(b"".join(pieces))

    async def heard(self):
        """Return status, header fields and body of the next answer."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = dict(line.split(": ", 1) for line in head[1:-2])
            body = await self.reader.readexactly(int(fields.get("content-length", 0)))
        return int(head[0].split()[1]), fields, body

    async def ended(self):
        """Return what comes before the connection's end."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionResetError):
                return await self.reader.read()
        return b""


def spoken(test):
    """Run a test on the gateway's own kind of event loop; `served` is a server, and `make` makes one."""
    wanted = inspect.signature(test)
    own = {"make", "served"} & set(wanted.parameters)

    async def go(given):
        made = []

        def make(shown=None, **limits):
            made.append(Served(bounds.Bounds(**limits), shown))
            return made[-1]

        try:
            given |= {name: make if name == "make" else make() for name in own}
            await test(**given)
        finally:
            for one in made:
                await one.close()

    @functools.wraps(test)
    def run(**given):
        uvloop.run(go(given))

    left = [one for name, one in wanted.parameters.items() if name not in own]
    run.__signature__ = wanted.replace(parameters=left)
    return run


def post(*fields, path=b"/", body=b""):
    """Return a request with a body."""
    return b"\r\n".join([b"POST %s HTTP/1.1" % path, b"Host: test", *fields, b"", body])
