"""Connections to services: a name is resolved once, looked at, and what was looked at is connected to.

So no name can lead to an address where no service may be, however often its answer changes.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable

import certifi
import httpcore

from vectorfleet_shardnode.api import services

SocketOptions = Iterable[
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
]


class ForbiddenAddressError(Exception):
    """A service's name leads to an address where no service may be."""


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to addresses that were looked at."""

    def __init__(self) -> None:
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the interface's own
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that takes the connection."""
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await _resolve(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  # the interface's own
        socket_options: SocketOptions | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: services are at host and port."""
        raise ForbiddenAddressError("no service is at a path")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def pool(connections: int) -> httpcore.AsyncConnectionPool:
    """Return a pool of checked connections, with the system's certificates and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return httpcore.AsyncConnectionPool(
        ssl_context=context,
        max_connections=connections,
        max_keepalive_connections=connections,
        # Sooner than servers usually close, so that a request rarely meets a closed one.
        keepalive_expiry=4.0,
        network_backend=CheckedBackend(),
    )


async def _resolve(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(f"{host} can't be resolved") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if services.forbidden_address(ipaddress.ip_address(address.partition("%")[0])):
            raise ForbiddenAddressError(f"{host} leads to {address}, where no service may be")
    return addresses
