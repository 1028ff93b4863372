"""One shard: log, growing segment and sealed segments behind one small interface.

One writer at a time plans a write on the newest state, appends it to the log and applies it. The state
becomes visible when the log says that it is durable, and only then is the writer told. Readers take the
visible snapshot, which never changes; they wait for nobody.
"""

import collections
import concurrent.futures
import dataclasses
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from . import errors, keys, log, log_format, log_index, operations, records, recovery, replica_state
from . import shape as shapes
from .limits import estimates, guard
from .segments import growing, part, sealed
from .settings import Tuning
from .snapshot import Snapshot

_MAX_FROZEN = 2
_FLUSH_PATIENCE = 20.0  # seconds that a write waits for room in memory
LOG = "log"


@dataclasses.dataclass(frozen=True)
class Start:
    """What a shard begins with.

    Attributes:
        state: what manifest and log came to, as far as it is committed.
        found: what the log holds.
        replica: what was promised.
        alone: whether it orders its writes by itself, and what is durable is committed.
    """

    state: Snapshot
    found: recovery.Recovery
    replica: replica_state.Replica
    alone: bool = True


@dataclasses.dataclass(frozen=True)
class Written:
    """Where a write stands in the log, and how many rows it concerned."""

    seq: int
    affected: int
    epoch: int


Done = concurrent.futures.Future[Written]
"""Done when the write is durable and visible, or the log has failed."""


@dataclasses.dataclass(frozen=True)
class _Pending:
    """A state that waits for its seq to be durable, and who waits for it."""

    snapshot: Snapshot
    written: Written
    future: Done = dataclasses.field(default_factory=concurrent.futures.Future)


class Shard:
    """The rows of one shard in one folder, see `storage.open_shard`.

    Args:
        folder: the shard's own.
        tuning: bounds.
        start: what it begins with; the log is sound.
        limits: what it may take of memory and disk; None for the disk's alone.
    """

    def __init__(self, folder: Path, tuning: Tuning, start: Start, limits: guard.Guard | None = None) -> None:
        self.folder = folder
        self.tuning = tuning
        self.limits = limits or guard.Guard(folder, tuning)
        self.last_write = time.monotonic()
        self.frozen = threading.Event()  # set when there is a segment to flush
        self._failure: errors.LogFailedError | None = None
        self._writing = threading.Condition()  # held by the one writer
        self._publishing = threading.Lock()
        self._pending: collections.deque[_Pending] = collections.deque()
        self._head = self._visible = start.state
        self._durable = start.found.index.last_seq
        self._epoch = start.found.index.last.epoch or 1
        listeners = log.Listeners(self._on_durable, self._on_failed)
        self._log = log.Log(
            folder / LOG, start.found.index, listeners, alone=start.alone, committed=start.found.committed
        )

    @property
    def snapshot(self) -> Snapshot:
        """The newest state that is durable."""
        return self._visible

    @property
    def shape(self) -> shapes.Shape:
        """What vectors must be."""
        return self._visible.shape

    @property
    def failed(self) -> bool:
        """Whether the log has failed, so that nothing can change until a restart."""
        return self._failure is not None

    @property
    def refusal(self) -> str:
        """Why writes are refused now, empty where they are taken."""
        return str(self._failure) if self._failure else self.limits.problem

    def write(self, operation: operations.Operation) -> Done:
        """Write one operation; the future is done when it is durable and visible.

        Raises:
            MemoryFullError, StorageFullError: no room; nothing was written.
            LogFailedError: the disk failed; a restart is needed.
        """
        with self._writing:
            if self._failure:
                raise self._failure
            try:
                self._make_room()
                pending = self._write(operation)
            except errors.StorageFullError as full:
                self.limits.note_full(str(full))
                raise
            self.limits.note_written()
            return self._publish_later(pending)

    def _write(self, operation: operations.Operation) -> _Pending:
        planned = operations.plan(operation, self._head)
        if planned.record is not None:
            self._admit(planned.record)
            op, payload = records.encode(planned.record)
            head = log_format.Head(self._epoch, op, b"", planned.affected)
            seq = self._log.append(head, payload)
            self._apply(log_index.Position(self._epoch, seq), planned.record)
        self.last_write = time.monotonic()
        return self._waiting(planned.affected)

    def _waiting(self, affected: int) -> _Pending:
        return _Pending(self._head, Written(self._head.seq, affected, self._head.epoch))

    def _apply(self, place: log_index.Position, record: records.Record) -> None:
        try:
            self._head = apply(self._head, place, record)
        except Exception:
            self._failure = errors.LogFailedError(
                f"record {place.seq} is in the log but could not be applied; restart"
            )
            raise

    def _admit(self, record: records.Record) -> None:
        if isinstance(record, records.Put):
            waiting = self._head.growing[-1].segment.metadata_bytes
            self.limits.admit(estimates.write_of(record.rows, self.shape, waiting), self._head.stored_bytes)

    def _make_room(self) -> None:
        if not self._is_full():
            return
        room = self._writing.wait_for(lambda: len(self._head.growing) <= _MAX_FROZEN, _FLUSH_PATIENCE)
        if not room:
            raise errors.StorageFullError(
                f"{_MAX_FROZEN} full segments wait to be written to the disk; try again later"
            )
        self.freeze()

    def _is_full(self) -> bool:
        segment, tuning = self._head.growing[-1].segment, self.tuning
        return (
            segment.rows >= tuning.growing_rows
            or segment.bytes >= tuning.growing_bytes
            or self._log.bytes_in_file >= tuning.log_file_bytes
        )

    def freeze(self) -> Done:
        """End the growing segment and start the next, with a new log file.

        Raises:
            StorageFullError, LogFailedError: the log can't go on in a new file; nothing has changed.
        """
        with self._writing:
            self._log.rotate()
            head = self._head
            head.growing[-1].segment.frozen_at = head.seq
            fresh = growing.empty_view(head.shape)
            self._head = dataclasses.replace(head, growing=(*head.growing, fresh))
            done = self._publish_later(self._waiting(0))
        self.frozen.set()
        return done

    def install(self, before: Sequence[part.Part], added: sealed.SealedView | None) -> Done:
        """Replace parts by a segment that was made of them; what died meanwhile is dead in it too."""
        with self._writing:
            self._head = replaced(self._head, before, added)
            self._writing.notify_all()
            return self._publish_later(self._waiting(0))

    @property
    def epoch(self) -> int:
        """Of the writes that are taken."""
        return self._epoch

    def epoch_at(self, seq: int) -> int:
        """Return the epoch of a record that the log holds, or of the one before its first."""
        epoch = self._log.epoch_at(seq)
        if epoch is None:
            raise errors.CutAwayError(f"the log does not hold record {seq}")
        return epoch

    def trim_log(self, covered: int) -> None:
        """Delete log files that the durable manifest has made superfluous, but for those that are kept."""
        stored = self._visible.stored_bytes
        kept = self._log.kept_bytes(covered)
        self._log.trim(covered, self.limits.retained_log(stored, kept, self.tuning.log_retained_bytes))

    def close(self) -> None:
        """Make durable what was written, and take no more writes."""
        self._log.close()

    def _publish_later(self, pending: _Pending) -> Done:
        with self._publishing:
            self._pending.append(pending)
        self._publish()
        return pending.future

    def _on_durable(self, seq: int) -> None:
        self._durable = max(self._durable, seq)
        self._publish()

    def _publish(self) -> None:
        with self._publishing:
            while self._pending and self._pending[0].snapshot.seq <= self._durable:
                pending = self._pending.popleft()
                self._visible = pending.snapshot
                pending.future.set_result(pending.written)
            while self._failure and self._pending:
                self._pending.popleft().future.set_exception(self._failure)

    def _on_failed(self, failure: errors.LogFailedError) -> None:
        self._failure = failure
        self._publish()


