"""The memory cgroup that this process is in, of version 1 or 2: what it may use, and what it uses.

Counted is what the kernel can't drop: anonymous memory, files of memory file systems, and its own
unreclaimable parts. Pages of other files are dropped before anybody is killed.
"""

import dataclasses
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
    """Return the cgroup with the smallest limit, its own and those above; None without any limit.

    Args:
        membership: the file that tells which cgroup a process is in.
        root: where cgroups are mounted.
    """
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return None
    found: list[Cgroup] = []
    for _, controllers, path in lines:
        if "memory" in controllers.split(","):
            found += _limited(root / "memory", path, "memory.limit_in_bytes", _V1)
        elif not controllers:
            found += _limited(root, path, "memory.max", _V2)
    return min(found, key=lambda group: group.limit, default=None)


def _limited(mount: Path, path: str, file: str, counters: tuple[str, ...]) -> list[Cgroup]:
    """Return the limited cgroups on the way up; in a container the path may be the host's, and not exist."""
    folder = mount / path.lstrip("/")
    folders = [folder, *folder.parents]
    inside = [one for one in folders if one.is_relative_to(mount)]
    return [Cgroup(one, limit, counters) for one in inside if (limit := _limit(one / file))]


def _limit(path: Path) -> int:
    try:
        content = path.read_text().strip()
    except OSError:
        return 0
    return int(content) if content.isdecimal() and int(content) < _NONE else 0
