"""Where connections come from: the socket that listens, or a process that accepts them and hands them over.

A connection is handed over as a file descriptor through a Unix socket. Whoever has accepted it lets go of it
only once the kernel has it for the other process; where that can't be, it stays.
"""

import asyncio
import collections
import contextlib
import os
import socket
from collections.abc import Callable, Iterable
from typing import Protocol

HandOn = Callable[[socket.socket], bool]
"""Gives a connection to somebody else; returns whether that one has it."""


class Source(Protocol):
    """Connections, as they come."""

    def begin(self, arrived: Callable[[], object]) -> None:
        """Call `arrived`, inside of the running event loop, whenever there may be some to take."""
        ...

    def pause(self) -> None:
        """Call it no more."""
        ...

    def take(self) -> socket.socket | None:
        """Return the next one, None where somebody else answers it.

        Raises:
            BlockingIOError: there is none.
            OSError: it can't be taken now: there are no descriptors, or no memory.
        """
        ...

    def close(self) -> None:
        """Take no more, for ever. Whoever waits is cut off."""
        ...


class Accepted:
    """Connections that a socket accepts.

    Args:
        listening: see `sockets.claim`; closed by `close`.

    Attributes:
        hand_on: who may answer a connection in this process's place; None where nobody does.
    """

    def __init__(self, listening: socket.socket) -> None:
        self.hand_on: HandOn | None = None
        self._listening = listening
        self._returned: collections.deque[socket.socket] = collections.deque()
        self._arrived: Callable[[], object] | None = None

    def begin(self, arrived: Callable[[], object]) -> None:
        """Call `arrived` whenever there may be some to take."""
        loop, self._arrived = asyncio.get_running_loop(), arrived
        loop.add_reader(self._listening.fileno(), arrived)
        if self._returned:
            loop.call_soon(arrived)

    def pause(self) -> None:
        """Call it no more."""
        self._arrived = None
        asyncio.get_running_loop().remove_reader(self._listening.fileno())

    def give_back(self, connections: Iterable[socket.socket]) -> None:
        """Take connections that were handed on, and that nobody has answered."""
        self._returned.extend(connections)
        if self._returned and self._arrived is not None:
            asyncio.get_running_loop().call_soon(self._arrived)

    def take(self) -> socket.socket | None:
        """Return the next one, None where it was handed on."""
        accepted = self._returned.popleft() if self._returned else self._listening.accept()[0]
        if self.hand_on is not None and self.hand_on(accepted):
            accepted.close()
            return None
        return accepted

    def close(self) -> None:
        """Listen no more."""
        self._listening.close()
        while self._returned:
            self._returned.popleft().close()


class HandedOver:
    """Connections that another process accepted and hands over.

    Args:
        channel: the receiving end of `channel`; closed by `close`.
    """

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel = channel

    def begin(self, arrived: Callable[[], object]) -> None:
        """Call `arrived` whenever there may be some to take."""
        asyncio.get_running_loop().add_reader(self._channel.fileno(), arrived)

    def pause(self) -> None:
        """Call it no more."""
        asyncio.get_running_loop().remove_reader(self._channel.fileno())

    def take(self) -> socket.socket | None:
        """Return the next one."""
        return receive(self._channel)

    def close(self) -> None:
        """Take no more."""
        self._channel.close()


def channel() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a way to hand connections over: who accepts them, and who receives them.

    It holds some tens, so that one who is stuck is not given more than that.
    """
    accepting, receiving = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    accepting.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    accepting.setblocking(False)
    receiving.setblocking(False)
    return accepting, receiving


def hand_over(accepting: socket.socket, connection: socket.socket) -> bool:
    """Send a connection; return whether the other end has it, False where it is full or gone."""
    try:
        socket.send_fds(accepting, [b"c"], [connection.fileno()])
    except OSError:
        return False
    return True


def receive(receiving: socket.socket) -> socket.socket:
    """Return the next connection that was sent.

    Raises:
        BlockingIOError: there is none, or will be none any more.
        OSError: there are no descriptors.
    """
    # The kernel drops what it has no descriptor for: whether there is one is tried first.
    os.close(os.dup(receiving.fileno()))
    _, given, _, _ = socket.recv_fds(receiving, 1, 1)
    if not given:
        raise BlockingIOError("nothing is handed over any more")
    os.set_inheritable(given[0], False)
    return socket.socket(fileno=given[0])


def received(receiving: socket.socket) -> list[socket.socket]:
    """Return all connections that were sent and not received yet."""
    left: list[socket.socket] = []
    with contextlib.suppress(OSError):
        while True:
            left.append(receive(receiving))
    return left
