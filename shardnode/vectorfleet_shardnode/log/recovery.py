"""Reads a log at start: applies what is committed and not in segments, cuts a torn tail, refuses damage.

Rule: nothing that was ever acknowledged is dropped in silence. Only bytes at the very end that no mark
vouches for are cut, and they are counted; everything else that is not as written raises DataLossError.
Nothing is changed before everything was read.

What no mark calls committed stays in the log and is not applied: whether it ever counts is for the primary
to say. Where there are no other replicas, being in the log is all it takes.
"""

import collections
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import errors, failpoints, files, records
from . import high_water, log_files, log_format, log_index, reading

EMPTY_BYTES = log_format.HEADER_BYTES
"""Size of a log file without records."""

Apply = Callable[[log_index.Position, records.Record], None]
"""Takes a position and the record that stands there."""


@dataclasses.dataclass(frozen=True)
class Expected:
    """What is known of a log before it is read.

    Attributes:
        covered_seq: what segments hold.
        durable_seq: up to where it must reach; committed, as all that segments know of.
        owner: whose it is.
        covered_epoch: of the record `covered_seq`; 0 where that isn't known.
        alone: whether every whole record is committed, as where there are no other replicas.
        recent_bytes: how many bytes of records its index may keep in memory.
        carried: writes that came with segments, whose records it never held.
    """

    covered_seq: int = 0
    durable_seq: int = 0
    owner: int = 0
    covered_epoch: int = 0
    alone: bool = True
    recent_bytes: int = 0
    carried: Sequence[log_index.Known] = ()


@dataclasses.dataclass(frozen=True)
class Recovery:
    """What was found.

    Attributes:
        index: the log's records, the last one's seq among it.
        committed: the commit index; all up to here was applied, and nothing behind.
        torn_bytes: how many bytes of a torn tail were cut.
    """

    index: log_index.Index
    committed: int
    torn_bytes: int


def recover(folder: Path, expected: Expected, apply: Apply) -> Recovery:
    """Apply every committed record after the covered seq, in order; the log can be appended to then.

    Raises:
        DataLossError: records are missing or damaged; the message names file and offset.
    """
    covered, every = log_files.split_covered(log_files.paths(folder), expected.covered_seq)
    if not every:
        raise errors.DataLossError(f"the log in {folder} is gone, so acknowledged writes may be missing")
    _check_start(every[0], expected.covered_seq)
    readers = [_Reader(every[0], expected.owner)]
    kept = reading.kept_files(covered, expected.owner, readers[0].header)
    index = reading.index_of(kept, readers[0].header, expected.recent_bytes, expected.carried)
    replay = _Replay(index, expected, apply)
    for path, follower in zip(every, [*every[1:], None], strict=True):
        reader = readers.pop() if readers else _Reader(path, expected.owner)
        reader.read(replay)
        if follower is not None:
            reader.check_follower(follower, index.last_seq)
    reader.check_newest(index.last_seq)
    _check_end(every[-1], index, expected)
    _check_high_water(every[-1], index.last_seq, expected.owner)
    return Recovery(index, replay.committed, reader.cut())


def _check_start(path: Path, covered: int) -> None:
    first = log_files.first_seq_of(path)
    if first > covered + 1:
        raise errors.DataLossError(
            f"log records {covered + 1} to {first - 1} are missing: the log starts in {path.name}"
        )


def _check_end(path: Path, index: log_index.Index, expected: Expected) -> None:
    wanted = max(expected.covered_seq, expected.durable_seq)
    if index.last_seq < wanted:
        raise errors.DataLossError(
            f"the log ends at seq {index.last_seq} in {path.name}, but segments reach to seq {wanted}"
        )
    epoch = index.spans.epoch_at(expected.covered_seq)
    if expected.covered_epoch and epoch != expected.covered_epoch:
        raise errors.DataLossError(
            f"record {expected.covered_seq} is of epoch {epoch} by the log, and of epoch "
            f"{expected.covered_epoch} by the manifest: they are of different histories"
        )


def _check_high_water(path: Path, last_seq: int, owner: int) -> None:
    """Refuse where the end of the newest file is lost, with all marks that could say so."""
    known = high_water.read(path.parent, owner)
    if last_seq < known:
        raise errors.DataLossError(
            f"the log ends at seq {last_seq} in {path.name}, but seq {known} was on the disk: acknowledged "
            f"records from {last_seq + 1} on are lost"
        )


