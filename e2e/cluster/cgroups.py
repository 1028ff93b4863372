"""A control group for each node: its pods lie under it, and a killed node dies by it."""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path

from . import commands


def hierarchies() -> list[Path]:
    """Where control groups are mounted: one place on cgroup v2, many on v1."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return sorted({Path(fields[1]) for fields in mounts if fields[2] in {"cgroup", "cgroup2"}})


def create(name: str) -> None:
    """Make the group in every hierarchy, ready to hold containers."""
    for root in hierarchies():
        (root / name).mkdir(exist_ok=True)
        for key in ("cpuset.cpus", "cpuset.mems"):  # v1: empty in a new group, which then can run nothing
            if (root / key).exists():
                (root / name / key).write_text((root / key).read_text())
        offered = root / "cgroup.controllers"
        if offered.exists() and offered.read_text().strip():
            wanted = " ".join(f"+{controller}" for controller in offered.read_text().split())
            for folder in (root, root / name):
                (folder / "cgroup.subtree_control").write_text(wanted)


def members(name: str) -> set[int]:
    """Every process in the group, however deep."""
    pids: set[int] = set()
    for root in hierarchies():
        for folder, _, _ in os.walk(root / name):  # a glob ends with an error where a group goes meanwhile
            with contextlib.suppress(OSError):
                pids.update(int(word) for word in Path(folder, "cgroup.procs").read_text().split())
    return pids


def remove(name: str) -> None:
    """Remove the group, which must hold no process any more."""
    for root in hierarchies():
        if (root / name).exists():
            what = f"removal of the control group {root / name}"
            commands.wait_until(functools.partial(_removed, root / name), what, 10)


def _removed(group: Path) -> bool:
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError:
            return False
    return True


def leftovers(name: str) -> list[str]:
    """Where the group is."""
    return [f"control group {root / name}" for root in hierarchies() if (root / name).exists()]
