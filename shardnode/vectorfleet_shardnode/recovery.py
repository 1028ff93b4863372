"""Reads a log at start: replays what segments do not cover, cuts a torn tail, refuses damage.

Rule: nothing that was ever acknowledged is dropped in silence. Only bytes at the very end that no mark
vouches for are cut, and they are counted; everything else that is not as written raises DataLossError.
"""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from . import errors, files, log, log_format, records

EMPTY_BYTES = log_format.HEADER_BYTES
"""Size of a log file without records."""

Apply = Callable[[int, records.Record], None]
"""Takes a seq and the record that stands there."""


@dataclasses.dataclass(frozen=True)
class Recovery:
    """What was found: the log's last seq, and how many torn bytes were cut."""

    last_seq: int
    torn_bytes: int


def recover(folder: Path, covered: int, apply: Apply) -> Recovery:
    """Replay every record after `covered`, in order, and leave the log ready to be appended to.

    Raises:
        DataLossError: records are missing or damaged; the message names file and offset.
    """
    _drop_unborn_file(folder)
    every = log.paths(folder)
    if not every:
        raise errors.DataLossError(f"the log in {folder} is gone, so acknowledged writes may be missing")
    last_seq, torn = _check_start(every[0], covered), 0
    for path in every:
        reader = _Reader(path, newest=path == every[-1])
        last_seq = reader.replay(last_seq, covered, apply)
        torn = reader.torn_bytes
    if last_seq < covered:
        raise errors.DataLossError(f"the log ends at seq {last_seq}, but segments reach to seq {covered}")
    return Recovery(last_seq, torn)


def _drop_unborn_file(folder: Path) -> None:
    """Remove a newest file whose creation was cut short; it can't hold records yet."""
    for path in log.paths(folder)[-1:]:
        data = path.read_bytes()
        if len(data) <= log_format.HEADER_BYTES and log_format.unpack_header(data) is None:
            path.unlink()
            files.fsync_path(folder)


def _check_start(path: Path, covered: int) -> int:
    first = int(path.stem)
    if first > covered + 1:
        raise errors.DataLossError(
            f"log records {covered + 1} to {first - 1} are missing: the log starts in {path.name}"
        )
    return first - 1


class _Reader:
    """Reads one file; `newest` allows a torn tail."""

    def __init__(self, path: Path, *, newest: bool) -> None:
        self._path = path
        self._newest = newest
        self._data = path.read_bytes()
        self.torn_bytes = 0

    def replay(self, last_seq: int, covered: int, apply: Apply) -> int:
        header = log_format.unpack_header(self._data)
        if header is None:
            raise errors.DataLossError(f"the header of log file {self._path.name} is damaged")
        if header.first_seq != last_seq + 1:
            raise errors.DataLossError(
                f"log file {self._path.name} starts at seq {header.first_seq}, not at {last_seq + 1}"
            )
        end = log_format.HEADER_BYTES
        for entry in log_format.entries(memoryview(self._data), header.salt):
            end = entry.end
            if entry.op is not records.Op.MARK:
                last_seq = self._check_order(entry, last_seq)
                if entry.seq > covered:
                    apply(entry.seq, records.decode(entry.op, entry.payload))
        self._check_tail(end, header.salt, last_seq + 1)
        return last_seq

    def _check_order(self, entry: log_format.Entry, last_seq: int) -> int:
        if entry.seq != last_seq + 1:
            raise errors.DataLossError(
                f"log file {self._path.name} goes from seq {last_seq} to {entry.seq} before byte {entry.end}"
            )
        return entry.seq

    def _check_tail(self, end: int, salt: int, seq: int) -> None:
        if end == len(self._data):
            return
        if not self._newest or log_format.was_acknowledged(self._data, end, salt, seq):
            raise errors.DataLossError(
                f"log file {self._path.name} is damaged at byte {end}: acknowledged record {seq} is lost"
            )
        self.torn_bytes = len(self._data) - end
        os.truncate(self._path, end)
        files.fsync_path(self._path)
