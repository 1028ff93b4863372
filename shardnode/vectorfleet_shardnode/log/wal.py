"""The write-ahead log: numbered files, appended to by one writer, made durable by group commit.

Rule: nobody hears of a record before an fsync that covers it. A committer thread does one fsync for all
that waits; what arrives meanwhile goes with the next one. An fsync that fails is never repeated, because
the kernel may have dropped the pages: the log is failed until a restart reads what really is there.

A primary numbers the records that it appends; a follower takes records as they are, and cuts those that its
primary does not have. Either way the log knows nothing of rows, and of commitment only the index that it is
told, which it notes in its marks.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import errors, failpoints, files, metrics, records
from . import contents, high_water, log_files, log_format, log_index, tail

_LOG = logging.getLogger(__name__)

RECENT_BYTES = 32 << 20
"""Of the newest records that are kept in memory to be shipped, where there is somebody to ship them to."""


@dataclasses.dataclass(frozen=True)
class Listeners:
    """Whom the committer tells: everything up to a seq is durable, or the log has failed.

    Both are called in the committer's thread, `durable` while nothing can be cut: what it is told is so, and
    of the records that are there now. They must be quick and must not call the log.
    """

    durable: Callable[[int], None]
    failed: Callable[[errors.LogFailedError], None]


class Log(contents.Contents):
    """Appends to the newest file of a folder that `recovery.recover` has found sound.

    One thread appends, rotates and cuts; reading, trimming and closing may come from other ones.

    Args:
        folder: of the log.
        index: what recovery found in it; the log's own from now on.
        listeners: whom to tell.
        alone: whether what is durable is committed by that, as where there are no other replicas.
        committed: the commit index that recovery found.
    """

    def __init__(
        self,
        folder: Path,
        index: log_index.Index,
        listeners: Listeners,
        *,
        alone: bool = True,
        committed: int = 0,
    ) -> None:
        self._tail = tail.Tail(log_files.paths(folder)[-1])
        super().__init__(folder, index, self._tail.header.owner)
        self._folder = folder
        self._high_water = high_water.HighWater(folder, self._tail.header.owner)
        self._high_water.note(index.last_seq)  # recovery has made all that it found durable
        self._listeners = listeners
        self._alone = alone
        self._syncing = threading.Lock()  # held while the tail must stay open; taken before the state
        self._committed = self._marked = committed
        self._failure: errors.LogFailedError | None = None
        self._closing = False
        self._committer = threading.Thread(target=self._commit, name="log-committer", daemon=True)
        self._committer.start()

    @property
    def bytes_in_file(self) -> int:
        """Size of the file that is appended to."""
        return self._tail.end

    def append(self, head: log_format.Head, payload: records.Parts) -> int:
        """Append one record under the next seq, which is returned; `Listeners.durable` tells when it is safe.

        Raises:
            StorageFullError: there is no room; nothing was appended, and a later call may succeed.
            LogFailedError: the disk failed, now or before.
            BadRequestError: the record is too large, or of an older epoch than the last one.
        """
        with self._state:
            self._check_open()
            seq = self._index.last_seq + 1
            content = b"".join(payload)
            self._append([log_format.Entry(head.epoch, seq, head.op, content, head.write_id, head.affected)])
            return seq

    def append_entries(self, entries: Sequence[log_format.Entry]) -> None:
        """Append records as another replica's log holds them: consecutive, and behind the last one here.

        They are written at once; a crash may leave the first ones of them, each whole.

        Raises:
            StorageFullError, LogFailedError: as `append`; nothing was appended.
            BadRequestError: they don't follow one another, or are not what a log can hold.
        """
        with self._state:
            self._check_open()
            self._append(entries)

    def _check_open(self) -> None:
        if self._failure or self._closing:
            raise self._failure or errors.UnavailableError("the shard is stopping")

    def _append(self, entries: Sequence[log_format.Entry]) -> None:
        self._index.check_next(entries)
        parts: list[bytes | memoryview] = []
        for entry in entries:
            packed = log_format.pack_record(self._tail.header.salt, entry.seq, entry.head, [entry.payload])
            parts += (packed, entry.payload)
        self._write(b"".join(parts))
        failpoints.reached("log.appended")
        for entry in entries:
            self._index.note(entry)
        self._state.notify_all()

    def _write(self, content: bytes) -> None:
        try:
            self._tail.append(content)
        except OSError as failed:
            raise self._fail(failed) from failed

    def _fail(self, cause: OSError) -> errors.LogFailedError:
        return self._end(
            f"the log could not be stored ({cause.strerror}); writes are refused until a restart"
        )

    def _end(self, why: str) -> errors.LogFailedError:
        self._failure = errors.LogFailedError(why)
        self._state.notify_all()
        return self._failure

    def note_committed(self, seq: int) -> None:
        """Take note of the commit index; the next mark carries it, and a start applies what it covers."""
        self._committed = max(self._committed, seq)

    def cut_after(self, last_seq: int) -> None:
        """Remove every record behind `last_seq`; durable when this returns. Nothing to do where none is.

        Who calls has made durable that it is to be done, see `replica_state`.

        Raises:
            ShardError: a record that was committed would go. That can only be a mistake; nothing was changed.
            CutAwayError: the log begins behind it; nothing was changed.
            LogFailedError: the disk failed, now or before; a start does the rest.
            OSError: the disk is full; this call again does the rest.
        """
        with self._reading, self._syncing, self._state:
            self._check_open()
            if last_seq >= self._index.last_seq:
                return
            self.check_cut(last_seq)
            try:
                log_files.cut_after(self._folder, last_seq, self._committed)
            except OSError as refused:
                if refused.errno in files.FULL:
                    raise
                raise self._fail(refused) from refused
            self._tail.close()
            self._tail = tail.Tail(log_files.paths(self._folder)[-1])
            self._stored.forget()
            self._index.cut_after(last_seq)
            self._durable = last_seq
            self.cuts += 1
            self._listeners.durable(last_seq)

    def check_cut(self, last_seq: int) -> None:
        """Find out whether the log can be cut there.

        Raises:
            ShardError, CutAwayError: as `cut_after`.
        """
        if last_seq < self._committed:
            raise errors.ShardError(
                f"the log can't be cut after seq {last_seq}: seq {self._committed} is committed"
            )
        if last_seq < self._index.first_seq - 1:
            raise errors.CutAwayError(
                f"the log begins at seq {self._index.first_seq}; it can't be cut after seq {last_seq}"
            )

    def rotate(self) -> None:
        """Go on in a new file. The old one is durable before the new one exists.

        Raises:
            StorageFullError, LogFailedError: as `append`.
        """
        with self._syncing, self._state:
            if self._failure:
                raise self._failure
            if self._tail.header.first_seq > self._index.last_seq:
                return  # no record is in it yet
            failpoints.reached("rotate.before-fsync")
            self._sync_tail()
            failpoints.reached("rotate.synced")
            last = self._index.last
            try:
                path = log_files.create(self._folder, last.seq + 1, self._tail.header.owner, last.epoch)
            except OSError as refused:
                if refused.errno not in files.FULL:
                    raise self._fail(refused) from refused
                raise errors.StorageFullError(f"no room for a new log file: {refused.strerror}") from refused
            self._note_next(last)
            self._tail.close()
            self._tail = tail.Tail(path)

    def _note_next(self, last: log_index.Position) -> None:
        """Note in the old file that a new one follows; without room for the note nothing else is lost."""
        head = log_format.Head(last.epoch, records.Op.NEXT)
        try:
            self._write(log_format.pack_record(self._tail.header.salt, last.seq + 1, head, []))
        except errors.StorageFullError:
            return
        failpoints.reached("rotate.noted")
        self._sync_tail()
        failpoints.reached("rotate.note-synced")

    def _sync_tail(self) -> None:
        try:
            self._tail.sync()
        except OSError as refused:
            raise self._fail(refused) from refused

    def trim(self, covered: int, keep_bytes: int = 0) -> None:
        """Delete files that hold nothing newer than `covered`, which segments now hold durably.

        The newest of them stay, `keep_bytes` in all, and their records can be read and recognised: so the log
        begins earlier than it must.
        """
        superfluous, needed = log_files.split_covered(log_files.paths(self._folder), covered)
        kept = 0
        while kept < len(superfluous) and (keep_bytes := keep_bytes - _size_of(superfluous[-kept - 1])) >= 0:
            kept += 1
        gone = len(superfluous) - kept
        for old in superfluous[:gone]:
            failpoints.reached("trim.before-delete")
            old.unlink(missing_ok=True)
            failpoints.reached("trim.deleted")
        with self._state:
            self._index.forget_before(log_files.first_seq_of([*superfluous, *needed][gone]))

    def kept_bytes(self, covered: int) -> int:
        """Return the bytes of files that hold nothing newer than `covered`."""
        superfluous, _ = log_files.split_covered(log_files.paths(self._folder), covered)
        return sum(map(_size_of, superfluous))

    def close(self) -> None:
        """Make durable what was appended, and stop."""
        with self._state:
            self._closing = True
            self._state.notify_all()
        self._committer.join()
        if self._committed > self._marked:
            self._mark(self._durable)  # so that the next start shows at once what this one has
        self._tail.close()
        self._high_water.close()

    def _commit(self) -> None:
        try:
            self._commit_what_comes()
        except Exception as fault:  # noqa: BLE001 (nobody may wait for a thread that is gone)
            with self._state:
                failure = self._end(
                    f"the log's thread failed ({fault!r}); writes are refused until a restart"
                )
            _LOG.exception("the log's thread failed")
            self._listeners.failed(failure)

    def _commit_what_comes(self) -> None:
        while self._wait_for_work():
            with self._syncing:
                target = self._sync()
                if self._failure is None:
                    self._durable = target
                    self._listeners.durable(target)
            if self._failure:
                self._listeners.failed(self._failure)
                return

    def _wait_for_work(self) -> bool:
        with self._state:
            self._state.wait_for(
                lambda: self._failure or self._closing or self._index.last_seq > self._durable
            )
            return bool(self._failure) or self._index.last_seq > self._durable

    def _sync(self) -> int:
        with self._state:
            target, tail = self._index.last_seq, self._tail
        if self._failure is None:
            failpoints.reached("commit.before-fsync")
            self._sync_file(tail)
            failpoints.reached("commit.synced")
        if self._failure is None:
            self._high_water.note(target)
            failpoints.reached("commit.noted")
        self._mark(target)
        failpoints.reached("commit.marked")
        return target

    def _sync_file(self, tail: tail.Tail) -> None:
        started = time.perf_counter()
        try:
            tail.sync()
        except OSError as refused:
            with self._state:
                self._fail(refused)
        metrics.FSYNC_SECONDS.observe(time.perf_counter() - started)

    def _mark(self, seq: int) -> None:
        """Note what is durable and committed; without room for the note the promise holds all the same."""
        with self._state:
            if self._failure is None:
                committed = seq if self._alone else min(self._committed, seq)
                epoch = self._index.spans.last_epoch
                try:
                    self._write(log_format.pack_mark(self._tail.header.salt, (epoch, seq), committed))
                except errors.ShardError:
                    return  # where the disk failed, `_failure` says so
                self._marked = committed


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
