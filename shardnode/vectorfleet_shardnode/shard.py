"""One shard: log, growing segment and sealed segments behind one small interface.

One writer at a time plans a write on the newest state, appends it to the log and applies it. The state
becomes visible once its record is committed, and only then is the writer told. Readers take the visible
snapshot, which never changes; they wait for nobody.

A shard leads or follows. Alone it always leads, and what is on its disk is committed. As one of several
replicas it does what its driver tells it: as a follower it takes records into its log and applies them once
they are committed; told to lead, it applies what is left of its log, begins an epoch and takes writes; told
to follow again, it forgets the effects of what is not committed, but not its records, which are the log's.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import catching_up, digests, errors, freezing, operations, outset, records, roles, shown
from . import shape as shapes
from .limits import estimates, guard
from .log import log_format, log_index, wal
from .segments import part, sealed
from .settings import Tuning
from .snapshot import Snapshot
from .states import Done, States, Written

LOG = "log"


class Shard:
    """The rows of one shard in one folder, see `storage.open_shard`.

    Args:
        folder: the shard's own.
        tuning: bounds.
        start: what it begins with; the log is sound.
        limits: what it may take of memory and disk; None for the disk's alone.

    Attributes:
        log: to be read by anyone: `read`, `epoch_at`, `find_write`, `history`, `last`, `durable_seq`. What
            changes it goes through the shard.
        replica: what was promised.
        digests: of states at chosen seqs; none where the shard is alone.
        frozen: set when there is a segment to flush.
        last_write, last_search: when there was one, by `time.monotonic`.
    """

    def __init__(
        self, folder: Path, tuning: Tuning, start: outset.Start, limits: guard.Guard | None = None
    ) -> None:
        self.folder = folder
        self.tuning = tuning
        self.limits = limits or guard.Guard(folder, tuning)
        self.replica = start.replica
        self.digests = digests.Digests(0 if start.alone else tuning.digest_every, tuning.digest_rest_seconds)
        self.last_write = time.monotonic()
        self.last_search = -math.inf
        self._alone = start.alone
        self._shown: shown.Shown | None = None
        self._writing = threading.Condition()  # held by the one writer
        self._states = States(start.state, self.digests.offer)
        self._listener = outset.Listener()
        self._role = roles.Role((start.found.index.last.epoch or 1) if start.alone else 0)
        self._durable = start.found.index.last_seq
        self._committed = start.found.committed
        listeners = wal.Listeners(self._on_durable, self._on_failed)
        self.log = wal.Log(
            folder / LOG, start.found.index, listeners, alone=start.alone, committed=start.found.committed
        )
        self._freezing = freezing.Freezing(self._writing, self._states, self.log, tuning)
        self.frozen = self._freezing.frozen
        self._catching_up = catching_up.CatchingUp(
            self._states, self.log, tuning, self._freezing.freeze_visible
        )

    def listen(self, listener: outset.Listener) -> None:
        """Tell somebody what becomes of the log, from now on."""
        self._listener = listener

    def share(self) -> Path:
        """Let other processes follow, see `secondary`; returns where they find up to where readers see."""
        with self._writing:
            if self._shown is None:
                self._shown = sharing = shown.Shown(0)
                self._states.watch(lambda state: sharing.publish(state.seq))
            return self._shown.path

    @property
    def snapshot(self) -> Snapshot:
        """The newest state that is committed."""
        return self._states.visible

    @property
    def shape(self) -> shapes.Shape:
        """What vectors must be."""
        return self.snapshot.shape

    @property
    def epoch(self) -> int:
        """The epoch of the writes that are taken; 0 where it follows and takes none."""
        return self._role.epoch

    @property
    def committed(self) -> int:
        """The greatest commit index that it knows; all up to here that is durable becomes visible."""
        return self._committed

    @property
    def failed(self) -> bool:
        """Whether the log has failed, so that nothing can change until a restart."""
        return self._role.failure is not None

    @property
    def refusal(self) -> str:
        """Why writes are refused now, empty where they are taken."""
        return str(self._role.failure) if self._role.failure else self.limits.problem

    # ----------------------------------------------------------------------------------- leading

    def write(
        self,
        operation: operations.Operation,
        write_id: bytes = b"",
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Done:
        """Write one operation; the future is done when it is committed and visible.

        What makes the shard grow waits 20 s at most where full segments wait to be flushed. What removes rows
        waits for nothing.

        Args:
            operation: what to do.
            write_id: 16 bytes. A write whose id the log knows is not done again: its future is that of the
                first one, with the same position and number of rows. Empty: it can't be recognised.
            meanwhile: called now and then while this write waits for room; may write what removes rows.

        Raises:
            NotPrimaryError: this shard follows.
            MemoryFullError, StorageFullError, FlushBehindError: no room; nothing was written.
            LogFailedError: the disk failed; a restart is needed.
        """
        with self._writing:
            self._role.check_leading()
            if known := self.log.find_write(write_id):
                return self._states.wait(Written(*known))
            try:
                if not self._freezing.begin_due() and operations.grows(operation):
                    self._freezing.wait(lambda: bool(self._role.epoch) and not self.failed, meanwhile)
                    return self.write(operation, write_id, meanwhile)  # all may have changed while it waited
                done = self._write(operation, write_id)
            except errors.StorageFullError as full:
                self.limits.note_full(str(full))
                raise
            self.limits.note_written()
            return done

    def _write(self, operation: operations.Operation, write_id: bytes) -> Done:
        head = self._states.head
        planned = operations.plan(operation, head)
        if planned.record is not None:
            self._admit(planned.record, head)
            head = self._append(head, planned, write_id)
        self.last_write = time.monotonic()
        return self._states.add(head, Written(head.seq, planned.affected, head.epoch))

    def _append(self, head: Snapshot, planned: operations.Planned, write_id: bytes) -> Snapshot:
        assert planned.record is not None
        op, payload = records.encode(planned.record)
        seq = self.log.append(log_format.Head(self._role.epoch, op, write_id, planned.affected), payload)
        return self._applied(head, log_index.Position(self._role.epoch, seq), planned.record)

    def _applied(self, state: Snapshot, place: log_index.Position, record: records.Record) -> Snapshot:
        with self._role.failing():
            return catching_up.applied(state, place, record)

    def _admit(self, record: records.Record, head: Snapshot) -> None:
        if isinstance(record, records.Put):
            waiting = head.growing[-1].segment.metadata_bytes
            self.limits.admit(estimates.write_of(record.rows, self.shape, waiting), head.stored_bytes)

    def lead(self, epoch: int, *, resumes: bool = False) -> log_index.Position:
        """Apply what is left of the log, and take writes under this epoch; returns the log's last position.

        The first record of the epoch is appended at once, a start record, unless the shard `resumes` an epoch
        whose start record it has. What was not committed before becomes visible by `commit` only.

        Raises:
            ShardError: it leads already, or the epoch is not the one that it has promised: a mistake.
            StorageFullError, LogFailedError: the disk; it follows as before.
        """
        with self._writing:
            self._role.check_may_lead(epoch, self.log.last, self.replica.promised, resumes=resumes)
            try:
                with self._role.failing():
                    self._catching_up.bring_head()
                if not resumes:
                    seq = self.log.append(log_format.Head(epoch, records.Op.START), [])
                    place = log_index.Position(epoch, seq)
                    self._states.add(self._applied(self._states.head, place, records.Start()))
            except BaseException:
                self._states.drop(errors.UnknownOutcomeError("the shard could not take over"))
                raise
            self._role.epoch = epoch
            return self.log.last

    def follow(self) -> log_index.Position:
        """Take no more writes, and forget the effects of what is not committed; returns the last position.

        Its records are still in the log: they count once `commit` says so, or go by `cut_after`. Whoever
        waits for a write is told UnknownOutcomeError. Nothing to do where it follows already.
        """
        with self._writing:
            self._role.epoch = 0
            self._states.drop(
                errors.UnknownOutcomeError(
                    "this replica is not the primary any more, and the write may have been taken over or "
                    "not; send it again with the same id"
                )
            )
            self._writing.notify_all()
            return self.log.last

    def fail_pending(self, failure: errors.ShardError) -> None:
        """Tell everyone who waits for a write this, and go on; what they wrote may still be committed."""
        self._states.fail(failure)

    # --------------------------------------------------------------------------------- following

    def append_entries(self, entries: Sequence[log_format.Entry]) -> None:
        """Take records of a primary into the log, as they are; they are applied once `commit` says so.

        `outset.Listener.durable` tells when they are on the disk.

        Raises:
            ShardError: this shard leads, or they are of an epoch that was not promised: a mistake.
            BadRequestError: they don't follow the log's last record; see `wal.Log.append_entries`.
            StorageFullError, LogFailedError: the disk; none of them was appended.
        """
        with self._writing:
            self._role.check_following(self.replica.promised, entries)
            try:
                if self.log.bytes_in_file >= self.tuning.log_file_bytes:
                    self.log.rotate()
                self.log.append_entries(entries)
            except errors.StorageFullError as full:
                self.limits.note_full(str(full))
                raise

    def cut_after(self, last_seq: int) -> None:
        """Remove every record behind `last_seq` from the log; durable when this returns, or at a start.

        Nothing to do where there is none.

        Raises:
            ShardError: a committed record would go, or this shard leads: a mistake; nothing was changed.
            CutAwayError: the log begins behind it; nothing was changed.
            LogFailedError: the disk; a start goes on with it.
            OSError: the disk is full; this call again goes on with it, and so does a start.
        """
        with self._writing:
            self._role.check_following(self.replica.promised)
            if last_seq >= self.log.last_seq:
                self.replica.end_cut()  # where only that was missing: the disk was full
                return
            self.log.check_cut(last_seq)
            self.replica.begin_cut(last_seq)
            self.log.cut_after(last_seq)
            self.replica.end_cut()

    def commit(self, seq: int) -> int:
        """Take note that everything up to `seq` is committed, and show it; returns the seq that readers see.

        As a follower: `seq` must be in this log as it is in the primary's. What is durable of it is applied
        here, in the caller's thread; where segments can't be flushed as quickly as they fill, the call waits
        20 s at most and then returns with less: a later call goes on. As a leader: quick, and never waits.
        """
        self._committed = max(self._committed, seq)
        self.log.note_committed(self._committed)
        if self._role.epoch:
            self._states.show(min(self._committed, self._durable))
            return self.snapshot.seq
        with self._writing:
            before = self.snapshot.seq
            if not self._role.failure:
                with self._role.failing():
                    self._catching_up.bring_visible(min(self._committed, self._durable))
            if self.snapshot.seq > before:
                self.last_write = time.monotonic()
            return self.snapshot.seq

    # ------------------------------------------------------------------------------- maintenance

    @property
    def freezing(self) -> bool:
        """Whether a growing segment was ended whose rows are not all committed yet."""
        return self._freezing.uncommitted

    def freeze(self) -> Done:
        """End the growing segment and start the next, with a new log file.

        The future is done once readers see it so, which is when all in it is committed; nobody has to wait.

        Raises:
            StorageFullError, LogFailedError: the log can't go on in a new file; nothing has changed.
        """
        with self._writing:
            return self._freezing.freeze()

    def install(self, before: Sequence[part.Part], added: sealed.SealedView | None) -> None:
        """Replace parts by a segment that was made of them; what died meanwhile is dead in it too.

        It is so in every state at once, in those that are not committed as well.
        """
        with self._writing:
            self._states.replace(before, added)
            self._writing.notify_all()

    def adopt(self, added: sealed.SealedView) -> None:
        """Let a segment that was made elsewhere stand for its rows here; see `transitions.adopted`."""
        with self._writing:
            self._states.adopt(added)
            self._writing.notify_all()

    def trim_log(self, covered: int) -> None:
        """Delete log files that the durable manifest has made superfluous, but for those that are kept."""
        before, stored = self.log.first_seq, self.snapshot.stored_bytes
        kept = self.log.kept_bytes(covered)
        self.log.trim(covered, self.limits.retained_log(stored, kept, self.tuning.log_retained_bytes))
        if self.log.first_seq > before:
            self._listener.trimmed(self.log.first_seq - 1)

    def close(self) -> None:
        """Make durable what was written, and take no more writes."""
        self.log.close()
        self._states.end(errors.UnknownOutcomeError("the shard stopped before the write was committed"))
        if self._shown is not None:
            self._shown.close()
        self.digests.wait()

    def _on_durable(self, seq: int) -> None:
        self._durable = seq
        if self._alone:
            self._committed = seq
        if self._role.epoch:
            self._states.show(min(self._committed, seq))
        self._listener.durable(seq, self.log.cuts)

    def _on_failed(self, failure: errors.LogFailedError) -> None:
        self._role.failure = failure
        self._states.end(failure)
        self._listener.failed(failure)
