"""The gateway of `vectorfleet serve` in front of one shard: the same in each of its processes."""

import asyncio
import dataclasses
from collections.abc import Callable

from vectorfleet_gateway import app, audit, index, server, services, shards
from vectorfleet_gateway.serving import arrivals
from vectorfleet_runtime import certificates, garbage
from vectorfleet_shardnode.api import config

from . import doors


@dataclasses.dataclass(frozen=True)
class Front:
    """What is in front of the shard.

    Attributes:
        settled: the index.
        door: where requests come in.
        entering: knows callers.
        shown: the certificate of HTTPS; HTTP where None.
    """

    settled: config.IndexConfig
    door: doors.Door
    entering: app.Entrance
    shown: certificates.Certificates | None


async def answer(
    front: Front,
    client: shards.ShardClient,
    source: arrivals.Source,
    stop: asyncio.Event,
    started: Callable[[], None],
) -> None:
    """Answer requests until `stop` is set, then drain; `client` and `source` are closed."""
    served = index.Index(front.settled, [client])
    door = front.door
    services.attach(served, services.Keys(door.embedder_key_file, door.reranker_key_file))
    log = audit.Audit(door.audited, front.settled.index)
    application = app.App(served, front.entering, door.bounds, log, open_docs=door.open_docs)
    try:
        with garbage.set_apart():
            await server.serve(application, source, stop, started, front.shown)
    finally:
        await served.close()
