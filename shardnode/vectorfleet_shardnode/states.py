"""The states of a shard, from the one that readers see to the one that writes are planned on.

```
visible    committed: what readers see
pending    one state after each write that is not committed yet, and who waits for it
head       the last of these, or the visible one where none is
```
States are added by the one writer, who is the only one to ask for the head. Everything else may come from
any thread, is quick, and waits for nobody. Rule: what waits is told once, outside of the lock.
"""

import collections
import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable, Sequence

from . import transitions
from .segments import part, sealed
from .snapshot import Snapshot


@dataclasses.dataclass(frozen=True)
class Written:
    """Where a write stands in the log, and how many rows it concerned."""

    seq: int
    affected: int
    epoch: int


Done = concurrent.futures.Future[Written]
"""Done when the write is committed and visible; else an error says why that isn't known."""


@dataclasses.dataclass(frozen=True)
class _Pending:
    """A state that waits for its seq to be committed, and who waits for it."""

    snapshot: Snapshot
    waiting: list[tuple[Written, Done]] = dataclasses.field(default_factory=list)


class States:
    """The states.

    Args:
        start: the visible one.
        seen: called with each state that becomes visible by a write, in order; must be quick.
    """

    def __init__(self, start: Snapshot, seen: Callable[[Snapshot], None]) -> None:
        self._lock = threading.Lock()
        self._visible = start
        self._pending: collections.deque[_Pending] = collections.deque()
        self._limit = start.seq  # what may be seen
        self._seen = [seen]
        self._failure: Exception | None = None  # of the log: what is not visible by then never is

    @property
    def visible(self) -> Snapshot:
        """What readers see."""
        return self._visible

    @property
    def head(self) -> Snapshot:
        """What the next write is planned on."""
        with self._lock:
            return self._pending[-1].snapshot if self._pending else self._visible

    def add(self, snapshot: Snapshot, written: Written | None = None) -> Done:
        """Make a state the head; returns what is done once it is visible."""
        done = _promised()
        pending = _Pending(snapshot, [(written, done)] if written else [])
        with self._lock:
            self._pending.append(pending)
            limit, failure = self._limit, self._failure
        if snapshot.seq <= limit:
            self.show(limit)
        elif failure is not None:  # the log failed between the write and here
            self.fail(failure)
        return done

    def wait(self, written: Written) -> Done:
        """Return what is done once the state of a write that is there is visible, as with the first one."""
        done = _promised()
        with self._lock:
            for pending in self._pending:
                if pending.snapshot.seq >= written.seq:
                    pending.waiting.append((written, done))
                    break
            else:
                done.set_result(written)
            failure = self._failure
        if failure is not None:
            self.fail(failure)
        return done

    def show(self, seq: int) -> None:
        """Let readers see everything up to a seq."""
        told: list[tuple[Written, Done]] = []
        with self._lock:
            self._limit = max(self._limit, seq)
            while self._pending and self._pending[0].snapshot.seq <= self._limit:
                pending = self._pending.popleft()
                self._visible = pending.snapshot
                self._tell(pending.snapshot)
                told += pending.waiting
        for written, done in told:
            done.set_result(written)

    def advance(self, snapshot: Snapshot) -> None:
        """Make a state visible that follows from the visible one; nothing is pending."""
        with self._lock:
            self._visible = snapshot
            self._limit = max(self._limit, snapshot.seq)
            self._tell(snapshot)

    def watch(self, seen: Callable[[Snapshot], None]) -> None:
        """Call somebody else too with each state that becomes visible by a write, and with this one now."""
        with self._lock:
            self._seen.append(seen)
            seen(self._visible)

    def _tell(self, snapshot: Snapshot) -> None:
        for seen in self._seen:
            seen(snapshot)

    def end(self, failure: Exception) -> None:
        """Tell everyone who waits, or ever will, of a failure that stays; the states stay as they are."""
        with self._lock:
            self._failure = failure
        self.fail(failure)

    def fail(self, failure: Exception) -> None:
        """Tell everyone who waits now that it failed; the states stay as they are."""
        with self._lock:
            told = [done for pending in self._pending for _, done in pending.waiting]
            for pending in self._pending:
                pending.waiting.clear()
        for done in told:
            done.set_exception(failure)

    def drop(self, failure: Exception) -> None:
        """Forget what is pending, so that the head is the visible state; who waits is told of a failure."""
        self.fail(failure)
        with self._lock:
            self._pending.clear()
            self._visible = transitions.fresh(self._visible)

    def replace(self, before: Sequence[part.Part], added: sealed.SealedView | None) -> None:
        """Put a segment in the place of parts, in every state at once."""
        known: transitions.Known = {}
        with self._lock:
            old = self._visible, list(self._pending)  # keeps the masks that `known` knows
            self._visible = transitions.replaced(self._visible, before, added, known)
            self._pending = collections.deque(
                _Pending(transitions.replaced(pending.snapshot, before, added, known), pending.waiting)
                for pending in self._pending
            )
            del old

    def adopt(self, added: sealed.SealedView) -> None:
        """Let a segment that was made elsewhere stand for its rows, in every state at once."""
        with self._lock:
            self._visible = transitions.adopted(self._visible, added)
            self._pending = collections.deque(
                _Pending(transitions.adopted(pending.snapshot, added), pending.waiting)
                for pending in self._pending
            )


def _promised() -> Done:
    """Return what nobody can cancel: who waits may go, a write that has begun is told of all the same."""
    done: Done = concurrent.futures.Future()
    done.set_running_or_notify_cancel()
    return done
