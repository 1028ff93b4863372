"""A secondary, served: the reads of a shard in another process than the one that writes it."""

import asyncio
import dataclasses
import logging
import threading
from pathlib import Path

from .. import errors, shown
from .. import shape as shapes
from ..api import config
from ..limits import cgroup
from ..secondary import secondary
from ..settings import Tuning
from . import reads, service

_LOG = logging.getLogger(__name__)
_TICK = 0.1  # seconds between looks at what the primary has made


@dataclasses.dataclass(frozen=True)
class Followed:
    """The shard of another process: its number, its folder, and where that process says what is visible."""

    number: int
    folder: Path
    shown: Path


async def open_secondary(
    index: config.IndexConfig,
    followed: Followed,
    tuning: Tuning | None = None,
    machine: service.Machine | None = None,
) -> "SecondaryService":
    """Read a shard that another process of this machine serves, and follow it.

    Raises:
        WrongIdentityError: the folder holds rows of another index, dimension or metric.
        DataLossError: its files are damaged.
        UnavailableError: nobody serves it.
    """
    machine = machine or service.Machine()
    bounds, threads = tuning or Tuning(), machine.search_threads or cgroup.cores()
    source = secondary.Source(index, followed.number, followed.folder, bounds, machine.memory)
    try:
        seen = shown.Seen(followed.shown)
    except OSError as gone:
        raise errors.UnavailableError(f"nobody serves the shard in {followed.folder}") from gone
    opened = await asyncio.to_thread(secondary.Secondary, source, seen)
    return SecondaryService(opened, index, followed.number, threads)


class _States:
    """What is read: what the primary has shown is all that it has acknowledged."""

    def __init__(self, followed: secondary.Secondary) -> None:
        self._followed = followed
        self.level, self.catch_up = followed.level, followed.catch_up

    @property
    def shape(self) -> shapes.Shape:
        """What vectors must be."""
        return self._followed.shape

    async def barrier(self) -> int:
        """Return up to where the primary has shown its writes."""
        return self._followed.seq

    def epoch_at(self, _: int) -> int | None:
        """Return nothing: the log is its primary's, which has no other replicas, and loses nothing."""
        return None


class SecondaryService:
    """A secondary that keeps up with its primary, from the start until `close`.

    Attributes:
        reads: of the shard.
    """

    def __init__(
        self, followed: secondary.Secondary, index: config.IndexConfig, number: int, threads: int
    ) -> None:
        self._followed = followed
        self.reads = reads.Reads(_States(followed), index.serving, number, threads)
        self._stopping = threading.Event()
        self._looking = threading.Thread(target=self._look, name="secondary", daemon=True)
        self._looking.start()

    async def close(self) -> None:
        """Finish what is under way."""
        self.reads.refuse()
        self._stopping.set()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._looking.join()
        self.reads.close()

    def _look(self) -> None:
        """Keep up with the primary, so that reads find little to do, and few segments."""
        said = ""
        while not self._stopping.wait(_TICK):
            try:
                self._followed.catch_up()
                self._followed.look()
                said = ""
            except Exception as failure:  # noqa: BLE001 (the thread must outlive what it meets)
                if said != (said := str(failure)):
                    _LOG.warning("can't keep up with the shard, will try again", extra={"reason": said})
