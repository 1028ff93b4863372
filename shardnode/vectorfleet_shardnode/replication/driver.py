"""Drives the core of a replica: brings it one event at a time, and carries out what it decides.

One task takes events from a queue and ends each one's effects before the next. What is sent is sent by tasks
of its own (`sending`); answers, fsyncs and time come back as events. The disk is used in threads: the event
loop, which serves searches too, never waits for it.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from .. import errors, files, metrics
from ..api import replication_pb2
from ..copies import incoming
from . import links, messages, protocol, sending
from .disk import Disk
from .history import History

_LOG = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 0.1
_ALONE_SECONDS = 5.0  # without a write quorum, or a primary, until who is told to stop expects none
_TELL_SECONDS = 0.005  # after the newest commit, until followers that get no more records are told


@dataclasses.dataclass(frozen=True)
class Event:
    """What has happened: `decide` tells the core; `request` is the Append that it came with."""

    decide: Callable[[], protocol.Effects]
    request: replication_pb2.AppendRequest | None = None


class Driver:
    """One replica at work, from `start` to `close`.

    Args:
        identity: of the shard.
        core: what decides.
        disk: what keeps.
        ways: to the others.
    """

    def __init__(
        self,
        identity: sending.Identity,
        core: protocol.Replica,
        disk: Disk,
        ways: links.Links,
    ) -> None:
        self.identity = identity
        self.core = core
        self.sending = sending.Sending(identity, core, disk, ways, self._post)
        self.problem = self.unreadable = self.no_room_to_copy = ""
        self.needs_restart = False  # by somebody else: it has met what it can't go on from
        self.leaving = False
        self.heard_at = time.monotonic()
        self.hears: Callable[[replication_pb2.AppendRequest], None] = lambda _: None
        self.in_office: Callable[[bool], None] = lambda _: None
        self.received: incoming.Incoming | None = None
        self.starting_over = asyncio.Event()
        self.copier: Callable[[replication_pb2.AppendRequest], Coroutine[Any, Any, None]] | None = None
        self._disk = disk
        self._opened = False  # the shard takes writes
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._asked: set[asyncio.Future[messages.Reply]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._telling: asyncio.TimerHandle | None = None
        self._synced, self._synced_posted = (0, 0), False
        self._deposed_at = 0.0  # by the monotonic clock

    @property
    def open(self) -> bool:
        """Whether writes are taken: this is the primary, and everyone may know."""
        return self._opened and not self.problem

    async def start(self) -> None:
        """Begin, with what the process before this one was."""
        self.spawn(self._run())
        self.spawn(self._beat())
        self._post(self.core.start)

    async def close(self) -> None:
        """Stop; nothing more is sent or answered."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sending.close()

    # ------------------------------------------------------------------------------------- events

    def _post(
        self, decide: Callable[[], protocol.Effects], request: replication_pb2.AppendRequest | None = None
    ) -> None:
        self._events.put_nowait(Event(decide, request))

    async def ask(
        self,
        decide: Callable[[messages.Token], protocol.Effects],
        request: replication_pb2.AppendRequest | None = None,
    ) -> Any:
        """Bring the core an event that somebody waits for; returns its answer.

        Raises:
            UnavailableError: this replica is broken, and says why.
        """
        if self.problem:
            raise errors.UnavailableError(self.problem)
        waiting: asyncio.Future[messages.Reply] = self._loop.create_future()
        self._asked.add(waiting)
        waiting.add_done_callback(self._asked.discard)
        self._post(lambda: decide(waiting), request)
        return await waiting

    def synced(self, seq: int, cuts: int) -> None:
        """Take note, from any thread, of what is on the disk; `cuts` is the log's count when it was."""
        self._loop.call_soon_threadsafe(self._note_synced, cuts, seq)

    def _note_synced(self, cuts: int, seq: int) -> None:
        self._synced = max(self._synced, (cuts, seq))
        if not self._synced_posted:
            self._synced_posted = True
            self._post(self._tell_synced)

    def _tell_synced(self) -> protocol.Effects:
        self._synced_posted = False
        cuts, seq = self._synced
        # What was said before a cut is of records that are gone.
        return self.core.synced_to(seq) if cuts == self._disk.cuts else []

    def failed(self, failure: Exception) -> None:
        """Take note, from any thread, that the log has failed: this replica takes part in nothing more."""
        self._loop.call_soon_threadsafe(self._break, failure)

    def trimmed(self, base: int) -> None:
        """Take note, from any thread, that the log gave up what is up to `base`."""
        self._loop.call_soon_threadsafe(self._post, lambda: self.core.trimmed_to(base))

    async def _run(self) -> None:
        while True:
            event = await self._events.get()
            if self.problem:
                continue
            try:
                for effect in event.decide():
                    await self._carry_out(effect, event)
            except (protocol.ProtocolError, errors.ShardError, OSError) as broken:
                self._break(broken)
            except Exception as broken:  # noqa: BLE001 (whatever it is, nothing may go on from here)
                _LOG.exception("the replica failed")
                self._break(broken)

    def _break(self, cause: Exception) -> None:
        """Take part in nothing more: the operator will see why, and others go on."""
        if not self.problem:
            self.needs_restart = True
            self._stop(f"this replica can't go on until a restart: {cause}")
            _LOG.error("the replica stopped taking part", extra={"reason": str(cause)})

    def _stop(self, problem: str) -> None:
        """Take no more events, and tell those who wait."""
        self.problem, self._opened = problem, False
        for waiting in [one for one in self._asked if not one.done()]:
            waiting.set_exception(errors.UnavailableError(problem))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if self.core.term is not None:
                self._post(self.core.tick)

    # ------------------------------------------------------------------------------------ effects

    async def _carry_out(self, effect: messages.Effect, event: Event) -> None:
        match effect:
            case messages.Answer(token, reply):
                if not token.done():
                    token.set_result(reply)
            case messages.Send(to, message):
                self.spawn(self.sending.send(to, message))
            case messages.Copy():
                if self.copier is not None and event.request is not None:
                    self.spawn(self.copier(event.request))
            case messages.Open():
                self._opened = True
                self.sending.note_quorum()
                self.in_office(True)
                _LOG.info("this replica is the primary", extra={"epoch": self.core.promised})
            case messages.GiveUp(token):
                await self._give_up(token)
            case _:
                await self._use_disk(effect, event)

    async def _use_disk(self, effect: messages.Effect, event: Event) -> None:
        match effect:
            case messages.Commit(seq):
                await self._commit(seq)
            case messages.Write(first):
                await self._write(first, event)
            case messages.Cut(after):
                metrics.LOG_CUTS.inc()
                await self._once_there_is_room(self._disk.cut, after)
            case messages.Store(stored):
                await self._once_there_is_room(self._disk.store, stored)
            case messages.Lead(epoch, resumes):
                await self._lead(epoch, resumes=resumes)
            case messages.Follow():
                await self._follow()

    async def _once_there_is_room(self, act: Callable[[Any], None], what: Any) -> None:
        """Do what comes before anything else: until a full disk has room, this replica takes no events."""
        while True:
            try:
                return await asyncio.to_thread(act, what)
            except OSError as full:
                if full.errno not in files.FULL:
                    raise
                _LOG.warning("waiting for room on the disk", extra={"reason": str(full)})
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _write(self, first: int, event: Event) -> None:
        entries = event.request.entries if event.request is not None else ()
        fresh = tuple(entry for entry in entries if entry.seq >= first)
        try:
            await asyncio.to_thread(self._disk.append, fresh)
        except errors.StorageFullError as full:
            # Not fatal: the primary sends them again, and there may be room by then.
            _LOG.warning("no room for the primary's records", extra={"reason": str(full)})
            await self._carry_out_all(self.core.not_written(first))

    async def _carry_out_all(self, effects: protocol.Effects) -> None:
        for effect in effects:
            await self._carry_out(effect, Event(list))

    async def _commit(self, seq: int) -> None:
        if self.core.term is not None:
            self._disk.commit(seq)  # the records are applied, and only shown
            self.sending.note_quorum()
            self._tell_later()
            return
        self.core.applied = await asyncio.to_thread(self._disk.commit, seq)  # they are applied now
        if self.core.applied < seq:  # memory is full of what waits to be flushed
            self._loop.call_later(HEARTBEAT_SECONDS, self._post, self._commit_again)

    def _commit_again(self) -> protocol.Effects:
        behind = self.core.term is None and self.core.applied < self.core.committed
        return [messages.Commit(self.core.committed)] if behind else []

    def _tell_later(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
        self._telling = self._loop.call_later(_TELL_SECONDS, self._tell)

    def _tell(self) -> None:
        # A message that tells a commit index alone would hold up a record that is about to be shipped, and
        # that tells it as well.
        if not self._disk.syncing:
            self._post(self.core.tell_committed)

    async def _lead(self, epoch: int, *, resumes: bool) -> None:
        try:
            last = await asyncio.to_thread(self._disk.lead, epoch, resumes=resumes)
        except errors.StorageFullError as full:
            _LOG.warning("no room to take over", extra={"reason": str(full)})
            await self._carry_out_all(self.core.not_led())
            return
        if last != self.core.history.last_seq:
            raise protocol.ProtocolError(f"the log ends at {last}, not at {self.core.history.last_seq}")

    async def _follow(self) -> None:
        self._opened = False
        self._deposed_at = time.monotonic()
        self.in_office(False)
        last = await asyncio.to_thread(self._disk.follow)
        _LOG.info("this replica follows", extra={"epoch": self.core.promised})
        await self._carry_out_all(self.core.stopped(last))

    # -------------------------------------------------------------------------------------- other

    async def leave(self, seconds: float) -> None:
        """Ask to be relieved of office, and take part until a successor is in office, or none is expected."""
        self.leaving = True
        began = time.monotonic()
        while not self._may_leave(began) and time.monotonic() < began + seconds:  # noqa: ASYNC110
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _may_leave(self, began: float) -> bool:
        core = self.core
        if self.problem:
            return True
        if core.term is not None:
            # Without a quorum nothing is acknowledged here. Where the others have ended as well, nobody comes
            # to take over; where they are only cut off from here, one of them is made primary as it is.
            alone = len(core.term.configuration.members) == 1
            return alone or self.sending.quorum_silence() >= _ALONE_SECONDS
        # Who was sealed, or deposed by one that was, helps the next primary until that is in office: without
        # this replica too few might hold its log.
        known = core.configuration.epoch if core.configuration is not None else 0
        return known >= core.promised or time.monotonic() - max(began, self._deposed_at) >= _ALONE_SECONDS

    def heard_from_primary(self, request: replication_pb2.AppendRequest) -> None:
        """Take note that the primary of the promised epoch is there, and of what it has built."""
        self.heard_at = time.monotonic()
        self.hears(request)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something run beside, until `close`."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def offer_copy(self, epoch: int, base: History, received: incoming.Incoming) -> None:
        """Start over with segments copied from the primary of `epoch`, unless they came too late."""
        self._post(lambda: self._take_copy(epoch, base, received))

    def _take_copy(self, epoch: int, base: History, received: incoming.Incoming) -> protocol.Effects:
        try:
            self.core.check_install(epoch, base)
        except protocol.ProtocolError as late:
            _LOG.info("a copy is of no use any more", extra={"reason": str(late)})
            return self.core.copy_failed()
        self._stop("this replica starts over with what it has copied")
        self.received = received
        self.starting_over.set()
        return []

    async def _give_up(self, token: asyncio.Future[messages.Reply]) -> None:
        disk = await asyncio.to_thread(self._disk.give_up)
        _LOG.warning("this replica gives up its data", extra={"disk": disk, "epoch": self.core.promised})
        token.set_result(messages.GiveUpReply(disk))
        self._stop("this replica begins anew")
        self.starting_over.set()

    def copy_failed(self) -> None:
        """Take note that segments could not be copied."""
        self._post(self.core.copy_failed)
