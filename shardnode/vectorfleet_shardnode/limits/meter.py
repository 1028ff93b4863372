"""What memory is in use: by this process and its builders, or by the cgroup that limits them all."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from . import cgroup

_PROCESSES = Path("/proc")
Used = Callable[[], int]


@dataclasses.dataclass(frozen=True)
class Meter:
    """A limit in bytes, 0 for none, and what tells how much of it is in use."""

    limit: int
    used: Used


UNLIMITED = Meter(0, int)
"""For a process whose memory is nobody's business."""


def open_meter(configured: int | None = None) -> Meter:
    """Return the meter of this process.

    Args:
        configured: the limit in bytes, 0 for none; None takes that of the cgroup.
    """
    group = cgroup.find() if configured is None or configured else None
    if group and (not configured or group.limit <= configured):
        return Meter(group.limit, group.used)
    return Meter(configured or 0, family_bytes)


def family_bytes() -> int:
    """Return the anonymous memory of this process and its children."""
    return sum(anonymous_bytes(number) for number in [os.getpid(), *_children()])


def _children() -> list[int]:
    found: list[int] = []
    for task in (_PROCESSES / "self" / "task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:  # the thread has ended, or the kernel doesn't tell
            continue
    return found


def anonymous_bytes(number: int) -> int:
    """Return the memory of a process that is no file's; 0 where it has ended."""
    try:
        fields = (_PROCESSES / str(number) / "statm").read_text().split()
    except OSError:
        return 0
    return max(0, int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 2 else 0
