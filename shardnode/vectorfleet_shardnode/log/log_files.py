"""The files of a log: their names, how one is made, how one is cut, and which of them hold what."""

import contextlib
import mmap
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from .. import errors, failpoints, files
from . import high_water, log_format


def path_of(folder: Path, first_seq: int) -> Path:
    """Return the path of the log file whose first record is `first_seq`."""
    return folder / f"{first_seq:020d}.log"


def first_seq_of(path: Path) -> int:
    """Return the seq of a log file's first record, as its name says it."""
    return int(path.stem)


def paths(folder: Path) -> list[Path]:
    """Return the folder's log files, oldest first."""
    return sorted(folder.glob("[0-9]" * 20 + ".log"))


def create(folder: Path, first_seq: int, owner: int = 0, epoch_before: int = 0) -> Path:
    """Make an empty log file, durable when this returns.

    Args:
        folder: of the log.
        first_seq: of its first record.
        owner: whose it is.
        epoch_before: of the record before its first one; 0 where there never was one.

    Raises:
        OSError: the disk is full or failing.
    """
    path = path_of(folder, first_seq)
    header = log_format.Header(secrets.randbits(32), first_seq, owner, epoch_before)
    files.write_durably(path, log_format.pack_header(header), "log-file")
    return path


def split_covered(every: list[Path], covered: int) -> tuple[list[Path], list[Path]]:
    """Return the files that hold nothing newer than a covered seq, and the others; oldest first."""
    at = 0
    while at + 1 < len(every) and first_seq_of(every[at + 1]) <= covered + 1:
        at += 1
    return every[:at], every[at:]


def mapped(path: Path) -> mmap.mmap | bytes:
    """Return a file's content as pages that the kernel may drop and read again, however long the log is."""
    with path.open("rb") as source:
        empty = not os.fstat(source.fileno()).st_size
        return b"" if empty else mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put a log file's name before what is said of damage in it."""
    try:
        yield
    except errors.DataLossError as broken:
        raise type(broken)(f"log file {path.name}: {broken}") from broken


def header_of(path: Path, data: memoryview, owner: int) -> log_format.Header:
    """Return a log file's header.

    Raises:
        DataLossError: it is damaged, of a newer version, another folder's, or not what the name says.
    """
    with naming(path):
        header = log_format.unpack_header(bytes(data[: log_format.HEADER_BYTES]))
    if header is None:
        raise errors.DataLossError(f"the header of log file {path.name} is damaged")
    if header.owner != owner:
        raise errors.DataLossError(f"log file {path.name} is of another folder than identity.json")
    if header.first_seq != first_seq_of(path):
        raise errors.DataLossError(
            f"log file {path.name} starts at seq {header.first_seq}, not at {first_seq_of(path)}"
        )
    return header


def cut_after(folder: Path, last_seq: int, committed: int) -> None:
    """Remove every record behind `last_seq` from the files; durable when this returns.

    To do it again is to do the rest of it, wherever it was cut short: newer files go first, the newest of
    them before the others, so that what is left is always the beginning of what was. Who calls has made
    durable that it is to be done, since a start refuses a log whose newest file went missing.

    Args:
        folder: of the log.
        last_seq: of the newest record that stays, or the one before the log's first.
        committed: the commit index, for the mark that is put behind it.

    Raises:
        DataLossError: the record is not there, so something else is wrong; nothing was changed.
        OSError: the disk is full or failing; part of it may be done.
    """
    every = paths(folder)
    kept = [path for path in every if first_seq_of(path) <= last_seq + 1]
    if not kept:
        raise errors.DataLossError(f"the log can't be cut after seq {last_seq}: it begins behind it")
    header, epoch, end = _end_of(kept[-1], last_seq)
    failpoints.reached("cut.begun")
    high_water.lower(folder, last_seq)
    for path in reversed(every[len(kept) :]):
        path.unlink()
        failpoints.reached("cut.deleted")
    files.fsync_path(folder)
    failpoints.reached("cut.deletions-synced")
    with kept[-1].open("r+b") as target:
        target.truncate(end)
        failpoints.reached("cut.truncated")
        files.fsync(target.fileno())
        failpoints.reached("cut.truncation-synced")
        target.seek(end)
        target.write(log_format.pack_mark(header.salt, (epoch, last_seq), committed))
        target.flush()
        failpoints.reached("cut.marked")
        files.fsync(target.fileno())
    failpoints.reached("cut.done")


def _end_of(path: Path, seq: int) -> tuple[log_format.Header, int, int]:
    """Return a file's header, the epoch of a record, and the offset behind it.

    Before the first record that offset is the header's end.
    """
    content = mapped(path)
    data = memoryview(content)
    header = log_format.unpack_header(bytes(data[: log_format.HEADER_BYTES]))
    if header is None:
        raise errors.DataLossError(f"the header of log file {path.name} is damaged")
    if seq < first_seq_of(path):
        return header, header.epoch_before, log_format.HEADER_BYTES
    with naming(path):
        for entry, end in log_format.entries(data, header.salt):
            if entry.seq == seq and not log_format.is_note(entry.op):
                return header, entry.epoch, end
    raise errors.DataLossError(f"log file {path.name} is damaged: record {seq} is not in it")
