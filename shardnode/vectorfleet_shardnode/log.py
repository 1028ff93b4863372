"""The write-ahead log: numbered files, appended to by one writer, made durable by group commit.

Rule: nobody hears of a record before an fsync that covers it. A committer thread does one fsync for all
that waits; what arrives meanwhile goes with the next one. An fsync that fails is never repeated, because
the kernel may have dropped the pages: the log is failed until a restart reads what really is there.
"""

import dataclasses
import errno
import itertools
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

from . import errors, failpoints, files, log_format, metrics, records

EPOCH = 1
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclasses.dataclass(frozen=True)
class Listeners:
    """Whom the committer tells: everything up to a seq is durable, or the log has failed."""

    durable: Callable[[int], None]
    failed: Callable[[errors.LogFailedError], None]


def path_of(folder: Path, first_seq: int) -> Path:
    """Return the path of the log file whose first record is `first_seq`."""
    return folder / f"{first_seq:020d}.log"


def paths(folder: Path) -> list[Path]:
    """Return the folder's log files, oldest first."""
    return sorted(folder.glob("[0-9]" * 20 + ".log"))


def create(folder: Path, first_seq: int, owner: int = 0) -> Path:
    """Make an empty log file, durable when this returns; `owner` is whose it is.

    Raises:
        OSError: the disk is full or failing.
    """
    path = path_of(folder, first_seq)
    header = log_format.Header(secrets.randbits(32), first_seq, owner)
    files.write_durably(path, log_format.pack_header(header), "log-file")
    return path


class Log:
    """Appends to the newest file of a folder that `recovery.recover` has found sound.

    One thread appends and rotates; trimming and closing may come from another one.
    """

    def __init__(self, folder: Path, last_seq: int, listeners: Listeners) -> None:
        self._folder = folder
        self._listeners = listeners
        self._state = threading.Condition()
        self._syncing = threading.Lock()  # taken before _state; held while a descriptor must stay open
        self._appended = self._durable = last_seq
        self._failure: errors.LogFailedError | None = None
        self._closing = False
        self._open(paths(folder)[-1])
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
    def last_seq(self) -> int:
        """The seq of the newest record, durable or not."""
        return self._appended

    def append(self, op: records.Op, payload: records.Parts) -> int:
        """Append one record and return its seq; `Listeners.durable` tells when it may be acknowledged.

        Raises:
            StorageFullError: there is no room; nothing was appended, and a later call may succeed.
            LogFailedError: the disk failed, now or before.
            BadRequestError: the record is too large.
        """
        with self._state:
            if self._failure or self._closing:
                raise self._failure or errors.UnavailableError("the shard is stopping")
            seq = self._appended + 1
            self._write(op, seq, payload)
            failpoints.reached("log.appended")
            self._appended = seq
            self._state.notify_all()
            return seq

    def _write(self, op: records.Op, seq: int, payload: records.Parts) -> None:
        head = log_format.pack_record(self._header.salt, (EPOCH, seq), op, payload)
        data = memoryview(b"".join([head, *payload]))
        done = 0
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
        if refused.errno not in _FULL:
            raise self._fail(refused) from refused

    def _fail(self, cause: OSError) -> errors.LogFailedError:
        self._failure = errors.LogFailedError(
            f"the log could not be stored ({cause.strerror}); writes are refused until a restart"
        )
        self._state.notify_all()
        return self._failure

    def rotate(self) -> None:
        """Go on in a new file. The old one is durable before the new one exists.

        Raises:
            StorageFullError, LogFailedError: as `append`.
        """
        with self._syncing, self._state:
            if self._failure:
                raise self._failure
            failpoints.reached("rotate.before-fsync")
            try:
                files.fsync(self._descriptor)
            except OSError as refused:
                raise self._fail(refused) from refused
            failpoints.reached("rotate.synced")
            try:
                path = create(self._folder, self._appended + 1, self._header.owner)
            except OSError as refused:
                if refused.errno not in _FULL:
                    raise self._fail(refused) from refused
                raise errors.StorageFullError(f"no room for a new log file: {refused.strerror}") from refused
            self._note_next()
            os.close(self._descriptor)
            self._open(path)

    def _note_next(self) -> None:
        """Note in the old file that a new one follows; without room for the note nothing else is lost."""
        try:
            self._write(records.Op.NEXT, self._appended + 1, [])
        except errors.StorageFullError:
            return
        failpoints.reached("rotate.noted")
        try:
            files.fsync(self._descriptor)
        except OSError as refused:
            raise self._fail(refused) from refused
        failpoints.reached("rotate.note-synced")

    def trim(self, covered: int) -> None:
        """Delete files that hold nothing newer than `covered`, which segments now hold durably."""
        every = paths(self._folder)
        for old, newer in itertools.pairwise(every):
            if int(newer.stem) <= covered + 1:
                failpoints.reached("trim.before-delete")
                old.unlink()
                failpoints.reached("trim.deleted")

    def close(self) -> None:
        """Make durable what was appended, and stop."""
        with self._state:
            self._closing = True
            self._state.notify_all()
        self._committer.join()
        os.close(self._descriptor)

    def _commit(self) -> None:
        while self._wait_for_work():
            target = self._sync()
            if self._failure:
                self._listeners.failed(self._failure)
                return
            self._durable = target
            self._listeners.durable(target)

    def _wait_for_work(self) -> bool:
        with self._state:
            self._state.wait_for(lambda: self._failure or self._closing or self._appended > self._durable)
            return bool(self._failure) or self._appended > self._durable

    def _sync(self) -> int:
        with self._syncing:
            with self._state:
                target, descriptor = self._appended, self._descriptor
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
        """Note what is durable; without room for the note the promise holds all the same."""
        with self._state:
            if self._failure is None:
                try:
                    self._write(records.Op.MARK, seq, [])
                except errors.ShardError:
                    return  # where the disk failed, `_failure` says so
