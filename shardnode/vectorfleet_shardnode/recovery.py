"""Reads a log at start: replays what segments do not cover, cuts a torn tail, refuses damage.

Rule: nothing that was ever acknowledged is dropped in silence. Only bytes at the very end that no mark
vouches for are cut, and they are counted; everything else that is not as written raises DataLossError.
Nothing is changed before everything was read.
"""

import contextlib
import dataclasses
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from . import errors, failpoints, files, log, log_format, records

EMPTY_BYTES = log_format.HEADER_BYTES
"""Size of a log file without records."""

Apply = Callable[[int, records.Record], None]
"""Takes a seq and the record that stands there."""


@dataclasses.dataclass(frozen=True)
class Expected:
    """What the folder's other files say of its log: what segments hold, what it must reach, whose it is."""

    covered_seq: int = 0
    durable_seq: int = 0
    owner: int = 0


@dataclasses.dataclass(frozen=True)
class Recovery:
    """What was found: the log's last seq, and how many torn bytes were cut."""

    last_seq: int
    torn_bytes: int


def recover(folder: Path, expected: Expected, apply: Apply) -> Recovery:
    """Replay every record after the covered seq, in order, and leave the log ready to be appended to.

    Raises:
        DataLossError: records are missing or damaged; the message names file and offset.
    """
    every = _uncovered(log.paths(folder), expected.covered_seq)
    if not every:
        raise errors.DataLossError(f"the log in {folder} is gone, so acknowledged writes may be missing")
    last_seq = _check_start(every[0], expected.covered_seq)
    for path in every:
        reader = _Reader(path, expected.owner)
        last_seq = reader.replay(last_seq, expected.covered_seq, apply)
        if path != every[-1]:
            reader.check_follower(every[every.index(path) + 1], last_seq)
    reader.check_newest(last_seq)
    _check_end(every[-1], last_seq, expected)
    return Recovery(last_seq, reader.cut())


def _uncovered(every: list[Path], covered: int) -> list[Path]:
    """Leave out old files whose records segments hold: a crash may have deleted some of them."""
    while len(every) > 1 and int(every[1].stem) <= covered + 1:
        every = every[1:]
    return every


def _check_start(path: Path, covered: int) -> int:
    first = int(path.stem)
    if first > covered + 1:
        raise errors.DataLossError(
            f"log records {covered + 1} to {first - 1} are missing: the log starts in {path.name}"
        )
    return first - 1


def _check_end(path: Path, last_seq: int, expected: Expected) -> None:
    wanted = max(expected.covered_seq, expected.durable_seq)
    if last_seq < wanted:
        raise errors.DataLossError(
            f"the log ends at seq {last_seq} in {path.name}, but segments reach to seq {wanted}"
        )


def _mapped(path: Path) -> mmap.mmap | bytes:
    """Return a file's content as pages that the kernel may drop and read again, however long the log is."""
    with path.open("rb") as source:
        empty = not os.fstat(source.fileno()).st_size
        return b"" if empty else mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)


class _Reader:
    """Reads one file."""

    def __init__(self, path: Path, owner: int) -> None:
        self._path = path
        self._owner = owner
        self._content = _mapped(path)
        self._data = memoryview(self._content)
        self._salt = 0
        self._end = log_format.HEADER_BYTES
        self._next_seq: int | None = None  # where the log goes on, if the file says so

    def replay(self, last_seq: int, covered: int, apply: Apply) -> int:
        self._check_header(last_seq + 1)
        with self._naming_the_file():
            for entry in log_format.entries(self._data, self._salt):
                self._end = entry.end
                if entry.op is records.Op.NEXT:
                    self._next_seq = entry.seq
                elif entry.op is not records.Op.MARK:
                    last_seq = self._check_order(entry, last_seq)
                    if entry.seq > covered:
                        apply(entry.seq, records.decode(entry.op, entry.payload))
        return last_seq

    @contextlib.contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        try:
            yield
        except errors.DataLossError as broken:
            raise errors.DataLossError(f"log file {self._path.name}: {broken}") from broken

    def _check_header(self, first_seq: int) -> None:
        with self._naming_the_file():
            header = log_format.unpack_header(bytes(self._data[: log_format.HEADER_BYTES]))
        if header is None:
            raise errors.DataLossError(f"the header of log file {self._path.name} is damaged")
        if header.owner != self._owner:
            raise errors.DataLossError(f"log file {self._path.name} is of another folder than identity.json")
        if header.first_seq != first_seq:
            raise errors.DataLossError(
                f"log file {self._path.name} starts at seq {header.first_seq}, not at {first_seq}"
            )
        self._salt = header.salt

    def _check_order(self, entry: log_format.Entry, last_seq: int) -> int:
        if entry.seq != last_seq + 1:
            raise errors.DataLossError(f"it goes from seq {last_seq} to {entry.seq} before byte {entry.end}")
        return entry.seq

    def check_follower(self, follower: Path, last_seq: int) -> None:
        """Compare this file's end with the start of the next one: nothing may be missing between them.

        Bytes behind the last record are no loss then: rotation died while it noted that a file follows.
        """
        if int(follower.stem) <= last_seq + 1:
            return
        if self._end < len(self._data):
            raise self._damaged(last_seq + 1)
        raise errors.DataLossError(
            f"log file {self._path.name} ends at seq {last_seq}, but {follower.name} follows it: "
            f"records from {last_seq + 1} on are lost"
        )

    def check_newest(self, last_seq: int) -> None:
        """Refuse where acknowledged records stood behind the last one that was read."""
        with self._naming_the_file():
            lost = log_format.was_acknowledged(self._content, self._end, self._salt, last_seq + 1)
        if lost:
            raise self._damaged(last_seq + 1)
        if self._next_seq is not None:
            following = log.path_of(self._path.parent, self._next_seq).name
            raise errors.DataLossError(f"log file {following} is missing, in which {self._path.name} goes on")

    def _damaged(self, seq: int) -> errors.DataLossError:
        return errors.DataLossError(
            f"log file {self._path.name} is damaged at byte {self._end}: acknowledged record {seq} is lost"
        )

    def cut(self) -> int:
        """Cut the torn tail and return its bytes; what is left is durable, though the fsync never came."""
        torn = len(self._data) - self._end
        failpoints.reached("recovery.before-cut")
        if torn:
            os.truncate(self._path, self._end)
            failpoints.reached("recovery.cut")
        files.fsync_path(self._path)
        failpoints.reached("recovery.synced")
        return torn
