"""How the primary and a worker talk: one message of a few bytes at a time, over a Unix socket."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import msgspec

LOOPBACK = "127.0.0.1"
"""Where the primary and workers reach each other for all that is not said here: writes, metrics."""
_MOST_BYTES = 4096


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Of a worker: it takes connections.

    Attributes:
        metrics_port: on loopback, where it shows its metrics; 0 where it does not.
    """

    metrics_port: int = 0


class Leaving(msgspec.Struct, frozen=True, tag=True):
    """Of a worker: it was told to end, and wants no more connections."""


class Drain(msgspec.Struct, frozen=True, tag=True):
    """To a worker: no more connections come; answer what there is, and end."""


Message = Ready | Leaving | Drain
_DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


class Control:
    """One end of it. The other end's process is gone once nothing is heard any more."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end

    def say(self, message: Message) -> None:
        """Send a message; one who is gone is told nothing."""
        with contextlib.suppress(OSError):
            self._end.send(msgspec.json.encode(message), socket.MSG_NOSIGNAL)

    async def heard(self) -> AsyncIterator[Message]:
        """Give what the other end says, until it is gone."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                said = await loop.sock_recv(self._end, _MOST_BYTES)
            except ConnectionError:
                return
            if not said:
                return
            yield _DECODER.decode(said)

    def close(self) -> None:
        """Say no more."""
        self._end.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
