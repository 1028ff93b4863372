"""A pod's process as the host sees it."""

from __future__ import annotations

import os
from pathlib import Path

from . import index


def main_process(of: index.Index, pod: str) -> int:
    """The pid, on the host, of the pod's one container.

    Its cgroup's path ends with the container's id.
    """
    found = of.get("pod", pod)["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    for folder, _, _ in os.walk("/sys/fs/cgroup"):  # a glob ends with an error where a group goes meanwhile
        if found in Path(folder).name:
            pids = Path(folder, "cgroup.procs").read_text().split()
            if pids:
                return min(map(int, pids))
    raise AssertionError(f"no process of container {found} is on this machine")


def flip_a_bit(pid: int, pattern: str) -> None:
    """Flip a bit in the middle of what is written of the last file of a pattern, as a process sees it."""
    path = max(Path(f"/proc/{pid}/root").glob(pattern))
    middle = len(path.read_bytes().rstrip(b"\0")) // 2
    with path.open("r+b") as file:
        file.seek(middle)
        [byte] = file.read(1)
        file.seek(middle)
        file.write(bytes([byte ^ 1]))
