"""The high-water mark of a log: up to where it was on the disk once, in a file of its own beside the log's.

It tells a log whose end was lost from one whose last write was under way. It is written behind the fsync that
it speaks of, so it never says more than an honest disk holds, and it has no fsync of its own: after a crash
of the process it is exact, after a power cut it may be some seconds old, or gone, which says nothing.
"""

import contextlib
import os
import struct
from pathlib import Path

import google_crc32c

from .. import errors, failpoints, files

FILE_NAME = "high-water"
VERSION = 1
_MAGIC = b"VFLTHWM\0"
_BODY = struct.Struct("<8sIIQ")  # magic, version, owner, seq
_SUM = struct.Struct("<I")
_BYTES = _BODY.size + _SUM.size


def read(folder: Path, owner: int) -> int:
    """Return the seq up to which the log in a folder was on the disk, as far as that is known; else 0.

    Raises:
        DataLossError: it is of another folder.
        UnknownFormatError: a newer program wrote it.
        OSError: it can't be read.
    """
    found = _unpacked(_content(folder))
    if found is None:
        return 0
    version, theirs, seq = found
    if version != VERSION:
        raise errors.UnknownFormatError(
            f"log file {FILE_NAME} has format {version}; this program reads format {VERSION}"
        )
    if theirs != owner:
        raise errors.DataLossError(f"log file {FILE_NAME} is of another folder than identity.json")
    return seq


def lower(folder: Path, seq: int) -> None:
    """Let it say no more than a seq, since the records behind are to be cut; durable when this returns.

    Raises:
        OSError: the disk is full or failing.
    """
    found = _unpacked(_content(folder))
    if found is None or found[2] <= seq:
        return
    with (folder / FILE_NAME).open("r+b") as target:
        target.write(_packed(found[1], seq))
        target.flush()
        files.fsync(target.fileno())
    failpoints.reached("cut.high-water-lowered")


class HighWater:
    """The file of a log that is appended to; there is none before the first record.

    Args:
        folder: of the log.
        owner: whose it is.
    """

    def __init__(self, folder: Path, owner: int) -> None:
        self._path, self._owner = folder / FILE_NAME, owner
        self._descriptor: int | None = None

    def note(self, seq: int) -> None:
        """Take note that all up to a seq is on the disk; where that can't be noted, less is known later."""
        if not seq:
            return
        with contextlib.suppress(OSError):  # a disk that is full can't even have a new file
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            os.pwrite(self._descriptor, _packed(self._owner, seq), 0)

    def close(self) -> None:
        """Close it."""
        if self._descriptor is not None:
            os.close(self._descriptor)


def _packed(owner: int, seq: int) -> bytes:
    body = _BODY.pack(_MAGIC, VERSION, owner, seq)
    return body + _SUM.pack(google_crc32c.value(body))


def _unpacked(content: bytes) -> tuple[int, int, int] | None:
    """Return version, owner and seq; None of what is torn, or nothing."""
    if len(content) < _BYTES:
        return None
    magic, version, owner, seq = _BODY.unpack_from(content)
    (checksum,) = _SUM.unpack_from(content, _BODY.size)
    sound = magic == _MAGIC and checksum == google_crc32c.value(content[: _BODY.size])
    return (version, owner, seq) if sound else None


def _content(folder: Path) -> bytes:
    try:
        return (folder / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return b""
