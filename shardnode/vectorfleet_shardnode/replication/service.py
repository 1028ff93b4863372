"""The calls of replication.proto: who may call what is checked before, what they say is checked here."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import google_crc32c

from .. import errors, shard
from ..api import replication_pb2
from . import copying, driver, messages, reporting, wire

_LEAD_SECONDS = 30.0  # the longest that one call of Lead waits


class ReplicationService:
    """One replica's side of each call. Each may raise a `ShardError`, whose `code` is the gRPC status."""

    STREAMS: tuple[str, ...] = ("ReadFile",)

    def methods(self) -> Iterable[tuple[str, Callable[..., Any]]]:
        """Return the calls by name."""
        return (
            ("Append", self.append),
            ("Confirm", self.confirm),
            ("Seal", self.seal),
            ("Lead", self.lead),
            ("Configure", self.configure),
            ("State", self.state),
            ("Checkpoint", self.checkpoint),
            ("ReadFile", self.read_file),
            ("Rebuild", self.rebuild),
        )

    def __init__(self, driven: driver.Driver, source: copying.Source, held: shard.Shard) -> None:
        self._driver = driven
        self._source = source
        self._shard = held

    async def append(self, request: replication_pb2.AppendRequest) -> replication_pb2.AppendReply:
        """Take records of a primary; answered after the fsync."""
        self._check_shard(request.index, request.generation, request.shard)
        self._check_disk(request.to_disk)
        _check_entries(request)
        given = wire.to_append(request, [entry.epoch for entry in request.entries])
        reply = await self._driver.ask(lambda token: self._driver.core.append(token, given), request)
        if reply.promised == request.epoch:
            self._driver.heard_from_primary(request)
        return wire.append_reply(reply)

    async def confirm(self, request: replication_pb2.ConfirmRequest) -> replication_pb2.ConfirmReply:
        """Say what was promised."""
        self._check_disk(request.to_disk)
        reply = await self._driver.ask(self._driver.core.confirm)
        return replication_pb2.ConfirmReply(promised=reply.promised)

    async def seal(self, request: replication_pb2.SealRequest) -> replication_pb2.SealReply:
        """Promise an epoch."""
        if request.disk:
            self._check_disk(request.disk)
        if not request.epoch:
            raise errors.BadRequestError("an epoch is 1 or more")
        core = self._driver.core
        reply = await self._driver.ask(lambda token: core.seal(token, request.epoch, begins=request.begins))
        return replication_pb2.SealReply(
            sealed=reply.sealed, promised=reply.promised, last=wire.position(reply.last), disk=core.me.disk
        )

    async def lead(self, request: replication_pb2.LeadRequest) -> replication_pb2.LeadReply:
        """Take office; answered once enough members hold the log, or the time is up."""
        wanted = _parse(request.configuration)
        core, seconds = self._driver.core, min(request.seconds or _LEAD_SECONDS, _LEAD_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                reply = await self._driver.ask(lambda token: core.lead(token, wanted))
        except TimeoutError:
            leading = core.term is not None and core.term.epoch == wanted.epoch
            reply = messages.LeadReply(leading, last=core.history.last)
        return replication_pb2.LeadReply(
            leading=reply.leading, held=reply.held, last=wire.position(reply.last)
        )

    async def configure(self, request: replication_pb2.ConfigureRequest) -> replication_pb2.ConfigureReply:
        """Take note of a committed configuration."""
        given = _parse(request.configuration)
        learners = tuple(wire.to_member(one) for one in request.learners)
        core = self._driver.core
        reply = await self._driver.ask(lambda token: core.configure(token, given, learners))
        return replication_pb2.ConfigureReply(epoch=reply.epoch)

    async def checkpoint(self, request: replication_pb2.CheckpointRequest) -> replication_pb2.CheckpointReply:
        """Make a checkpoint of what readers see here."""
        self._check_shard(request.index, request.generation, request.shard)
        if request.epoch < self._driver.core.promised:
            raise errors.NotHereError(
                f"epoch {self._driver.core.promised} is promised, {request.epoch} is over"
            )
        return await self._source.take(built=request.built)

    def read_file(self, request: replication_pb2.ReadFileRequest) -> AsyncIterator[replication_pb2.Chunk]:
        """Yield a file of a checkpoint."""
        return self._source.read(request)

    async def rebuild(self, request: replication_pb2.RebuildRequest) -> replication_pb2.RebuildReply:
        """Give up this replica's data; the process starts over with a new disk behind the answer."""
        self._check_disk(request.disk)
        core = self._driver.core
        reply = await self._driver.ask(lambda token: core.give_up(token, request.epoch))
        if reply.refusal:
            raise errors.NotHereError(f"nothing is given up: {reply.refusal}")
        return replication_pb2.RebuildReply(disk=reply.disk)

    async def state(self, _: replication_pb2.StateRequest) -> replication_pb2.ReplicaState:
        """Return this replica's part in the shard."""
        return self.state_now()

    def state_now(self) -> replication_pb2.ReplicaState:
        """Return the same at once."""
        return reporting.state_of(self._driver, self._shard)

    def _check_shard(self, index: str, generation: str, shard: int) -> None:
        mine = self._driver.identity
        if (index, generation, shard) != (mine.index, mine.generation, mine.shard):
            raise errors.NotHereError(
                f"this is shard {mine.shard} of {mine.index} {mine.generation}; "
                f"the call is for shard {shard} of {index} {generation}"
            )

    def _check_disk(self, disk: str) -> None:
        if disk != self._driver.core.me.disk:
            raise errors.NotHereError("the call is for another disk than this replica has now")


def _check_entries(request: replication_pb2.AppendRequest) -> None:
    """Refuse records that are not as they were sent, or do not follow each other."""
    for seq, entry in enumerate(request.entries, request.previous.seq + 1):
        if entry.seq != seq or not 0 < entry.epoch <= request.epoch:
            raise errors.BadRequestError(
                f"record ({entry.epoch}, {entry.seq}) stands where seq {seq} of an epoch up to "
                f"{request.epoch} belongs"
            )
        if google_crc32c.value(entry.payload) != entry.crc32c:
            raise errors.BadRequestError(f"record {entry.seq} was damaged on its way")


def _parse(given: replication_pb2.Configuration) -> messages.Configuration:
    try:
        return wire.to_configuration(given)
    except ValueError as wrong:
        raise errors.BadRequestError(str(wrong)) from wrong
