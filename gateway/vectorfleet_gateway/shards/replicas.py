"""The replicas of one shard behind one face: writes go to the primary, whoever that is by now; reads to any.

A write carries an id that is the same in each try, so it may be sent again whatever became of it, to the same
primary or to the next: the shard does it once. A read that one replica does not answer in good time is asked
of another as well, within a budget.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from vectorfleet_shardnode.api import replication_pb2, shard_pb2

from .. import errors, metrics
from . import budget, remote, standing

A = TypeVar("A")
POLL_SECONDS = 1.0
STATE_SECONDS = 0.5
QUORUM_SECONDS = 5.0
"""How long a shard without a quorum is asked again: a failover may end that. Later writes are refused."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


class Replica(Protocol):
    """One replica, see `remote.RemoteShard`."""

    # ruff: noqa: D102 (documented where they are implemented)
    async def write(self, request: shard_pb2.WriteRequest, seconds: float) -> shard_pb2.WriteReply: ...
    async def search(self, request: shard_pb2.SearchRequest, seconds: float) -> shard_pb2.SearchReply: ...
    async def fetch(self, request: shard_pb2.FetchRequest, seconds: float) -> shard_pb2.FetchReply: ...
    async def list(self, request: shard_pb2.ListRequest, seconds: float) -> shard_pb2.ListReply: ...
    async def stats(self, request: shard_pb2.StatsRequest, seconds: float) -> shard_pb2.StatsReply: ...
    async def report(self, request: shard_pb2.ReportRequest, seconds: float) -> shard_pb2.ReportReply: ...
    async def state(self, seconds: float) -> replication_pb2.ReplicaState: ...
    async def close(self) -> None: ...


