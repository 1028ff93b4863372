"""The cgroups that this process is in, of version 1 or 2: what memory and cores it may use, and uses.

Counted is memory that the kernel can't drop: anonymous memory, files of memory file systems, and its own
unreclaimable parts. Pages of other files are dropped before anybody is killed.
"""

import dataclasses
import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT, _SELF = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_NONE = 1 << 60  # version 1 says "no limit" by a number near 2^63
_V2 = ("anon", "shmem", "slab_unreclaimable", "kernel_stack", "pagetables", "percpu")
_V1 = ("total_rss", "total_shmem")


@dataclasses.dataclass(frozen=True)
class Cgroup:
    """A cgroup with a limit: its folder, its limit in bytes, and the counters that add up to its use."""

    folder: Path
    limit: int
    counters: tuple[str, ...]

    def used(self) -> int:
        """Return the bytes that its processes use, all of them together."""
        lines = (line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        return sum(int(value) for name, value in lines if name in self.counters)


def find(membership: Path = _SELF, root: Path = _ROOT) -> Cgroup | None:
    """Return the cgroup with the smallest memory limit, its own and those above; None without any limit.

    Args:
        membership: the file that tells which cgroups a process is in.
        root: where cgroups are mounted.
    """
    files = {1: ("memory.limit_in_bytes", _V1), 2: ("memory.max", _V2)}
    found = [
        Cgroup(folder, limit, files[version][1])
        for version, folder in _folders("memory", membership, root)
        if (limit := _number(folder / files[version][0])) and limit < _NONE
    ]
    return min(found, key=lambda group: group.limit, default=None)


def cores(membership: Path = _SELF, root: Path = _ROOT) -> int:
    """Return how many cores this process may keep busy: those it may run on, fewer by a quota of time.

    A process with more busy threads than its quota has cores is stopped for the rest of each period.
    """
    quotas = [_quota(version, folder) for version, folder in _folders("cpu", membership, root)]
    return math.ceil(min([len(os.sched_getaffinity(0)), *quotas]))


def _quota(version: int, folder: Path) -> float:
    """Return the cores that a cgroup's quota comes to."""
    if version == 1:
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    else:
        words = _text(folder / "cpu.max").split()
        quota, period = (int(word) if word.isdecimal() else 0 for word in (*words, "", "")[:2])
    return quota / period if quota and period else math.inf


def _folders(controller: str, membership: Path, root: Path) -> Iterator[tuple[int, Path]]:
    """Yield the version and the folder of each cgroup on the way up.

    In a container the path may be the host's, and not exist.
    """
    for line in _text(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            version, mount = 1, root / controller
        elif not controllers:
            version, mount = 2, root
        else:
            continue
        folder = mount / path.lstrip("/")
        for one in (folder, *folder.parents):
            if one.is_relative_to(mount):
                yield version, one


def _number(path: Path) -> int:
    content = _text(path).strip()
    return int(content) if content.isdecimal() else 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
