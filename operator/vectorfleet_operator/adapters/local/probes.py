"""The pods' HTTP probes."""

import asyncio

from . import pod

_TIMEOUT_SECONDS = 5.0


async def passes(probe: pod.Probe, address: str) -> bool:
    """Return whether a probe is answered with a status of 200 to 399 in time."""
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            status = await _status(address, probe.port, probe.path)
    except (OSError, TimeoutError, ValueError, IndexError):
        return False
    return 200 <= status < 400


async def _status(address: str, port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        await writer.drain()
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
