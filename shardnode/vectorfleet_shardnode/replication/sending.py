"""What goes out to the other replicas, and when they last answered.

Answers come back to the core as events, as everything does that it learns.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable

from .. import errors
from ..api import replication_pb2
from . import links, messages, protocol, term, wire
from .disk import Disk

_LOG = logging.getLogger(__name__)
SHIPPED_BYTES = 8 << 20
_AT_ONCE_BYTES = 16 << 10


@dataclasses.dataclass(frozen=True)
class Identity:
    """Which shard this is, and what a new configuration does not say: where replicas listen, by name."""

    index: str
    generation: str
    shard: int
    addresses: dict[str, str]


class Sending:
    """One replica's way to the others.

    Args:
        identity: of the shard.
        core: whose messages are sent, and who hears of the answers.
        disk: what is shipped.
        ways: to the others.
        post: brings the core an event.

    Attributes:
        began_at: when, as all times here, by the monotonic clock.
        answered_at: when each disk last answered.
        built: tells through which seq this replica has built segments, and whether it builds.
    """

    def __init__(
        self,
        identity: Identity,
        core: protocol.Replica,
        disk: Disk,
        ways: links.Links,
        post: Callable[[Callable[[], protocol.Effects]], None],
    ) -> None:
        self.began_at = self._quorum_at = time.monotonic()
        self.answered_at: dict[str, float] = {}
        self.built: Callable[[], tuple[int, bool]] = lambda: (0, False)
        self._accepted_at: dict[str, float] = {}
        self._identity = identity
        self._core = core
        self._disk = disk
        self._ways = ways
        self._post = post

    async def close(self) -> None:
        """Close the ways to the others."""
        await self._ways.close()

    def note_quorum(self) -> None:
        """Take note that a write quorum holds what this replica has."""
        self._quorum_at = time.monotonic()

    async def send(self, to: messages.Member, message: messages.Append | messages.Confirm) -> None:
        """Send a message; its answer, or that there is none, comes back to the core as an event."""
        try:
            match message:
                case messages.Append():
                    await self._append(to, message)
                case messages.Confirm():
                    request = replication_pb2.ConfirmRequest(epoch=message.epoch, to_disk=to.disk)
                    reply = await self._ways.confirm(self._address(to), request)
                    heard = messages.ConfirmReply(reply.promised)
                    self._post(lambda: self._core.confirm_reply(to.disk, message, heard))
        except (links.LinkError, errors.ShardError, LookupError, OSError) as failed:
            _LOG.debug("a replica did not answer", extra={"replica": to.name, "reason": str(failed)})
            self._post(lambda: self._core.unreachable(to.disk, message.epoch))

    async def _append(self, to: messages.Member, message: messages.Append) -> None:
        current = self._core.term
        entries: list[replication_pb2.Entry] = []
        if message.upto > message.previous.seq:
            entries = await self._read(message.previous.seq + 1, message.upto)
        if current is None or self._core.term is not current or current.epoch != message.epoch:
            return  # out of office: what was read may be another's
        lacks = self._core.synced > message.previous.seq
        built, building = self.built()
        request = replication_pb2.AppendRequest(
            index=self._identity.index,
            generation=self._identity.generation,
            shard=self._identity.shard,
            epoch=message.epoch,
            to_disk=to.disk,
            previous=wire.position(message.previous),
            entries=entries,
            committed=message.committed,
            log_begin=message.log_begin,
            built=built,
            building=building,
            **{"from": self._core.me.name},
        )
        reply = wire.to_append_reply(await self._ways.append(self._address(to), request))
        takes = term.takes(reply, records=bool(entries), lacks=lacks)
        self._note_answer(current, to, reply, takes=takes)
        self._post(lambda: self._core.append_reply(to.disk, message.epoch, reply))

    async def _read(self, first: int, upto: int) -> list[replication_pb2.Entry]:
        """Return records; in a thread, unless they are so few that the way to one would take longer."""
        if entries := self._disk.read_recent(first, upto, _AT_ONCE_BYTES):
            return entries
        return await asyncio.to_thread(self._disk.read, first, upto, SHIPPED_BYTES)

    def _note_answer(
        self, current: term.Term, to: messages.Member, reply: messages.AppendReply, *, takes: bool
    ) -> None:
        self.answered_at[to.disk] = now = time.monotonic()
        if reply.promised > current.epoch or not takes:
            return  # it waits for another primary, or for room: nothing will be acknowledged with its help
        self._accepted_at[to.disk] = now
        quorum = current.configuration.write_quorum - 1
        heard = (self._accepted_at.get(peer.member.disk, 0.0) for peer in current.members())
        newest = sorted(heard, reverse=True)
        self._quorum_at = max(self._quorum_at, newest[quorum - 1] if quorum else now)

    def quorum_silence(self) -> float:
        """Return the seconds since a write quorum last took what it was sent; none where none is needed."""
        current = self._core.term
        if current is None or current.configuration.write_quorum <= 1:
            return 0.0
        return time.monotonic() - self._quorum_at

    def _address(self, to: messages.Member) -> str:
        return to.address or self._identity.addresses.get(to.name, "")
