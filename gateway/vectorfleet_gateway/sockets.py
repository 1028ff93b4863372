"""The socket that requests come in by: bound once, so that nobody else has the port.

A caller who takes nothing of its answer is cut off by the kernel: the answer would be kept in memory for as
long as the caller likes.
"""

import dataclasses
import socket

from . import errors

BACKLOG = 2048


@dataclasses.dataclass(frozen=True)
class Address:
    """Where to listen.

    Attributes:
        host: address or name.
        port: TCP port; 0 picks a free one.
        stall_seconds: for how long a caller may take nothing of its answer.
    """

    host: str
    port: int
    stall_seconds: float = 30.0


def claim(wanted: Address) -> socket.socket:
    """Return a socket that listens, and that no other process can listen beside.

    Raises:
        SettingsError: the host is not known, or the port is taken.
    """
    host, port = wanted.host, wanted.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        claimed = socket.socket(family, kind, protocol)
    except OSError as error:
        raise errors.SettingsError(f"can't listen on {host}:{port}: {error.strerror or error}") from error
    try:
        claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Those that are accepted inherit these.
        claimed.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(wanted.stall_seconds * 1000))
        claimed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        claimed.bind(address)
        claimed.listen(BACKLOG)
        claimed.setblocking(False)
    except OSError as error:
        claimed.close()
        raise errors.SettingsError(f"can't listen on {host}:{port}: {error.strerror or error}") from error
    return claimed


def deserted(like: socket.socket) -> socket.socket:
    """Return a socket that listens on a port that nobody was told."""
    made = socket.socket(like.family, like.type, like.proto)
    made.bind(("::1" if like.family is socket.AF_INET6 else "127.0.0.1", 0))
    made.listen(1)
    made.setblocking(False)
    return made


def port_of(claimed: socket.socket) -> int:
    """Return the port that a socket listens on."""
    return int(claimed.getsockname()[1])
