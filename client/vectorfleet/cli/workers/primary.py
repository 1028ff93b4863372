"""The primary's side of `--workers`: its shard over gRPC for those who write, and the crew beside it."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator

from vectorfleet_runtime import credentials
from vectorfleet_shardnode.serving import server, service

from . import control

_GRACE_SECONDS = 1.0


@contextlib.asynccontextmanager
async def reached(shard: service.ShardService) -> AsyncIterator[tuple[str, str]]:
    """Serve a shard on loopback; give its address, host:port, and the token that callers have to show."""
    token, ending = secrets.token_urlsafe(32), asyncio.Event()
    own = credentials.Trusted(token)
    serving = server.make_server(shard, own, ending)
    port = own.listen(serving, control.LOOPBACK, 0)
    await serving.start()
    try:
        yield f"{control.LOOPBACK}:{port}", token
    finally:
        ending.set()
        await serving.stop(_GRACE_SECONDS)
