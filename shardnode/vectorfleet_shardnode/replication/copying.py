"""Copies segments from the primary, where its log does not reach back to what this replica has.

What has come stays, through restarts of either side, and is not fetched again. Once all of it is here the
process starts over with it: see `storage`. Nothing of the old data is touched before.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from .. import errors
from ..api import replication_pb2
from ..copies import checkpoints, incoming
from . import driver, history, links

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.5
_UNREADABLE_SECONDS = 10.0
"""Pause after a copy that only a newer version can read: each try has the primary write a checkpoint."""
_TRIES = 5  # of a file that breaks off; the next Append begins anew


class Copier:
    """The copies that one replica makes.

    Args:
        driven: the replica.
        ways: to the others.
        folder: the shard's.
        pace: bytes a second at most.
    """

    def __init__(self, driven: driver.Driver, ways: links.Links, folder: Path, pace: int) -> None:
        self._driver = driven
        self._ways = ways
        self._folder = folder
        self._pace = pace

    async def copy(self, request: replication_pb2.AppendRequest) -> None:
        """Copy from the sender of an Append; the driver is told how it ended."""
        try:
            received, base = await self._fetch(request)
        except (links.LinkError, errors.ShardError, OSError) as failed:
            _LOG.warning("segments could not be copied", extra={"reason": str(failed)})
            newer = isinstance(failed, errors.UnknownFormatError)
            self._driver.unreadable = str(failed) if newer else ""
            await asyncio.sleep(_UNREADABLE_SECONDS if newer else _PAUSE_SECONDS)
            self._driver.copy_failed()
        else:
            self._driver.offer_copy(request.epoch, base, received)

    async def _fetch(
        self, request: replication_pb2.AppendRequest
    ) -> tuple[incoming.Incoming, history.History]:
        mine = self._driver.identity
        address = mine.addresses.get(getattr(request, "from"), "")
        asked = replication_pb2.CheckpointRequest(
            index=mine.index, generation=mine.generation, shard=mine.shard, epoch=request.epoch
        )
        told = await self._ways.checkpoint(address, asked)
        _LOG.info("copying segments", extra={"bytes": told.bytes, "from": address})
        received = await asyncio.to_thread(incoming.Incoming, self._folder, told.manifest)
        await Fetching(self._ways, address, told.id, received, self._pace).run()
        base = history.Position(told.covered.epoch, told.covered.seq)
        return received, history.starting(base)


class Fetching:
    """The files of one checkpoint on their way here.

    Args:
        ways: to the others.
        address: of the replica that holds the checkpoint.
        checkpoint: its id.
        received: what is wanted, and what has come.
        pace: bytes a second at most.
    """

    def __init__(
        self, ways: links.Links, address: str, checkpoint: str, received: incoming.Incoming, pace: int
    ) -> None:
        self._ways, self._address, self._checkpoint = ways, address, checkpoint
        self._received = received
        self._throttle = Throttle(pace, time.monotonic)

    async def run(self) -> None:
        """Fetch all that is wanted.

        Raises:
            UnavailableError: it broke off too often; what has come stays.
            ShardError, OSError: it can't be stored.
        """
        for _ in range(_TRIES):
            for wanted in await asyncio.to_thread(self._received.wanted):
                await self._fetch(wanted)
            if self._received.complete:
                return
        raise errors.UnavailableError(f"{self._address} broke off {_TRIES} times while segments were copied")

    async def _fetch(self, wanted: incoming.Wanted) -> None:
        offset, place = wanted.offset, (wanted.segment, wanted.file)
        request = replication_pb2.ReadFileRequest(
            checkpoint=self._checkpoint, segment=wanted.segment, file=wanted.file, offset=offset
        )
        try:
            if not wanted.bytes:
                await asyncio.to_thread(self._received.write, place, 0, b"")
            async for piece in self._ways.read_file(self._address, request):
                await asyncio.to_thread(self._received.write, place, offset, piece)
                offset += len(piece)
                await asyncio.sleep(self._throttle.pause_after(len(piece)))
        except (links.LinkError, errors.DataLossError) as broken:
            _LOG.warning("a file broke off", extra={"file": wanted.file, "reason": str(broken)})
            await asyncio.sleep(_PAUSE_SECONDS)


class Throttle:
    """Keeps a stream to a pace, so that serving goes on beside it.

    Args:
        pace: bytes a second.
        clock: monotonic seconds.
    """

    def __init__(self, pace: int, clock: Callable[[], float]) -> None:
        self._pace, self._clock = pace, clock
        self._due = clock()

    def pause_after(self, size: int) -> float:
        """Return the seconds to wait after so many bytes; what was waited in vain is not made up for.

        What they took to come counts: of a way that is slower than the pace nothing is held up.
        """
        now, takes = self._clock(), size / self._pace
        self._due = max(self._due, now - takes) + takes
        return max(0.0, self._due - now)


class Source:
    """What others copy from here.

    Args:
        kept: the checkpoints of the shard.
    """

    def __init__(self, kept: checkpoints.Checkpoints) -> None:
        self._kept = kept

    async def take(self, *, built: bool = False) -> replication_pb2.CheckpointReply:
        """Make a checkpoint, or hold the segments that were built."""
        made = await asyncio.to_thread(self._kept.take_built if built else self._kept.take)
        covered = replication_pb2.LogPosition(epoch=made.covered.epoch, seq=made.covered.seq)
        return replication_pb2.CheckpointReply(
            id=made.id, manifest=made.manifest, covered=covered, bytes=made.bytes, seconds=self._kept.seconds
        )

    async def read(self, request: replication_pb2.ReadFileRequest) -> AsyncIterator[replication_pb2.Chunk]:
        """Yield a file from an offset on."""
        offset, place = request.offset, (request.segment, request.file)
        while piece := await asyncio.to_thread(self._kept.read, request.checkpoint, place, offset):
            offset += len(piece)
            yield replication_pb2.Chunk(data=piece)

    async def expire(self, seconds: float) -> None:
        """Give up checkpoints that nobody reads, every so many seconds, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._kept.expire)
