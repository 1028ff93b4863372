"""The write-ahead log: numbered files, appended to by one writer, made durable by group commit.

Rule: nobody hears of a record before an fsync that covers it. A committer thread does one fsync for all
that waits; what arrives meanwhile goes with the next one. An fsync that fails is never repeated, because
the kernel may have dropped the pages: the log is failed until a restart reads what really is there.

A primary numbers the records that it appends; a follower takes records as they are, and cuts those that its
primary does not have. Either way the log knows nothing of rows, and of commitment only the index that it is
told, which it notes in its marks.
"""

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import errors, failpoints, files, log_files, log_format, log_index, log_reading, metrics, records

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


class Log:
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
        self._folder = folder
        self._index = index
        self._listeners = listeners
        self._alone = alone
        # Taken in this order: reading, syncing, state.
        self._reading = threading.Lock()  # held while files must not be cut
        self._syncing = threading.Lock()  # held while a descriptor must stay open
        self._state = threading.Condition()
        self.cuts = 0  # how many there were in this process
        self._durable = index.last_seq
        self._committed = self._marked = committed
        self._failure: errors.LogFailedError | None = None
        self._closing = False
        self._open(log_files.paths(folder)[-1])
        self._stored = log_reading.StoredRecords(folder, self._header.owner)
        self._committer = threading.Thread(target=self._commit, name="log-committer", daemon=True)
        self._committer.start()

    def _open(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR)
        header = log_format.unpack_header(os.pread(self._descriptor, log_format.HEADER_BYTES, 0))
        if header is None:
            raise errors.DataLossError(f"log file {path.name} has no header any more")
        self._header = header
        self._end = os.fstat(self._descriptor).st_size

    @property
    def bytes_in_file(self) -> int:
        """Size of the file that is appended to."""
        return self._end

    @property
    def last(self) -> log_index.Position:
        """The newest record, durable or not; the position before the first one where there is none."""
        with self._state:
            return self._index.last

    @property
    def last_seq(self) -> int:
        """The seq of `last`."""
        return self._index.last_seq

    @property
    def durable_seq(self) -> int:
        """Up to where the log is on the disk."""
        return self._durable

    @property
    def first_seq(self) -> int:
        """The seq of the first record that the log still holds, or would hold if it had any."""
        with self._state:
            return self._index.first_seq

    def epoch_at(self, seq: int) -> int | None:
        """Return the epoch of a record, or of the one before the first; None before that and behind the last.

        This is what log matching asks: the position (epoch, seq) is in this log if `epoch_at(seq) == epoch`.
        """
        with self._state:
            return self._index.spans.epoch_at(seq) if seq <= self._index.last_seq else None

    def history(self) -> tuple[list[log_index.Position], log_index.Position]:
        """Return where each epoch begins, and the last position.

        The first of the beginnings is the position just before the log's first record; each other one is the
        epoch's first record that the log holds.
        """
        with self._state:
            return self._index.spans.beginnings, self._index.last

    def find_write(self, write_id: bytes) -> log_index.Write | None:
        """Return what became of a write with this id; None where the log doesn't know (any more).

        Known are the newest 100,000 writes whose records the log holds, across restarts, committed or not;
        and, until it holds as many, those that came with segments from another replica.
        """
        with self._state:
            return self._index.find_write(write_id) if write_id else None

    def newest_writes(self, upto: int) -> list[log_index.Known]:
        """Return the newest writes that are known, of records up to a seq; 100,000 at most, oldest first."""
        with self._state:
            return self._index.newest_writes(upto)

    @property
    def carries_writes(self) -> bool:
        """Whether writes are known that came with segments."""
        with self._state:
            return self._index.carries

    def read(self, first_seq: int, max_bytes: int, *, unsynced: bool = False) -> list[log_format.Entry]:
        """Return records in order from `first_seq` on: to be shipped, or applied.

        Some of them, `max_bytes` at most yet one at least; none where there is none behind. From memory where
        they are recent, else from the files. Only what is durable, unless `unsynced` asks for all.

        Raises:
            CutAwayError: the log does not hold the first one any more, or its file is damaged.
        """
        with self._reading:
            with self._state:
                last = self._index.last_seq if unsynced else self._durable
                begin = self._index.first_seq
                found = self._index.recent.read(first_seq, last, max_bytes) if first_seq <= last else []
            if found or first_seq > last:
                return found
            if first_seq < begin:
                raise errors.CutAwayError(f"the log begins at seq {begin}; record {first_seq} was asked for")
            return self._stored.read(first_seq, last, max_bytes)

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
            packed = log_format.pack_record(self._header.salt, entry.seq, entry.head, [entry.payload])
            parts += (packed, entry.payload)
        self._write(b"".join(parts))
        failpoints.reached("log.appended")
        for entry in entries:
            self._index.note(entry)
        self._state.notify_all()

    def _write(self, content: bytes) -> None:
        data, done = memoryview(content), 0
        try:
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], self._end + done)
        except OSError as refused:
            self._take_back(refused)
            raise errors.StorageFullError(
                f"no room for {len(data)} bytes of log: {refused.strerror}"
            ) from refused
        self._end += len(data)
        metrics.LOG_BYTES.inc(len(data))

    def _take_back(self, refused: OSError) -> None:
        """Cut a record that was written in part; a disk that can't even do that has failed."""
        try:
            os.ftruncate(self._descriptor, self._end)
        except OSError as failed:
            raise self._fail(failed) from failed
        if refused.errno not in files.FULL:
            raise self._fail(refused) from refused

    def _fail(self, cause: OSError) -> errors.LogFailedError:
        self._failure = errors.LogFailedError(
            f"the log could not be stored ({cause.strerror}); writes are refused until a restart"
        )
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
            os.close(self._descriptor)
            self._open(log_files.paths(self._folder)[-1])
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
            if self._header.first_seq > self._index.last_seq:
                return  # no record is in it yet
            failpoints.reached("rotate.before-fsync")
            try:
                files.fsync(self._descriptor)
            except OSError as refused:
                raise self._fail(refused) from refused
            failpoints.reached("rotate.synced")
            last = self._index.last
            try:
                path = log_files.create(self._folder, last.seq + 1, self._header.owner, last.epoch)
            except OSError as refused:
                if refused.errno not in files.FULL:
                    raise self._fail(refused) from refused
                raise errors.StorageFullError(f"no room for a new log file: {refused.strerror}") from refused
            self._note_next(last)
            os.close(self._descriptor)
            self._open(path)

    def _note_next(self, last: log_index.Position) -> None:
        """Note in the old file that a new one follows; without room for the note nothing else is lost."""
        head = log_format.Head(last.epoch, records.Op.NEXT)
        try:
            self._write(log_format.pack_record(self._header.salt, last.seq + 1, head, []))
        except errors.StorageFullError:
            return
        failpoints.reached("rotate.noted")
        try:
            files.fsync(self._descriptor)
        except OSError as refused:
            raise self._fail(refused) from refused
        failpoints.reached("rotate.note-synced")

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
        os.close(self._descriptor)

    def _commit(self) -> None:
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
            target, descriptor = self._index.last_seq, self._descriptor
        if self._failure is None:
            failpoints.reached("commit.before-fsync")
            self._sync_file(descriptor)
            failpoints.reached("commit.synced")
        self._mark(target)
        failpoints.reached("commit.marked")
        return target

    def _sync_file(self, descriptor: int) -> None:
        started = time.perf_counter()
        try:
            files.fsync(descriptor)
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
                    self._write(log_format.pack_mark(self._header.salt, (epoch, seq), committed))
                except errors.ShardError:
                    return  # where the disk failed, `_failure` says so
                self._marked = committed


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