class _Replay:
    """Takes the log's records in order, and applies them as soon as they are known to be committed."""

    def __init__(self, index: log_index.Index, expected: Expected, apply: Apply) -> None:
        self.index = index
        self.committed = max(expected.covered_seq, expected.durable_seq)
        self._covered = expected.covered_seq
        self._alone = expected.alone
        self._apply = apply
        self._held: collections.deque[log_format.Entry] = collections.deque()

    def take(self, entry: log_format.Entry) -> None:
        """Take the next record."""
        if entry.seq != self.index.last_seq + 1:
            raise errors.DataLossError(f"it goes from seq {self.index.last_seq} to {entry.seq}")
        self.index.note(entry._replace(payload=bytes(entry.payload)) if self.index.keeps_recent else entry)
        if entry.seq > self._covered:
            self._held.append(entry)
        self.hear(entry.seq if self._alone else self.committed)

    def hear(self, committed: int) -> None:
        """Take the commit index of a mark."""
        self.committed = max(self.committed, committed)
        while self._held and self._held[0].seq <= self.committed:
            entry = self._held.popleft()
            place = log_index.Position(entry.epoch, entry.seq)
            self._apply(place, records.decode(entry.op, memoryview(entry.payload)))


class _Reader:
    """Reads one file."""

    def __init__(self, path: Path, owner: int) -> None:
        self._path = path
        files.read_through(path)
        self._content = log_files.mapped(path)
        self._data = memoryview(self._content)
        self.header = log_files.header_of(path, self._data, owner)
        self._end = log_format.HEADER_BYTES
        self._next_seq: int | None = None  # where the log goes on, if the file says so

    def read(self, replay: _Replay) -> None:
        self._check_beginning(replay.index)
        with log_files.naming(self._path):
            for entry, end in log_format.entries(self._data, self.header.salt):
                self._end = end
                if entry.op is records.Op.NEXT:
                    self._next_seq = entry.seq
                elif entry.op is records.Op.MARK:
                    replay.hear(log_format.committed_of(entry))
                else:
                    replay.take(entry)

    def _check_beginning(self, index: log_index.Index) -> None:
        last, header = index.last, self.header
        if (header.epoch_before, header.first_seq) != (last.epoch, last.seq + 1):
            raise errors.DataLossError(
                f"log file {self._path.name} starts at seq {header.first_seq} behind epoch "
                f"{header.epoch_before}, not at {last.seq + 1} behind epoch {last.epoch}"
            )

    def _damaged(self, seq: int) -> errors.DataLossError:
        return errors.DataLossError(
            f"log file {self._path.name} is damaged at byte {self._end}: acknowledged record {seq} is lost"
        )

    def check_follower(self, follower: Path, last_seq: int) -> None:
        """Compare this file's end with the start of the next one: nothing may be missing between them.

        Bytes behind the last record are no loss then: rotation died while it noted that a file follows.
        """
        if log_files.first_seq_of(follower) <= last_seq + 1:
            return
        if self._end < len(self._data):
            raise self._damaged(last_seq + 1)
        raise errors.DataLossError(
            f"log file {self._path.name} ends at seq {last_seq}, but {follower.name} follows it: "
            f"records from {last_seq + 1} on are lost"
        )

    def check_newest(self, last_seq: int) -> None:
        """Refuse where acknowledged records stood behind the last one that was read."""
        with log_files.naming(self._path):
            lost = log_format.was_acknowledged(self._content, self._end, self.header.salt, last_seq + 1)
        if lost:
            raise self._damaged(last_seq + 1)
        if self._next_seq is not None:
            following = log_files.path_of(self._path.parent, self._next_seq).name
            raise errors.DataLossError(f"log file {following} is missing, in which {self._path.name} goes on")

    def cut(self) -> int:
        """Cut the torn tail and return its bytes; what is left is durable, though the fsync never came."""
        torn = len(self._data) - self._end
        failpoints.reached("recovery.before-cut")
        if torn:
            with self._path.open("r+b") as target:
                target.truncate(self._end)
            failpoints.reached("recovery.cut")
        files.fsync_path(self._path)
        failpoints.reached("recovery.synced")
        return torn
