"""What is served instead of a shard that can't be: the reason, and nothing else.

The process stays, so that Kubernetes does not restart it in a loop and the operator hears why. A replica
whose data is damaged does one thing more: it gives the data up and begins anew, where the operator says so.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from .. import errors, rebuilding
from ..api import replication_pb2, shard_pb2

_LOG = logging.getLogger(__name__)
_REFUSED = ("Append", "Confirm", "Seal", "Lead", "Configure", "State", "Checkpoint")


class RefusingService:
    """See `server.Service`.

    Args:
        identity: what the shard says of itself nevertheless.
        reason: why it is not served.
        folder: of a replica whose data is damaged, where it may be given up; else None.
    """

    def __init__(
        self, identity: shard_pb2.ReportReply, reason: errors.ShardError, folder: Path | None = None
    ) -> None:
        self._identity = identity
        self._reason = reason
        self._begins_anew = asyncio.Event()
        self._replication = Damaged(folder, reason, self._begins_anew) if folder is not None else None

    async def write(self, _: Any, /) -> NoReturn:
        """Refuse."""
        raise self._reason

    async def search(self, _: Any, /) -> NoReturn:
        """Refuse."""
        raise self._reason

    async def fetch(self, _: Any, /) -> NoReturn:
        """Refuse."""
        raise self._reason

    async def list(self, _: Any, /) -> NoReturn:
        """Refuse."""
        raise self._reason

    async def stats(self, _: Any, /) -> NoReturn:
        """Refuse."""
        raise self._reason

    @property
    def refusal(self) -> str:
        """Why the shard is not ready."""
        return str(self._reason)

    @property
    def replication(self) -> "Damaged | None":
        """The calls of replication.proto, None where it takes part in nothing."""
        return self._replication

    async def starts_over(self) -> None:
        """Wait until the data was given up; for ever where it is not."""
        await self._begins_anew.wait()

    async def leave(self) -> None:
        """Do nothing: there is no office to leave."""

    async def close(self) -> None:
        """Do nothing: there is nothing open."""

    async def report(self, _: shard_pb2.ReportRequest) -> shard_pb2.ReportReply:
        """Say why nothing is served."""
        reply = shard_pb2.ReportReply()
        reply.CopyFrom(self._identity)
        reply.problem = str(self._reason)
        reply.damaged_disk = self._replication.disk if self._replication is not None else ""
        return reply


class Damaged:
    """A damaged replica's side of replication.proto: DATA_LOSS to everything but `Rebuild`."""

    STREAMS: tuple[str, ...] = ()

    def __init__(self, folder: Path, reason: errors.ShardError, begins_anew: asyncio.Event) -> None:
        self._folder, self._reason, self._begins_anew = folder, reason, begins_anew
        self.disk = rebuilding.disk_of(folder)

    def methods(self) -> Iterable[tuple[str, Callable[..., Any]]]:
        """Return the calls by name."""
        return (*((name, self._refuse) for name in _REFUSED), ("Rebuild", self.rebuild))

    async def _refuse(self, _: Any) -> NoReturn:
        raise self._reason

    async def rebuild(self, request: replication_pb2.RebuildRequest) -> replication_pb2.RebuildReply:
        """Give up what is left of the data; the process starts over with a new disk behind the answer."""
        give_up = functools.partial(rebuilding.give_up, self._folder, request.disk, request.epoch)
        disk = await asyncio.to_thread(give_up)
        _LOG.warning("this replica gives up its damaged data", extra={"disk": disk, "epoch": request.epoch})
        self._begins_anew.set()
        return replication_pb2.RebuildReply(disk=disk)