class ReplicatedShard:
    """One shard; see `shards.ShardClient`. Made inside of the running event loop.

    Args:
        shard: its number.
        replicas: by address, as the configuration names them.
    """

    def __init__(self, shard: int, replicas: Sequence[tuple[str, Replica]]) -> None:
        self.width, self.may_be_stale = len(replicas), False
        self._shard = shard
        self._replicas = [replica for _, replica in replicas]
        self.known = standing.Standings([address for address, _ in replicas])
        self._hedges = budget.Budget()
        self._moved = asyncio.Event()  # set, and replaced, when another replica becomes the primary
        self._lost_since: float | None = (
            None  # when a quorum was first missed; None where none is known to be
        )
        self._tasks: set[asyncio.Task[Any]] = set()
        self._polling = asyncio.get_running_loop().create_task(self._poll())

    async def close(self) -> None:
        """Close every connection."""
        self._polling.cancel()
        await asyncio.gather(self._polling, *self._tasks, return_exceptions=True)
        await asyncio.gather(*(replica.close() for replica in self._replicas))

    # ------------------------------------------------------------------------------------- writes

    async def write(self, request: shard_pb2.WriteRequest, seconds: float) -> shard_pb2.WriteReply:
        """Write one record group, durably; tried until it is, or the time is up. It must have a write id.

        Raises:
            UnknownOutcomeError: time is up, and it may or may not have happened.
            QuorumLostError: too few replicas answer, and have for a while; nothing was written.
            ApiError: it was refused, or nobody took it.
        """

        async def attempt(replica: Replica, left: float) -> shard_pb2.WriteReply:
            return await replica.write(request, left)

        return await self._of_primary(attempt, seconds, writes=True)

    async def _of_primary(
        self, attempt: Callable[[Replica, float], Awaitable[A]], seconds: float, *, writes: bool
    ) -> A:
        deadline, pause, doubtful = time.monotonic() + seconds, _FIRST_PAUSE, False
        while True:
            number, left = self.known.primary, deadline - time.monotonic()
            try:
                answer = await self._while_primary(attempt(self._replicas[number], left))
            except errors.NotPrimaryError as told:
                self._learn(told.epoch, told.address)
                last: errors.ApiError = told
            except errors.QuorumLostError as lost:
                if self._is_lost_for_long() and not doubtful:
                    raise
                last = lost
            except (
                errors.UnavailableError,
                errors.DeadlineExceededError,
                errors.UnknownOutcomeError,
                errors.DataLossError,
            ) as failed:
                if self.width == 1 and isinstance(failed, errors.DataLossError):
                    raise  # there is nobody else, and it gets no better by waiting
                self.known.note_failure(number, time.monotonic())
                doubtful, last = doubtful or writes, failed
            else:
                self._lost_since = None
                return answer
            metrics.SHARD_RETRIES.labels(str(self._shard)).inc()
            if number == self.known.primary:  # nobody better is known yet
                await asyncio.gather(self._ask_all(), asyncio.sleep(min(pause, max(0.0, left / 2))))
                pause = min(2 * pause, _LONGEST_PAUSE)
            if time.monotonic() >= deadline - _FIRST_PAUSE:
                raise self._unknown(last) if doubtful else last

    def _is_lost_for_long(self) -> bool:
        """Take note that a quorum was missed; return whether waiting for it is over."""
        now = time.monotonic()
        if self._lost_since is None:
            self._lost_since = now
        return now - self._lost_since >= QUORUM_SECONDS

    async def _while_primary(self, call: Awaitable[A]) -> A:
        """Wait for an answer, no longer than this replica is the primary: a dead one may never refuse."""
        moved, asked = self._moved, asyncio.ensure_future(call)
        watching = asyncio.ensure_future(moved.wait())
        try:
            await asyncio.wait((asked, watching), return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                await asyncio.wait((asked,), timeout=_LONGEST_PAUSE)  # it may just be answering
            if asked.done():
                return asked.result()
            raise errors.UnavailableError(f"shard {self._shard} has another primary now")
        finally:
            for task in (asked, watching):
                task.cancel()

    def _unknown(self, last: errors.ApiError) -> errors.ApiError:
        return errors.UnknownOutcomeError(
            f"shard {self._shard}: whether the write happened is unknown, since {last}; it may be sent again"
        )

    # -------------------------------------------------------------------------------------- reads

    async def search(self, request: shard_pb2.SearchRequest, seconds: float) -> shard_pb2.SearchReply:
        """Answer a batch of queries, in order."""
        timed = remote.is_small(request)  # others take long wherever they are done

        async def attempt(replica: Replica, left: float) -> shard_pb2.SearchReply:
            if not timed:
                return await replica.search(request, left)
            return await self._time(replica, replica.search(request, left))

        return await self._read(attempt, seconds, strong=request.strong)

    async def _time(self, replica: Replica, answer: Awaitable[A]) -> A:
        number, started = self._replicas.index(replica), time.monotonic()
        try:
            answered = await answer
        except asyncio.CancelledError:
            now = time.monotonic()
            self.known.note_given_up(number, now - started, now)
            raise
        now = time.monotonic()
        self.known.note_seconds(number, now - started, now)
        return answered

    async def fetch(self, request: shard_pb2.FetchRequest, seconds: float) -> shard_pb2.FetchReply:
        """Read rows by id."""
        return await self._read(lambda one, left: one.fetch(request, left), seconds, strong=request.strong)

    async def list(self, request: shard_pb2.ListRequest, seconds: float) -> shard_pb2.ListReply:
        """List ids, ascending."""
        return await self._read(lambda one, left: one.list(request, left), seconds, strong=request.strong)

    async def stats(self, request: shard_pb2.StatsRequest, seconds: float) -> shard_pb2.StatsReply:
        """Count rows by namespace."""
        return await self._read(lambda one, left: one.stats(request, left), seconds, strong=request.strong)

    async def report(self, request: shard_pb2.ReportRequest, seconds: float) -> shard_pb2.ReportReply:
        """Say how a replica is."""
        return await self._read(lambda one, left: one.report(request, left), seconds, strong=False)

    async def _read(
        self,
        attempt: Callable[[Replica, float], Coroutine[Any, Any, A]],
        seconds: float,
        *,
        strong: bool,
    ) -> A:
        if strong:
            return await self._of_primary(attempt, seconds, writes=False)
        deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE
        while True:
            try:
                return await self._of_any(attempt, deadline)
            except (errors.UnavailableError, errors.NotReadyError, errors.DataLossError):
                left = deadline - time.monotonic()
                if left < 2 * pause:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _of_any(
        self, attempt: Callable[[Replica, float], Coroutine[Any, Any, A]], deadline: float
    ) -> A:
        """Ask one replica, and where it fails or lags, others; the first good answer counts."""
        waiting = self.known.readers(time.monotonic())
        under_way: set[asyncio.Task[A]] = set()
        asked: dict[int, float] = {}
        last: errors.ApiError | None = None
        patience = self._hedges.delay
        self._hedges.earn()
        try:
            while waiting or under_way:
                if waiting and (not under_way or self._may_ask_more(asked)):
                    asked[waiting[0]] = time.monotonic()
                    under_way.add(self._begin(attempt, waiting.pop(0), deadline))
                done, under_way = await asyncio.wait(
                    under_way, timeout=patience if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                patience = _LONGEST_PAUSE
                for answered in done:
                    try:
                        return answered.result()
                    except (errors.UnavailableError, errors.NotReadyError, errors.DataLossError,
                            errors.DeadlineExceededError) as failed:  # fmt: skip
                        last = failed
        finally:
            for task in under_way:
                task.cancel()
        raise last or errors.UnavailableError(f"shard {self._shard} has no replicas")

    def _may_ask_more(self, asked: dict[int, float]) -> bool:
        """Return whether one more replica may be asked what others have not answered yet.

        Within the budget; and beyond it where those that were asked answer no poll either since then.
        """
        replicas = self.known.replicas
        silent = all(replicas[number].failed_at > since for number, since in asked.items())
        if not silent and not self._hedges.spend():
            return False
        metrics.HEDGES.labels(str(self._shard)).inc()
        return True

    def _begin(
        self, attempt: Callable[[Replica, float], Coroutine[Any, Any, A]], number: int, deadline: float
    ) -> "asyncio.Task[A]":
        one = self.known.replicas[number]
        one.busy += 1  # now: the next read is to see it
        task = self._spawn(self._ask(attempt, number, deadline))

        def ended(_: "asyncio.Task[A]") -> None:
            one.busy -= 1

        task.add_done_callback(ended)
        return task

    async def _ask(
        self, attempt: Callable[[Replica, float], Coroutine[Any, Any, A]], number: int, deadline: float
    ) -> A:
        started = time.monotonic()
        try:
            answer = await attempt(self._replicas[number], deadline - started)
        except (errors.UnavailableError, errors.DeadlineExceededError):
            self.known.note_failure(number, time.monotonic())
            raise
        self._hedges.note(time.monotonic() - started)
        return answer

    # ---------------------------------------------------------------------------------- knowledge

    async def _poll(self) -> None:
        while True:
            with contextlib.suppress(errors.ApiError):
                await self._ask_all()
            await asyncio.sleep(POLL_SECONDS)

    async def _ask_all(self) -> None:
        """Ask every replica what it is; those that do not answer are left out."""
        await asyncio.gather(*(self._ask_state(number) for number in range(len(self._replicas))))
        self.may_be_stale = not self.known.has_primary

    async def _ask_state(self, number: int) -> None:
        try:
            state = await self._replicas[number].state(STATE_SECONDS)
        except errors.ApiError:
            self.known.note_failure(number, time.monotonic())
            return
        leads = state.role == replication_pb2.PRIMARY and state.acknowledges
        epoch = state.promised if leads else state.configuration.epoch
        told = standing.Standing("", epoch, leads, state.caught_up, time.monotonic())
        if leads:
            self._lost_since = None
        if self.known.note_state(number, told):
            self._tell_moved()

    def _learn(self, epoch: int, address: str) -> None:
        if self.known.learn(epoch, address):
            self._tell_moved()

    def _tell_moved(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _spawn(self, work: Coroutine[Any, Any, A]) -> "asyncio.Task[A]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
