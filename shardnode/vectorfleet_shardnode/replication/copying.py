"""Copies segments from the primary, where its log does not reach back to what this replica has.

What has come stays, through restarts of either side, and is not fetched again; nor are files that are here
already, as of segments that this replica has adopted. Where the volume has no room for the rest, nothing is
fetched, and that is told. Once all of it is here the
process starts over with it: see `storage`. Nothing of the old data is touched before.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable

from .. import errors, files, metrics, shard
from ..api import replication_pb2
from ..copies import checkpoints, incoming, reusing
from . import driver, history, links

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.5
_UNREADABLE_SECONDS = 10.0
"""Pause after a copy that only a newer version can read: each try has the primary write a checkpoint."""
_NO_ROOM_SECONDS = 60.0
"""The same after one that found no room; it ends as soon as there is some."""
_TRIES = 5  # of files that break off without anything more of them; the next Append begins anew


class Copier:
    """The copies that one replica makes.

    Args:
        driven: the replica.
        ways: to the others.
        held: the shard that is replaced.
    """

    def __init__(self, driven: driver.Driver, ways: links.Links, held: shard.Shard) -> None:
        self._driver = driven
        self._ways = ways
        self._shard = held
        self._lacking = 0  # bytes that were to come when a copy was last begun

    async def copy(self, request: replication_pb2.AppendRequest) -> None:
        """Copy from the sender of an Append; the driver is told how it ended."""
        try:
            received, base = await self._fetch(request)
        except (links.LinkError, errors.ShardError, OSError) as failed:
            _LOG.warning("segments could not be copied", extra={"reason": str(failed)})
            newer, full = isinstance(failed, errors.UnknownFormatError), _is_full(failed)
            self._driver.unreadable = str(failed) if newer else ""
            self._driver.no_room_to_copy = str(failed) if full else ""
            await asyncio.sleep(_UNREADABLE_SECONDS if newer else _PAUSE_SECONDS)
            if full:
                await self._wait_for_room()
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
        received = await asyncio.to_thread(self._receive, told.manifest)
        self._driver.unreadable = self._driver.no_room_to_copy = ""
        pace = self._shard.tuning.copy_bytes_per_second
        await Fetching(self._ways, address, told.id, received, pace).run()
        metrics.COPIED_BYTES.labels("sent").inc(self._lacking)
        metrics.COPIED_BYTES.labels("kept").inc(received.size - self._lacking)
        base = history.Position(told.covered.epoch, told.covered.seq)
        return received, history.starting(base)

    def _receive(self, content: bytes) -> incoming.Incoming:
        """Begin with what is here already, and see whether the rest has room.

        Raises:
            StorageFullError: it has none, also without what was set aside.
        """
        received = incoming.Incoming(self._shard.folder, content)
        received.take_over(reusing.known(self._shard.folder))
        self._lacking = received.lacking
        if self._shard.limits.refusal_of_copy(self._lacking):
            reusing.drop(self._shard.folder)
        if refusal := self._shard.limits.refusal_of_copy(self._lacking):
            raise errors.StorageFullError(refusal)
        return received

    async def _wait_for_room(self) -> None:
        """Wait until the rest would have room, yet not for ever: the primary may have less by then."""
        for _ in range(round(_NO_ROOM_SECONDS / _PAUSE_SECONDS)):
            if not self._shard.limits.refusal_of_copy(self._lacking):
                return
            await asyncio.sleep(_PAUSE_SECONDS)


def _is_full(failed: Exception) -> bool:
    """Tell whether a copy ended for want of room, by our own measure or by the disk's."""
    return isinstance(failed, errors.StorageFullError) or getattr(failed, "errno", None) in files.FULL


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
        tries, before = 0, self._received.lacking
        while tries < _TRIES:
            for wanted in await asyncio.to_thread(self._received.wanted):
                await self._fetch(wanted)
            if self._received.complete:
                return
            lacking = self._received.lacking
            tries, before = (0 if lacking < before else tries + 1), min(before, lacking)
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
    """Keeps a stream, or several together, to a pace, so that serving goes on beside them.

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
    """What others copy from here, all of them together at one pace.

    Args:
        kept: the checkpoints of the shard.
        pace: bytes a second at most.
    """

    def __init__(self, kept: checkpoints.Checkpoints, pace: int) -> None:
        self._kept = kept
        self._throttle = Throttle(pace, time.monotonic)

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
            await asyncio.sleep(self._throttle.pause_after(len(piece)))
            yield replication_pb2.Chunk(data=piece)

    async def expire(self, seconds: float) -> None:
        """Give up checkpoints that nobody reads, every so many seconds, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._kept.expire)
