"""What process trees have used of the CPU, from /proc."""

import os
import pathlib
import time
from collections.abc import Sequence

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(roots: Sequence[int]) -> float:
    """Return the CPU seconds of these processes and all below them, ended ones included; our own if none."""
    if not roots:
        return time.process_time()
    parents = _parents()
    below = {pid for pid in parents if not set(roots).isdisjoint(_line(pid, parents))}
    return sum(_ticks(pid) for pid in below) * _TICK


def _line(pid: int, parents: dict[int, int]) -> list[int]:
    line = [pid]
    while line[-1] in parents and parents[line[-1]] not in line:
        line.append(parents[line[-1]])
    return line


def _parents() -> dict[int, int]:
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            found[int(entry.name)] = int(fields[1])
    return found


def _ticks(pid: int) -> int:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) if fields else 0  # user and system, its own and its ended children's


def _stat(pid: int) -> list[str]:
    try:
        # The name, in parentheses, may hold anything.
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def resident_mib(roots: Sequence[int]) -> float:
    """Return the proportional resident MiB of these processes and all below them."""
    parents = _parents()
    below = [pid for pid in parents if not set(roots).isdisjoint(_line(pid, parents))]
    return sum(_proportional(pid) for pid in below) / 1024


def _proportional(pid: int) -> int:
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
