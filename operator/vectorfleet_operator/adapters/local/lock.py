"""The lock of a state directory: one supervisor serves it, known by the pid that it writes.

Who starts a supervisor takes the lock and hands it over, as an open file, so that there is no moment in which
one was started and the directory looks unserved.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import IO

from ... import errors
from . import folder

_TRIES, _PAUSE_SECONDS = 20, 0.05  # who only asks holds it for a moment too


def take(place: folder.Folder) -> IO[str]:
    """Take the lock of a state directory for somebody: it is held as long as the file is open anywhere.

    Raises:
        errors.Rejected: another supervisor holds it.
    """
    file = place.lock.open("a+")
    if not any(_try(file) for _ in range(_TRIES)):
        file.close()
        raise errors.Rejected(f"another supervisor serves {place.root}")
    file.truncate(0)
    return file


@contextlib.contextmanager
def hold(place: folder.Folder, taken: int | None = None) -> Iterator[None]:
    """Hold the lock and write down that it is this process; it ends with the process at the latest.

    Args:
        place: the state directory.
        taken: the file's descriptor, where who started this process took the lock for it.

    Raises:
        errors.Rejected: another supervisor holds it.
    """
    with take(place) if taken is None else os.fdopen(taken, "a+") as file:
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def is_held(place: folder.Folder) -> bool:
    """Return whether a supervisor serves a state directory, or is just being started."""
    try:
        with place.lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # so that who asks is not in each other's way
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def holder(place: folder.Folder) -> int | None:
    """Return the pid of the supervisor that serves a state directory, None where none does yet."""
    if not is_held(place):
        return None
    pid = place.lock.read_text().strip()
    return int(pid) if pid else None


def _try(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_PAUSE_SECONDS)
        return False
    return True
