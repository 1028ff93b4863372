"""A pod's process as the host sees it."""

from __future__ import annotations

from pathlib import Path

from . import index


def main_process(of: index.Index, pod: str) -> int:
    """The pid, on the host, of the pod's one container.

    Its cgroup's path ends with the container's id.
    """
    found = of.get("pod", pod)["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    for path in Path("/sys/fs/cgroup").glob("**/cgroup.procs"):
        if found in path.parts[-2]:
            pids = path.read_text().split()
            if pids:
                return min(map(int, pids))
    raise AssertionError(f"no process of container {found} is on this machine")
