"""What is served instead of a shard that can't be: the reason, and nothing else.

The process stays, so that Kubernetes does not restart it in a loop and the operator hears why. A replica
whose data is damaged does one thing more: it gives the data up and begins anew, where the operator says so.
One whose disk fails tries again from time to time: the disk may be there again.
"""

import asyncio
import contextlib
import enum
import functools
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from .. import errors, rebuilding
from ..api import replication_pb2, shard_pb2

_LOG = logging.getLogger(__name__)
_REFUSED = ("Append", "Confirm", "Seal", "Lead", "Configure", "State", "Checkpoint")


class Cause(enum.StrEnum):
    """Why nothing is served, in the words of `refusal` in shard.proto."""

    DAMAGED = "Damaged"
    DISK_FAILED = "DiskFailed"
    UNKNOWN_FORMAT = "UnknownFormat"
    TOO_LARGE = "TooLarge"


def cause_of(reason: errors.ShardError) -> Cause:
    """Return the word for what a shard's start has raised."""
    causes = {
        errors.TooLargeError: Cause.TOO_LARGE,
        errors.UnknownFormatError: Cause.UNKNOWN_FORMAT,
        errors.UnreadableError: Cause.DISK_FAILED,
    }
    return next((cause for kind, cause in causes.items() if isinstance(reason, kind)), Cause.DAMAGED)


class RefusingService:
    """See `server.Service`.

    Args:
        identity: what the shard says of itself nevertheless.
        reason: why it is not served.
        folder: of a replica; None where there is nobody who could be told.
        retry_seconds: after how long a disk that fails is tried again.
    """

    def __init__(
        self,
        identity: shard_pb2.ReportReply,
        reason: errors.ShardError,
        folder: Path | None = None,
        retry_seconds: float = 60.0,
    ) -> None:
        self._identity = identity
        self._reason = reason
        self._begins_anew = asyncio.Event()
        self._replication = Refusing(folder, reason, self._begins_anew) if folder is not None else None
        self._retry_seconds = retry_seconds if cause_of(reason) is Cause.DISK_FAILED else None

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
    def replication(self) -> "Refusing | None":
        """The calls of replication.proto, None where it takes part in nothing."""
        return self._replication

    async def starts_over(self) -> None:
        """Wait until the data was given up, or a disk is to be tried again; for ever where neither comes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._begins_anew.wait(), self._retry_seconds)

    async def leave(self) -> None:
        """Do nothing: there is no office to leave."""

    async def close(self) -> None:
        """Do nothing: there is nothing open."""

    async def report(self, _: shard_pb2.ReportRequest) -> shard_pb2.ReportReply:
        """Say why nothing is served."""
        reply = shard_pb2.ReportReply()
        reply.CopyFrom(self._identity)
        reply.problem = str(self._reason)
        reply.refusal = cause_of(self._reason)
        reply.damaged_disk = self._replication.damaged_disk if self._replication is not None else ""
        return reply


class Refusing:
    """A replica's side of replication.proto that serves nothing: its reason to everything but `Rebuild`.

    Only damaged data may be given up. What can't be read now may be whole, and what is of another version is.
    """

    STREAMS: tuple[str, ...] = ()

    def __init__(self, folder: Path, reason: errors.ShardError, begins_anew: asyncio.Event) -> None:
        self._folder, self._reason, self._begins_anew = folder, reason, begins_anew
        self._damaged = cause_of(reason) is Cause.DAMAGED
        self.damaged_disk = rebuilding.disk_of(folder) if self._damaged else ""

    def methods(self) -> Iterable[tuple[str, Callable[..., Any]]]:
        """Return the calls by name."""
        return (*((name, self._refuse) for name in _REFUSED), ("Rebuild", self.rebuild))

    async def _refuse(self, _: Any) -> NoReturn:
        raise self._reason

    async def rebuild(self, request: replication_pb2.RebuildRequest) -> replication_pb2.RebuildReply:
        """Give up what is left of the data; the process starts over with a new disk behind the answer."""
        if not self._damaged:
            raise errors.NotHereError(f"nothing is given up that is not damaged: {self._reason}")
        give_up = functools.partial(rebuilding.give_up, self._folder, request.disk, request.epoch)
        disk = await asyncio.to_thread(give_up)
        _LOG.warning("this replica gives up its damaged data", extra={"disk": disk, "epoch": request.epoch})
        self._begins_anew.set()
        return replication_pb2.RebuildReply(disk=disk)
