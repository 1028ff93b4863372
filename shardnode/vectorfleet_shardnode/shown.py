"""One number in memory that processes share: the seq up to which readers of a shard see its writes.

The process that serves a shard publishes it before it acknowledges a write. Whoever reads the same files in
another process looks at it before each read, and so answers from a state that holds all that was
acknowledged. It is memory, not a file: no disk can be full of it, and it ends with its processes.
"""

import mmap
import os
from pathlib import Path

import numpy as np

_BYTES = mmap.PAGESIZE


class Shown:
    """The number, for the one who publishes it. May be used from several threads, one at a time.

    Args:
        seq: to begin with.
    """

    def __init__(self, seq: int) -> None:
        self._file = os.memfd_create("vectorfleet-shown", os.MFD_CLOEXEC)
        os.ftruncate(self._file, _BYTES)
        # One aligned store of 8 bytes: no reader ever sees half of a number.
        self._word = np.frombuffer(mmap.mmap(self._file, _BYTES), np.uint64)
        self.publish(seq)

    @property
    def path(self) -> Path:
        """Where other processes of the same user find it, while this process runs and it is not closed."""
        return Path(f"/proc/{os.getpid()}/fd/{self._file}")

    def publish(self, seq: int) -> None:
        """Let readers see everything up to a seq."""
        self._word[0] = seq

    def close(self) -> None:
        """Give it up; those who have it open still see the last number."""
        os.close(self._file)


class Seen:
    """The number, for those who read it.

    Args:
        path: see `Shown.path`.

    Raises:
        OSError: it is not there.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as source:
            page = mmap.mmap(source.fileno(), _BYTES, access=mmap.ACCESS_READ)
        self._word = np.frombuffer(page, np.uint64)

    @property
    def seq(self) -> int:
        """Up to where readers see every write, now."""
        return int(self._word[0])
