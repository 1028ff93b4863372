"""The lock of a state directory: one supervisor serves it, known by the pid that it writes."""

import contextlib
import fcntl
import os
import pathlib
import time
from collections.abc import Iterator
from typing import IO

from ... import errors
from . import folder

_TRIES, _PAUSE_SECONDS = 20, 0.05  # who only asks holds it for a moment too


@contextlib.contextmanager
def hold(place: folder.Folder) -> Iterator[None]:
    """Hold the lock of a state directory; it ends with the process at the latest.

    Raises:
        errors.Rejected: another supervisor holds it.
    """
    with place.lock.open("a+") as file:
        if not any(_take(file) for _ in range(_TRIES)):
            raise errors.Rejected(f"another supervisor serves {place.root}")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def holder(place: folder.Folder) -> int | None:
    """Return the pid of the supervisor that serves a state directory, None where none does."""
    try:
        with place.lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return _written(place.lock)
    return None


def _take(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_PAUSE_SECONDS)
        return False
    return True


def _written(path: pathlib.Path) -> int | None:
    pid = path.read_text().strip()
    return int(pid) if pid else None