def apply(before: Snapshot, place: log_index.Position, record: records.Record) -> Snapshot:
    """Return the state after a record; a Put is appended to the growing segment of the newest state."""
    epoch, seq = place
    match record:
        case records.Start():
            return dataclasses.replace(before, seq=seq, epoch=epoch)
        case records.Clear(namespace):
            return dataclasses.replace(before.without_namespace(namespace), seq=seq, epoch=epoch)
        case records.Remove(namespace, ids):
            return dataclasses.replace(before.without(keys.keys_of(namespace, ids)), seq=seq, epoch=epoch)
        case records.Put(namespace, rows):
            sought = keys.keys_of(namespace, rows.ids)
            after = before.without(sought)
            last = after.growing[-1]
            last.segment.append(sought, rows, seq)
            grown = (*after.growing[:-1], last.extended())
            return dataclasses.replace(after, seq=seq, epoch=epoch, growing=grown)


def replaced(state: Snapshot, before: Sequence[part.Part], added: sealed.SealedView | None) -> Snapshot:
    """Return the state in which one segment stands for the parts it was made of, as they were before."""
    gone = {id(view.segment) for view in before}
    for old in before:
        now = next(view for view in state.parts if view.segment is old.segment)
        for died in old.keys_of((old.live & ~now.live).nonzero()[0]) if added else ():
            found = added.find(died)  # type: ignore[union-attr]
            added = added.without(found[found >= 0])  # type: ignore[union-attr]
    kept = tuple(view for view in state.sealed if id(view.segment) not in gone)
    left = tuple(view for view in state.growing if id(view.segment) not in gone)
    return dataclasses.replace(state, sealed=(*kept, *((added,) if added else ())), growing=left)
