"""The newest file of a log, which is appended to: each time the whole, or nothing."""

import os
from pathlib import Path

from .. import errors, files, metrics
from . import log_format


class Tail:
    """The open file.

    Attributes:
        header: the file's.
        end: its size, and where the next record goes.

    Raises:
        DataLossError: it has no header any more.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR)
        header = log_format.unpack_header(os.pread(self._descriptor, log_format.HEADER_BYTES, 0))
        if header is None:
            raise errors.DataLossError(f"log file {path.name} has no header any more")
        self.header = header
        self.end = os.fstat(self._descriptor).st_size

    def append(self, content: bytes) -> None:
        """Write behind the end.

        Raises:
            StorageFullError: there is no room; nothing was appended, and a later call may succeed.
            OSError: the disk has failed, and nobody knows what it holds behind the end.
        """
        data, done = memoryview(content), 0
        try:
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], self.end + done)
        except OSError as refused:
            os.ftruncate(self._descriptor, self.end)  # a disk that can't even do that has failed
            if refused.errno not in files.FULL:
                raise
            raise errors.StorageFullError(
                f"no room for {len(data)} bytes of log: {refused.strerror}"
            ) from refused
        self.end += len(data)
        metrics.LOG_BYTES.inc(len(data))

    def sync(self) -> None:
        """Make durable what was appended.

        Raises:
            OSError: the disk has failed; this may not be tried again.
        """
        files.fsync(self._descriptor)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)
