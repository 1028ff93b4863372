"""Fetches the segments that the primary has built, so that a follower need not build them once more.

A primary says with each Append how far it has built. A follower that would merge segments waits instead:
it fetches the files that it lacks, in the way and at the pace of a copy, and offers them to its maintenance.
What has come stays through restarts. Nobody depends on it: a follower that hears of nothing builds by itself
after a while, and so does at once whoever is promoted.
"""

import asyncio
import logging
import shutil

from .. import errors, metrics, storage
from ..api import replication_pb2
from ..copies import incoming
from ..limits import guard
from ..segments import manifest
from . import copying, driver, links

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.5
_Notice = tuple[str, int, int]
"""Who has built, under which epoch, and how far."""


class Adopter:
    """What one replica adopts from others; made inside of the running event loop.

    Args:
        driven: the replica.
        ways: to the others.
        opened: the shard.
    """

    def __init__(self, driven: driver.Driver, ways: links.Links, opened: storage.OpenShard) -> None:
        self._driver, self._ways = driven, ways
        self._keeper, self._shard = opened.maintenance, opened.shard
        self._done: _Notice | None = None
        self._fetching = False
        self._keeper.following = True

    def note_office(self, leads: bool) -> None:
        """Build here, or leave it to the primary."""
        self._keeper.following = not leads

    def built(self) -> tuple[int, bool]:
        """Return how far this replica has built, and whether it builds now: what followers are told."""
        return self._keeper.built, self._keeper.building

    def hear(self, request: replication_pb2.AppendRequest) -> None:
        """Take in what a primary says that it has built."""
        if not self._keeper.following:
            return
        if request.building or self._fetching:
            self._keeper.wait_on()
        notice = (getattr(request, "from"), request.epoch, request.built)
        if request.built and notice != self._done and self._keeper.awaited is not None:
            self._begin(notice)

    def _begin(self, notice: _Notice) -> None:
        if not self._fetching and not self._driver.core.copying:
            self._fetching = True
            self._driver.spawn(self._adopt(notice))

    async def _adopt(self, notice: _Notice) -> None:
        try:
            if await self._fetch(notice):
                self._done = notice
        except (links.LinkError, errors.ShardError, OSError) as failed:
            _LOG.warning("built segments could not be fetched", extra={"reason": str(failed)})
        finally:
            await asyncio.sleep(_PAUSE_SECONDS)
            self._fetching = False

    async def _fetch(self, notice: _Notice) -> bool:
        """Fetch what is lacking and offer it; returns whether there is nothing more to do for this notice."""
        source, epoch, _ = notice
        mine = self._driver.identity
        address = mine.addresses.get(source, "")
        asked = replication_pb2.CheckpointRequest(
            index=mine.index, generation=mine.generation, shard=mine.shard, epoch=epoch, built=True
        )
        told = await self._ways.checkpoint(address, asked)
        wanted = self._wanted(manifest.parse(told.manifest))
        size = sum(listed.described.bytes for listed in wanted.segments)
        if not size or not self._shard.limits.has_room(guard.Need(0, size)):
            return True
        if any(listed.described.last_seq > self._shard.snapshot.seq for listed in wanted.segments):
            return False  # their newest rows are not committed here yet
        received = await asyncio.to_thread(
            incoming.Incoming, self._shard.folder, manifest.pack(wanted), incoming.ADOPTING
        )
        await copying.Fetching(
            self._ways, address, told.id, received, self._shard.tuning.copy_bytes_per_second
        ).run()
        metrics.FETCHED_BYTES.inc(received.size)
        for listed in wanted.segments:
            adoption = self._keeper.offer(received.folder_of(listed.name), listed.described)
            await asyncio.wrap_future(adoption)
        await asyncio.to_thread(shutil.rmtree, self._shard.folder / incoming.ADOPTING, ignore_errors=True)
        return True

    def _wanted(self, theirs: manifest.Manifest) -> manifest.Manifest:
        """Return those segments that have rows which wait here, and are not here already."""
        awaited, state = self._keeper.awaited, self._shard.snapshot
        here = [view.segment.descriptor.files for view in state.sealed]
        lacking = [
            listed
            for listed in theirs.segments
            if awaited is not None
            and listed.described.last_seq >= awaited
            and listed.described.files not in here
        ]
        return theirs.model_copy(update={"segments": tuple(lacking)})
