"""A connection that nobody closes and nothing comes over, as a node leaves it that loses its power."""

import asyncio
import contextlib
import time

import grpc.aio
import pytest

from vectorfleet_runtime import credentials
from vectorfleet_shardnode.api import replication_pb2, replication_pb2_grpc
from vectorfleet_shardnode.replication import links

NOTICED_SECONDS = 20


class Answering(replication_pb2_grpc.ReplicationServicer):
    """A replica that has promised epoch 7."""

    async def Confirm(self, request, context):  # noqa: N802  gRPC's name
        return replication_pb2.ConfirmReply(promised=7)


class Passage:
    """Passes bytes on to a port; connections that were frozen stay open, and nothing passes over them."""

    def __init__(self, port):
        self.port, self.made, self._frozen, self._ends = port, 0, asyncio.Event(), asyncio.Event()

    def freeze(self):
        """Let all connections of now go dead; new ones are well."""
        frozen, self._frozen = self._frozen, asyncio.Event()
        frozen.set()

    def end(self):
        """Close everything."""
        self._ends.set()

    async def accept(self, reader, writer):
        """Pass one connection on."""
        self.made += 1
        frozen = self._frozen
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        passing = [asyncio.create_task(self._pass(*way)) for way in ((reader, back), (there, writer))]
        waiting = [asyncio.create_task(one.wait()) for one in (frozen, self._ends)]
        await asyncio.wait([*passing, *waiting], return_when=asyncio.FIRST_COMPLETED)
        for task in (*passing, waiting[0]):
            task.cancel()
        if frozen.is_set():
            await self._ends.wait()
        waiting[1].cancel()
        for end in (writer, back):
            end.close()

    @staticmethod
    async def _pass(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()


@pytest.fixture
async def passage():
    """A passage to an answering replica, at `passage.address`."""
    own = credentials.Trusted("token")
    replica = grpc.aio.server(options=credentials.ANSWERS_PINGS)
    replication_pb2_grpc.add_ReplicationServicer_to_server(Answering(), replica)
    made = Passage(own.listen(replica, "127.0.0.1", 0))
    await replica.start()
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    made.end()
    server.close()
    await replica.stop(0)
    await asyncio.sleep(0.05)


async def test_a_dead_connection_is_left(passage):
    """Calls over it run out of time, for some seconds; then another one is made, and they are answered."""
    ways = links.Links(credentials.Trusted("token"))
    asked = replication_pb2.ConfirmRequest(epoch=1)
    assert (await ways.confirm(passage.address, asked)).promised == 7
    passage.freeze()
    end, answered = time.monotonic() + NOTICED_SECONDS, 0
    while not answered and time.monotonic() < end:
        with contextlib.suppress(links.LinkError):
            answered = (await ways.confirm(passage.address, asked)).promised
    await ways.close()

    assert answered == 7
    assert passage.made == 2


async def test_pings_are_no_abuse(passage):
    """A connection over which nothing is said but pings stays."""
    ways = links.Links(credentials.Trusted("token"))
    asked = replication_pb2.ConfirmRequest(epoch=1)
    for _ in range(4):
        assert (await ways.confirm(passage.address, asked)).promised == 7
        await asyncio.sleep(1.5)
    await ways.close()

    assert passage.made == 1
