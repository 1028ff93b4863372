"""What a process holds at a moment: memory, open files, threads, children, and what its folder takes."""

import dataclasses
import os
import pathlib

_PROC = pathlib.Path("/proc")
_BLOCK = 512
MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Sample:
    """One look at a process; memory and disk in MiB."""

    resident: float
    """All of it, the pages of files that it has mapped among it."""
    anonymous: float
    """Of that, and of what was swapped out, what no file stands behind: the heap."""
    files: int
    threads: int
    children: int
    disk: float


def read(pid, folder=None):
    """Look at a process.

    Args:
        pid: of the process.
        folder: whose files count as its disk; none where it has none.

    Raises:
        OSError: it has ended.
    """
    place = _PROC / str(pid)
    told = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
    return Sample(
        resident=_mib(told["VmRSS"]),
        anonymous=_mib(told["RssAnon"]) + _mib(told["VmSwap"]),
        files=len(list((place / "fd").iterdir())),
        threads=int(told["Threads"]),
        children=len(_children(place)),
        disk=_taken(folder) / MIB if folder is not None else 0.0,
    )


def _mib(told):
    """`1024 kB` is one."""
    return int(told.split()[0]) / 1024


def _children(place):
    """Return its children, those among them that have ended and were not waited for."""
    found = []
    for task in (place / "task").iterdir():
        try:
            found += (task / "children").read_text().split()
        except OSError:
            continue  # the thread has ended
    return found


def _taken(folder):
    """Return the bytes that a folder takes, while files come and go."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                total += (pathlib.Path(at) / name).lstat().st_blocks * _BLOCK
            except OSError:
                continue
    return total
