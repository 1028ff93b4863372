"""The few ways in which files are made durable: every fsync of the shard goes through this room.

Rule: content first, then its name. A file is written under a temporary name, fsynced, renamed, and
the folder fsynced; a crash leaves the old file or the new one, never a mixture.
"""

import errno
import hashlib
import os
from pathlib import Path

from . import failpoints

TEMPORARY = "tmp-"
"""Prefix of names that a crash may leave behind; they are removed at start."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors that end once there is room."""

FAILING = frozenset(
    {
        *(errno.EIO, errno.EROFS, errno.ENXIO, errno.ENODEV, errno.ENODATA),
        *(errno.EUCLEAN, errno.EBADMSG, errno.ESTALE, errno.EREMOTEIO, errno.ETIMEDOUT),
    }
)
"""Errors of a disk that fails or is not there now: a file system that stopped writing is among them."""

_CHUNK = 4 << 20
_PIECE = 1 << 20


class UnsureError(OSError):
    """A file has its new content, but the disk may still lose its name: only a restart finds out."""


def fsync(descriptor: int) -> None:
    """Force a file's content to the disk."""
    os.fsync(descriptor)


def fsync_path(path: Path) -> None:
    """Force a closed file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes, what: str = "") -> None:
    """Create or replace `path`, durable when this returns; `what` names its failpoints.

    Raises:
        UnsureError: `path` is there, but after a power cut it may be what it was before.
        OSError: the disk is full or failing; `path` is then what it was before.
    """
    temporary = path.with_name(TEMPORARY + path.name)
    try:
        temporary.write_bytes(content)
        _reached(what, "written")
        fsync_path(temporary)
        _reached(what, "synced")
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _reached(what, "renamed")
    try:
        fsync_path(path.parent)
    except OSError as refused:
        said = f"{path.name} is written but may be lost: {refused.strerror}"
        raise UnsureError(errno.EIO, said) from refused
    _reached(what, "durable")


def _reached(what: str, moment: str) -> None:
    if what:
        failpoints.reached(f"{what}.{moment}")


def read_through(path: Path, upto: int | None = None) -> None:
    """Read a file, up to a size, and keep nothing of it: of pages that are mapped later an error kills.

    Raises:
        OSError: it can't be read; the error names the file.
    """
    buffer, left = bytearray(_PIECE), upto
    try:
        with path.open("rb", buffering=0) as source:
            while left is None or left > 0:
                got = source.readinto(memoryview(buffer)[: min(_PIECE, left or _PIECE)])
                if not got:
                    return
                left = None if left is None else left - got
    except OSError as refused:
        raise type(refused)(refused.errno, refused.strerror, str(path)) from refused


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_bytes(content: bytes) -> str:
    """Return the hex SHA-256 of what a file is going to hold."""
    return hashlib.sha256(content).hexdigest()


def bytes_under(folder: Path) -> int:
    """Return the bytes of all files below `folder`; files that vanish meanwhile count nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total
